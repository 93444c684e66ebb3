"""Batches: which clips, what is skipped, what a bad clip, a lost process and a kill cost. With a worker that fakes."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blender_addon.arguments import add_retarget_arguments, retarget_argv, retarget_key
from blender_addon.batch_run.clip import Plan
from blender_addon.batch_run.clips import find_clips
from blender_addon.batch_run.command import add_batch_arguments, run_command
from blender_addon.batch_run.records import Record, read_record, record_file, temporary
from blender_addon.batch_run.run import run_batch
from blender_addon.batch_run.sheet import write_sheet, write_summary
from blender_addon.batch_run.table import Table, row
from blender_addon.errors import UserError

HERE = Path(__file__).parent
WORKER = (sys.executable, str(HERE / "fake_worker.py"))


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = tmp_path / "shots"
    for name, text in {"a/one": "good", "a/two": "good 2", "b/one": "good 3", "b/bad": "bad"}.items():
        path = folder / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log.txt"
    path.touch()
    monkeypatch.setenv("FAKE_LOG", str(path))
    return path


@pytest.fixture
def plan(tmp_path: Path, log: Path) -> Plan:
    (tmp_path / "out").mkdir()
    return Plan(tmp_path / "out", WORKER, settings={"height": 1.7})


def do(shots: Path, plan: Plan, jobs: int = 2) -> dict[str, Record]:
    clips = find_clips([str(shots / "**/*.mp4")])
    return {r.name: r for r in run_batch(clips, plan, jobs, Table(len(clips), io.StringIO()))}


def captured(log: Path) -> list[str]:
    """Names of the clips that were captured since the last call."""
    lines = sorted(line.split()[1] for line in log.read_text().splitlines() if line.startswith("capture"))
    log.write_text("")
    return lines


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


class TestClips:
    def test_names_follow_the_part_without_wildcards(self, shots: Path) -> None:
        assert [c.name for c in find_clips([str(shots / "**/*.mp4")])] == ["a/one", "a/two", "b/bad", "b/one"]
        assert [c.name for c in find_clips([str(shots / "a/*.mp4")])] == ["one", "two"]
        assert [c.name for c in find_clips([str(shots / "a")])] == ["one", "two"]
        assert [c.name for c in find_clips([str(shots / "b/one.mp4")], shots.parent)] == ["shots/b/one"]

    def test_two_of_one_name_are_told_apart_or_refused(self, shots: Path) -> None:
        (shots / "a/one.mov").write_text("x")
        names = [c.name for c in find_clips([str(shots / "a")])]
        assert names == ["one.mov", "one.mp4", "two"]
        with pytest.raises(UserError, match="would both be called one"):
            find_clips([str(shots / "a/one.mp4"), str(shots / "b/one.mp4")])

    def test_nothing_found_and_outside_of_the_base(self, shots: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="No clip was found"):
            find_clips([str(shots / "*.mkv")])
        with pytest.raises(UserError, match="not in the folder"):
            find_clips([str(shots / "../shots/a/one.mp4")], shots / "b")
        # ".." never leads a result out of its folder
        assert [c.name for c in find_clips([str(shots / "b/../a/*.mp4")])] == ["one", "two"]

    def test_image_sequences(self, tmp_path: Path) -> None:
        (tmp_path / "shot").mkdir()
        for i in range(3):
            (tmp_path / "shot" / f"{i:04d}.png").write_bytes(b"x")
        assert [c.name for c in find_clips([str(tmp_path / "shot")])] == ["shot"]
        assert [c.name for c in find_clips([str(tmp_path / "shot/%04d.png")])] == ["sequence"]
        assert [c.name for c in find_clips([str(tmp_path / "*")])] == ["shot"]


def test_a_bad_clip_does_not_stop_the_others(shots: Path, plan: Plan) -> None:
    records = do(shots, plan)
    assert {n: r.state for n, r in records.items()} == {
        "a/one": "done", "a/two": "done", "b/bad": "failed", "b/one": "done"
    }  # fmt: skip
    assert "nobody is seen" in row(records["b/bad"]) and "Choose another clip" in row(records["b/bad"])
    assert records["b/bad"].attempts == 1
    assert (plan.out / "a/one.take.npz").read_text() == "take of good"
    assert not [f for f in files(plan.out) if "~" in f]


def test_what_is_done_is_skipped_until_contents_or_settings_change(shots: Path, plan: Plan, log: Path) -> None:
    do(shots, plan)
    assert captured(log) == ["bad.mp4", "one.mp4", "one.mp4", "two.mp4"]
    again = do(shots, plan)
    assert [r.state for r in again.values()] == ["skipped", "skipped", "failed", "skipped"]
    assert captured(log) == ["bad.mp4"], "what has failed is tried again"
    assert again["a/one"].summary["frames"] == 20
    os.utime(shots / "a/one.mp4")
    do(shots, plan)
    assert captured(log) == ["bad.mp4"], "the time alone has changed"
    (shots / "a/one.mp4").write_text("other")
    do(shots, plan)
    assert captured(log) == ["bad.mp4", "one.mp4"]
    assert (plan.out / "a/one.take.npz").read_text() == "take of other"
    do(shots, replace(plan, settings={"height": 1.8}))
    assert len(captured(log)) == 4
    (plan.out / "a/two.take.npz").unlink()
    record_file(plan.out, "b/one").write_text("{damaged")
    do(shots, replace(plan, settings={"height": 1.8}))
    assert captured(log) == ["bad.mp4", "one.mp4", "two.mp4"]
    do(shots, replace(plan, settings={"height": 1.8}, again=True))
    assert len(captured(log)) == 4


def test_files_are_written_again_when_rig_or_take_change_and_the_clip_is_not_captured_again(
    shots: Path, plan: Plan, log: Path
) -> None:
    written: list[str] = []

    def put(take: Path, out: Path) -> list[str]:
        written.append(take.name)
        out.write_text(f"file of {take.read_text()}")
        return ["a toe has no bone"]

    plan = replace(plan, suffixes=(".fbx",), animate=put, animate_key={"rig": 1})
    records = do(shots, plan)
    assert len(written) == 3 and records["a/one"].files == ("a/one.take.npz", "a/one.fbx")
    assert records["a/one"].told == ["a toe has no bone"]
    captured(log)
    assert do(shots, plan)["a/one"].told == ["a toe has no bone"], "a skipped clip keeps its warnings"
    assert len(written) == 3
    do(shots, replace(plan, animate_key={"rig": 2}))
    assert len(written) == 6
    (plan.out / "a/one.take.npz").write_text("edited by hand")
    do(shots, replace(plan, animate_key={"rig": 2}))
    assert len(written) == 7
    assert (plan.out / "a/one.fbx").read_text() == "file of edited by hand"
    assert captured(log) == ["bad.mp4"] * 3

    def fail(take: Path, out: Path) -> list[str]:
        out.write_text("half")
        raise UserError("The rig has no legs", "Choose another one")

    failed = do(shots, replace(plan, animate=fail, animate_key={"rig": 3}))
    assert failed["a/one"].state == "failed" and (plan.out / "a/one.fbx").read_text() == "file of edited by hand"
    assert "The rig has no legs. Choose another one." in row(failed["a/one"])
    captured(log)
    assert do(shots, replace(plan, animate_key={"rig": 3}))["a/one"].state == "done"
    assert captured(log) == ["bad.mp4"], "the take was kept"


def test_a_command_that_writes_files(shots: Path, plan: Plan) -> None:
    """As `motionlift animate` does: TAKE -o FILE; warnings and one line of complaint."""

    def command(code: str) -> tuple[str, ...]:
        return sys.executable, "-c", f"import sys, os, pathlib; take, _, out = sys.argv[1:]; {code}"

    good = command("pathlib.Path(out).write_text('x'); print('warning: short legs'); print('wrote', out)")
    plan = replace(plan, suffixes=(".blend", ".fbx"))
    assert do(shots, replace(plan, animate=good))["a/one"].warnings == ("short legs",)
    assert {"a/one.blend", "a/one.fbx"} <= set(files(plan.out))
    bad = command("sys.stderr.write('motionlift: There is no armature. Choose another file.\\n'); sys.exit(2)")
    record = do(shots, replace(plan, animate=bad, animate_key={"rig": 1}))["a/one"]
    assert record.error == {"what": "There is no armature", "why": "", "remedy": "Choose another file"}
    killed = command("os.kill(os.getpid(), 9)")
    record = do(shots, replace(plan, animate=killed, animate_key={"rig": 1}))["a/one"]
    assert record.lost and record.attempts == 2 and "SIGKILL" in row(record)


def test_a_lost_process_costs_one_clip_and_is_tried_again(shots: Path, plan: Plan, log: Path) -> None:
    (shots / "a/two.mp4").write_text("crash once")
    (shots / "b/bad.mp4").write_text("crash")
    records = do(shots, plan)
    assert [records[n].state for n in ("a/one", "a/two", "b/one", "b/bad")] == ["done", "done", "done", "failed"]
    assert records["a/two"].attempts == 2 and records["b/bad"].attempts == 2
    assert "SIGKILL" in row(records["b/bad"])
    assert captured(log) == ["bad.mp4", "bad.mp4", "one.mp4", "one.mp4", "two.mp4", "two.mp4"]
    assert not [f for f in files(plan.out) if "~" in f]


def test_one_that_hangs_is_ended(shots: Path, plan: Plan) -> None:
    (shots / "b/bad.mp4").write_text("hang")
    record = do(shots, replace(plan, stall=1.5))["b/bad"]
    assert record.state == "failed" and record.attempts == 2 and "Nothing happened for 2 s" in row(record)


def test_pages_are_made_without_another_capture(shots: Path, plan: Plan, log: Path) -> None:
    do(shots, plan)
    captured(log)
    records = do(shots, replace(plan, reports=True))
    assert captured(log) == ["bad.mp4"]
    assert records["a/one"].files == ("a/one.take.npz", "a/one.html") and records["a/one"].summary["frames"] == 20
    assert (plan.out / "a/one.html").read_text() == "report of take of good"


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
def test_killed_in_the_middle_and_started_again_it_ends_complete(shots: Path, plan: Plan, log: Path) -> None:
    for i in range(6):
        (shots / "b" / f"slow{i}.mp4").write_text("slow")
    code = "import sys; from tests.blender_addon.test_batch_run import batch_main; sys.exit(batch_main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(shots / "**/*.mp4"), "-o", str(plan.out), "--jobs", "4"]
    root = HERE.parents[1]
    first = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not [f for f in files(plan.out) if "slow" in f and "~" in f]:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert [f for f in files(plan.out) if "~" in f], "it was killed between two clips"
    time.sleep(4)  # what was begun ends by itself
    done = {f"{r.name}.mp4" for n in ("a/one", "a/two", "b/one") if (r := read_record(plan.out, n)) and r.good}
    assert len(captured(log)) < 10
    second = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600)
    assert second.returncode == 1 and "9 of 10 clips are done" in second.stdout
    assert len(captured(log)) == 10 - len(done), "only what was missing was done"
    assert len([f for f in files(plan.out) if f.endswith(".take.npz")]) == 9
    assert not [f for f in files(plan.out) if "~" in f]


def batch_main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser()
    add_batch_arguments(parser)
    add_retarget_arguments(parser)
    args = parser.parse_args(argv)
    return run_command(args, worker=WORKER, settings={}, settings_key={}, animate=(), variables={})


class TestCommand:
    def test_summary_sheet_and_exit_code(self, shots: Path, plan: Plan, capsys: Any) -> None:
        (shots / "b/one.mp4").rename(shots / "b/<b>&one.mp4")
        assert batch_main([str(shots / "**/*.mp4"), "-o", str(plan.out)]) == 1
        told = json.loads((plan.out / "batch.json").read_text())
        assert told["counts"] == {"clips": 4, "done": 3, "skipped": 0, "failed": 1} and not told["complete"]
        bad = next(c for c in told["clips"] if c["name"] == "b/bad")
        assert bad["error"]["remedy"] == "Choose another clip"
        page = (plan.out / "batch.html").read_text()
        assert "b/&lt;b&gt;&amp;one" in page and "<b>&one" not in page and "{{" not in page
        assert "nobody is seen" in page and page.count("data:image/jpeg;base64,") == 3
        assert not re.search(r"(src|href)=.?https?:", page) and "3 of 4 clips are done" in capsys.readouterr().out
        (shots / "b/bad.mp4").unlink()
        assert batch_main([str(shots / "**/*.mp4"), "-o", str(plan.out)]) == 0
        assert json.loads((plan.out / "batch.json").read_text())["complete"]

    def test_a_farm_does_one_clip_a_command_and_the_sheet_last(self, shots: Path, plan: Plan, capsys: Any) -> None:
        common = ["--base", str(shots), "-o", str(plan.out)]
        for name in ("a/one", "a/two", "b/one"):
            assert batch_main([str(shots / f"{name}.mp4"), *common, "--jobs", "1", "--no-sheet"]) == 0
        assert not (plan.out / "batch.html").exists()
        (shots / "b/bad.mp4").unlink()
        assert batch_main([str(shots / "**/*.mp4"), *common]) == 0
        assert "3 of 3 clips are done (3 were before)" in capsys.readouterr().out
        assert json.loads((plan.out / "batch.json").read_text())["counts"]["skipped"] == 3

    def test_bad_input_is_refused_before_anything_is_begun(self, shots: Path, plan: Plan, log: Path) -> None:
        clips = str(shots / "a")
        for words, said in (
            (["--jobs", "0"], "0 clips at a time"),
            (["--stall", "-1"], "minutes"),
            (["--export", "doc"], '"doc" is no format'),
            (["--rig", "no.blend"], "no.blend: cannot be read"),
            (["--out", str(shots / "a/one.mp4" / "x")], "cannot be made"),
        ):
            with pytest.raises(UserError, match=said):
                batch_main([clips, "-o", str(plan.out), *words])
        assert not captured(log)

    def test_a_missing_clip_is_one_bad_clip(self, shots: Path, plan: Plan, capsys: Any) -> None:
        assert batch_main([str(shots / "a/one.mp4"), str(shots / "a/no.mp4"), "-o", str(plan.out)]) == 1
        assert "no.mp4: no such file" in capsys.readouterr().out


def test_words_of_a_retarget_command_come_through_another_process() -> None:
    parser = argparse.ArgumentParser()
    add_retarget_arguments(parser)
    words = ["--person", "2", "--rig", "a b.blend:Hero", "--mapping", "mixamo", "--root", "in-place", "--limbs", "ik"]
    words += [
        "--no-foot-lock",
        "--no-fingers",
        "--stride",
        "-0.5",
        "--mirror",
        "--step",
        "2",
        "--reduce",
        "1",
        "2.5",
        "--nla",
        "--layer",
    ]
    args = parser.parse_args(words)
    assert all(value not in (None, False) for value in vars(args).values()), "an option that this test does not know"
    assert parser.parse_args(retarget_argv(args)) == args
    nothing = parser.parse_args([])
    assert parser.parse_args(retarget_argv(nothing)) == nothing


def test_results_depend_on_what_is_in_a_rig_not_on_its_name(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_retarget_arguments(parser)

    def key(*words: str) -> dict[str, Any]:
        return retarget_key(parser.parse_args(list(words)))

    for name, text in {"a": "rig", "b": "rig", "c": "other"}.items():
        (tmp_path / f"{name}.blend").write_text(text)
    assert key("--rig", f"{tmp_path}/a.blend") == key("--rig", f"{tmp_path}/b.blend")
    assert key("--rig", f"{tmp_path}/a.blend") != key("--rig", f"{tmp_path}/c.blend")
    assert key("--rig", f"{tmp_path}/a.blend") != key("--rig", f"{tmp_path}/a.blend:Hero")
    assert key("--mirror") != key() != key("--no-fingers")


def test_records_and_leftovers(tmp_path: Path) -> None:
    assert read_record(tmp_path, "no") is None
    parts = {temporary(tmp_path / "my.walk.take.npz") for _ in range(3)}
    assert len(parts) == 3 and all(p.name.startswith(".my.~") and p.name.endswith(".walk.take.npz") for p in parts)


def test_the_table_draws_over_itself_in_a_terminal_only(tmp_path: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream in (Terminal(), io.StringIO()):
        table = Table(2, stream)
        table.running([], 2)
        table.ended(Record("/x/\x1b[31mred.mp4", "\x1b[31mred", "done", summary={"frames": 9, "people": 1}))
        table.close()
        said = stream.getvalue()
        assert "?[31mred" in said and "done" in said
        assert ("\x1b[1A" in said) == stream.isatty() and ("2 waiting" in said) == stream.isatty()


def test_an_empty_batch_has_a_sheet(tmp_path: Path) -> None:
    write_summary(tmp_path, [], 3, {})
    assert json.loads((tmp_path / "batch.json").read_text())["counts"]["clips"] == 3
    assert "3</b>clips" in write_sheet(tmp_path, [], 3).read_text()
