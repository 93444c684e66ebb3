"""The worker's process as Blender has it: messages, cancelling, crashes, the queue. Real processes, no bpy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from blender_addon.worker.job_queue import JobQueue
from blender_addon.worker.messages import (
    ENDINGS,
    Cancelled,
    Done,
    Failed,
    Garbled,
    Job,
    Message,
    Progress,
    Warned,
    capture_job,
    parse,
)
from blender_addon.worker.process import KEPT_REPORTS, NICENESS, Worker, end_in_words, remove_unfinished

SCRIPT = """
import json, os, signal, subprocess, sys, time
def say(**said): print(json.dumps(said), flush=True)
for line in sys.stdin:
    job = json.loads(line); i = job["id"]
    if job["kind"] == "work":
        for n in range(3): say(id=i, type="progress", stage="detect", done=n, total=3, rate=None, left_s=None)
        say(id=i, type="warning", message="careful")
        say(id=i, type="done", take=None, summary={"pid": os.getpid()})
    elif job["kind"] == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        name = os.path.basename(job["output"])
        open(os.path.join(os.path.dirname(job["output"]), f".{name}.abcd1234"), "w").write("half a take")
        say(id=i, type="progress", stage=str(child.pid), done=0, total=0, rate=None, left_s=None)
        time.sleep(600)
    elif job["kind"] == "fail":
        say(id=i, type="error", what="No", why="", remedy="Try", report="Traceback ...")
    elif job["kind"] == "garble":
        sys.stdout.buffer.write(b"\\xff\\xfe no json\\n" + b"x" * 3_000_000 + b"\\n{}\\n[]\\nnull\\n{\\"type\\": []}\\n"); sys.stdout.flush()
        say(id=i, type="done", take=None, summary={})
    elif job["kind"] == "crash":
        print("going down", file=sys.stderr, flush=True); os._exit(job["code"])
    elif job["kind"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
"""  # noqa: E501
posix = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture
def start(tmp_path: Path) -> Callable[[], Worker]:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "takes").mkdir()

    def start() -> Worker:
        return Worker([sys.executable, "-u", str(tmp_path / "script.py")], {}, tmp_path / "logs")

    return start


@posix
def test_it_gives_way_to_blender(start: Callable[[], Worker]) -> None:
    worker = start()
    worker.submit(Job("work"))
    until(worker.poll, lambda came: any(isinstance(m, Done) for m in came))
    assert worker.pid
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == max(ours, NICENESS)
    group = Path(f"/proc/{worker.pid}/autogroup")
    if group.exists():
        assert group.read_text().split()[-1] == str(NICENESS)
    assert worker.close(60)


def until(
    poll: Callable[[], list[Message]], ended: Callable[[list[Message]], bool], seconds: float = 300
) -> list[Message]:
    """Poll until something holds of all that came; every poll returns at once."""
    came: list[Message] = []
    begun = time.monotonic()
    while not ended(came):
        asked = time.monotonic()
        came += poll()
        assert time.monotonic() - asked < 60, "polling must not wait"
        assert time.monotonic() - begun < seconds, came
        time.sleep(0.005)
    return came


def endings(messages: list[Message]) -> list[Message]:
    return [m for m in messages if isinstance(m, ENDINGS)]


def is_running(pid: int) -> bool:
    """Neither gone nor a zombie that nobody has waited for yet."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


class TestMessages:
    def test_each_kind_is_read(self) -> None:
        assert parse(b'{"id": 1, "type": "warning", "message": "m"}') == Warned(1, "m")
        assert parse('{"id": 1, "type": "done", "take": "a.npz", "summary": {"people": 2}}') == Done(
            1, Path("a.npz"), {"people": 2}
        )
        assert parse('{"id": null, "type": "error", "what": "a", "why": "", "remedy": "c"}') == Failed(
            None, "a", "", "c"
        )
        said = '{"id": 1, "type": "progress", "stage": "s", "done": 1, "total": 2, "rate": 0.5, "left_s": null}'
        assert parse(said) == Progress(1, "s", 1, 2, 0.5, None)

    @pytest.mark.parametrize(
        "line",
        [
            b"", b"\xff\xfe", b"{", b"[]", b"7", b'{"type": "nothing"}', b'{"type": ["done"]}', b'{"type": "done"}',
            b'{"id": true, "type": "done", "take": null, "summary": {}}', b"[" * 100_000,
            b'{"id": 1, "type": "done", "take": 5, "summary": {}}',
            b'{"id": 1, "type": "done", "take": null, "summary": 3}',
            b'{"id": 1, "type": "progress", "stage": "s", "done": "1", "total": 2, "rate": null, "left_s": null}',
        ],
    )  # fmt: skip
    def test_a_garbled_line_is_data(self, line: bytes) -> None:
        assert isinstance(parse(line), Garbled)

    def test_ids_differ_and_what_json_cannot_say_is_refused(self) -> None:
        assert capture_job("a", "b").id != capture_job("a", "b").id
        with pytest.raises(ValueError):
            capture_job("a", "b", {"height": float("nan")}).line()

    def test_a_failure_reads_as_sentences(self) -> None:
        assert Failed(1, "It broke", "boom", "Try again").text == "It broke (boom). Try again."
        assert Failed(1, "No 'a'", "", "Did you mean 'b'?").text == "No 'a'. Did you mean 'b'?"


class TestWorker:
    def test_jobs_run_in_order_and_progress_is_not_piled_up(self, start: Callable[[], Worker]) -> None:
        worker = start()
        ids = [worker.submit(Job("work")) for _ in range(3)]
        time.sleep(1)
        came = until(worker.poll, lambda m: len(endings(m)) == 3)
        assert [m.id for m in endings(came) if not isinstance(m, Garbled)] == ids
        assert sum(isinstance(m, Warned) for m in came) == 3
        assert sum(isinstance(m, Progress) for m in came) == 3, "of each run of progress only the latest"
        assert worker.alive and worker.close(60) and not worker.alive

    def test_starting_and_submitting_return_at_once(self, start: Callable[[], Worker]) -> None:
        begun = time.monotonic()
        worker = start()
        worker.submit(Job("work"))
        worker.cancel()
        assert time.monotonic() - begun < 60
        assert worker.close(60)

    @posix
    def test_cancelling_leaves_no_process_nor_file(self, start: Callable[[], Worker], tmp_path: Path) -> None:
        worker = start()
        take = tmp_path / "takes" / "walk.take.npz"
        other = tmp_path / "takes" / ".walk.take.npz.backup.txt"
        other.write_text("the user's own")
        job = worker.submit(Job("hang", {"output": str(take)}))
        waiting = worker.submit(Job("work"))
        (progress,) = until(worker.poll, bool)
        assert isinstance(progress, Progress) and worker.pid
        begun = time.monotonic()
        worker.cancel()
        assert time.monotonic() - begun < 60 and not worker.alive
        came = until(worker.poll, lambda m: len(m) == 2)
        assert time.monotonic() - begun < 300
        assert came == [Cancelled(job), Cancelled(waiting)] and worker.gone
        assert not is_running(worker.pid) and not is_running(int(progress.stage)), "its own child ends too"
        assert list((tmp_path / "takes").iterdir()) == [other]
        assert not (tmp_path / "logs").exists(), "cancelling is no crash"

    @posix
    def test_a_killed_worker_says_so_and_keeps_a_report(self, start: Callable[[], Worker], tmp_path: Path) -> None:
        worker = start()
        take = tmp_path / "takes" / "walk.take.npz"
        job = worker.submit(Job("hang", {"output": str(take)}))
        (progress,) = until(worker.poll, bool)
        assert isinstance(progress, Progress) and worker.pid
        os.kill(worker.pid, signal.SIGKILL)
        (failed,) = until(worker.poll, bool)
        assert isinstance(failed, Failed) and failed.id == job
        assert "was killed (SIGKILL)" in failed.what and "Memory" in failed.remedy
        assert failed.report_file and '"kind": "hang"' in failed.report_file.read_text()
        assert not list((tmp_path / "takes").iterdir()) and not worker.alive
        assert not is_running(int(progress.stage)), "what it had started ends too"
        late = worker.submit(Job("work"))
        (again,) = until(worker.poll, bool)
        assert isinstance(again, Failed) and again.id == late and "SIGKILL" in again.what

    def test_a_crash_shows_exit_code_and_last_lines(self, start: Callable[[], Worker]) -> None:
        worker = start()
        worker.submit(Job("crash", {"code": 3}))
        (failed,) = until(worker.poll, bool)
        assert isinstance(failed, Failed) and "exit code 3" in failed.what and failed.why == "going down"
        assert failed.report_file and "going down" in failed.report_file.read_text()
        assert worker.last_lines == ["going down"]

    def test_an_error_with_a_report_keeps_it_and_only_so_many_are_kept(
        self, start: Callable[[], Worker], tmp_path: Path
    ) -> None:
        (tmp_path / "logs").mkdir()
        for n in range(KEPT_REPORTS + 5):
            (tmp_path / "logs" / f"report-20000101-0000{n:02}-1.txt").touch()
        worker = start()
        worker.submit(Job("fail"))
        (failed,) = until(worker.poll, bool)
        assert isinstance(failed, Failed) and failed.report_file
        assert "Traceback ..." in failed.report_file.read_text() and worker.alive
        assert len(list((tmp_path / "logs").iterdir())) == KEPT_REPORTS
        worker.close(60)

    def test_garbled_output_does_no_harm(self, start: Callable[[], Worker]) -> None:
        worker = start()
        job = worker.submit(Job("garble"))
        came = until(worker.poll, lambda m: bool(endings(m)))
        assert endings(came) == [Done(job, None, {})]
        assert all(len(m.text) <= 2000 for m in came if isinstance(m, Garbled))
        worker.close(60)

    def test_a_command_that_is_not_there_is_an_error_with_a_remedy(self, tmp_path: Path) -> None:
        worker = Worker([str(tmp_path / "nothing")], {}, tmp_path)
        job = worker.submit(Job("work"))
        (failed,) = until(worker.poll, bool)
        assert isinstance(failed, Failed) and failed.id == job and "cannot be started" in failed.what
        assert worker.close(60)

    def test_the_process_ends_when_its_parent_does(self, tmp_path: Path) -> None:
        (tmp_path / "script.py").write_text(SCRIPT)
        root = Path(__file__).parents[2]
        parent = f"""if 1:
            import sys, time, os; sys.path.insert(0, {str(root)!r})
            from pathlib import Path
            from blender_addon.worker.process import Worker
            worker = Worker([sys.executable, {str(tmp_path / "script.py")!r}], {{}}, Path({str(tmp_path)!r}))
            while not worker.pid: time.sleep(0.01)
            print(worker.pid, flush=True); os._exit(0)"""
        done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
        deadline = time.monotonic() + 600
        while is_running(int(done.stdout)):
            assert time.monotonic() < deadline
            time.sleep(0.02)


class TestQueue:
    def test_jobs_wait_for_each_other_and_share_a_worker(self, start: Callable[[], Worker]) -> None:
        queue = JobQueue(start)
        ids = [queue.add(Job("work")) for _ in range(3)]
        assert queue.running and queue.running.id == ids[0] and [j.id for j in queue.waiting] == ids[1:]
        came = until(queue.poll, lambda m: len(endings(m)) == 3)
        done = [m for m in endings(came) if isinstance(m, Done)]
        assert [m.id for m in done] == ids and len({m.summary["pid"] for m in done}) == 1
        assert queue.running is None and queue.waiting == () and queue.close(60)

    @posix
    def test_one_is_cancelled_and_the_others_run(self, start: Callable[[], Worker], tmp_path: Path) -> None:
        queue = JobQueue(start)
        hang, first, second = (
            queue.add(j) for j in (Job("hang", {"output": str(tmp_path / "takes" / "x")}), Job("work"), Job("work"))
        )
        until(queue.poll, bool)
        queue.cancel(first)
        queue.cancel(hang)
        came = until(queue.poll, lambda m: len(endings(m)) == 3)
        assert endings(came)[:2] == [Cancelled(first), Cancelled(hang)]
        last = endings(came)[2]
        assert isinstance(last, Done) and last.id == second, "in a new worker"
        assert queue.close(60)

    def test_a_crash_costs_one_job(self, start: Callable[[], Worker]) -> None:
        queue = JobQueue(start)
        crash, work = queue.add(Job("crash", {"code": 1})), queue.add(Job("work"))
        came = until(queue.poll, lambda m: len(endings(m)) == 2)
        assert [(type(m), m.id) for m in came if isinstance(m, Failed | Done)] == [(Failed, crash), (Done, work)]
        queue.close(60)

    @posix
    def test_closing_ends_everything(self, start: Callable[[], Worker], tmp_path: Path) -> None:
        queue = JobQueue(start)
        hang, work = queue.add(Job("hang", {"output": str(tmp_path / "takes" / "x")})), queue.add(Job("work"))
        until(queue.poll, bool)
        begun = time.monotonic()
        assert queue.close(60) and time.monotonic() - begun < 300
        late = queue.add(Job("work"))
        came = until(queue.poll, lambda m: len(endings(m)) == 3)
        assert {m.id for m in came if isinstance(m, Cancelled)} == {hang, work, late}


def test_exit_codes_are_put_in_words() -> None:
    assert "SIGSEGV" in end_in_words(-11)[0] and "crashed" in end_in_words(-11)[0]
    assert "0xC0000005" in end_in_words(0xC0000005)[0] and "crashed" in end_in_words(0xC0000005)[0]
    assert "exit code 1" in end_in_words(1)[0] and "signal 99" in end_in_words(-99)[0]


def test_only_unfinished_takes_are_removed(tmp_path: Path) -> None:
    kept = [
        tmp_path / n for n in ("a.take.npz", ".b.take.npz.abcd1234", ".a.take.npz.abcd12345", "a.take.npz.abcd1234")
    ]
    for path in (*kept, tmp_path / ".a.take.npz.abcd_234"):
        path.touch()
    remove_unfinished(tmp_path / "a.take.npz")
    assert sorted(tmp_path.iterdir()) == sorted(kept)
