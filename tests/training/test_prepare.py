from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.errors import MotionliftError  # noqa: E402
from lifter.skeleton import Skeleton, load_skeleton, skeleton_from_dict  # noqa: E402
from tests.training.archives import write_3dhp, write_h36m, write_humaneva, write_motionbert  # noqa: E402
from tests.training.bvh_files import joints_bvh, wandering_turns  # noqa: E402
from tests.training.test_amass import write_amass, write_model  # noqa: E402
from training.cli import main  # noqa: E402
from training.data.prepare import load_corpus, prepare  # noqa: E402
from training.data.store import Store, load_store  # noqa: E402

UPPER = ("pelvis", "spine", "neck", "head", "l_shoulder", "l_elbow", "l_wrist", "r_shoulder", "r_elbow", "r_wrist")


def hand() -> Skeleton:
    """A hand of 21 joints: no pelvis, no feet, no mirror image."""
    joints = [{"name": "wrist", "rest": [0.0, 0.0, 0.0]}]
    for f, finger in enumerate(("thumb", "index", "middle", "ring", "little")):
        for i in range(4):
            parent = "wrist" if i == 0 else f"{finger}_{i - 1}"
            joints.append(
                {"name": f"{finger}_{i}", "parent": parent, "rest": [0.02 * (f - 2), 0.01 * f, 0.06 + 0.03 * i]}
            )
    return skeleton_from_dict({"name": "hand", "height": 0.18, "joints": joints})


def upper() -> Skeleton:
    h36m = load_skeleton("h36m")
    rest = {n: h36m.rest[h36m.joint(n)].tolist() for n in h36m.joint_names}
    rest |= {"spine": rest["h36m_spine"], "head": rest["head_top"]}
    parent = {"spine": "pelvis", "neck": "spine", "head": "neck"}
    parent |= {f"{s}_shoulder": "neck" for s in "lr"} | {f"{s}_elbow": f"{s}_shoulder" for s in "lr"}
    parent |= {f"{s}_wrist": f"{s}_elbow" for s in "lr"}
    joints = [{"name": n, "rest": rest[n]} | ({"parent": parent[n]} if n in parent else {}) for n in UPPER]
    return skeleton_from_dict({"name": "upper", "joints": joints})


def toml_of(skeleton: Skeleton) -> str:
    data = skeleton.to_dict()
    lines = [f'name = "{data["name"]}"', f"height = {data['height']}", "joints = ["]
    for joint in data["joints"]:
        lines.append("    { " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in joint.items()) + " },")
    return "\n".join([*lines, "]"])


def corpus_of(folder: Path, skeleton: Skeleton, takes: int = 3, frames: int = 30, **more: str) -> tuple[Path, dict]:
    """A corpus of BVH files of this skeleton, with its TOML files; path of the corpus, and joints by recording."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for i in range(takes):
        turns = wandering_turns(frames, len(skeleton.parents), seed=i)
        truth[f"studio/{'ab'[i % 2]}/{i}"] = joints_bvh(skeleton, turns, folder / "bvh" / "ab"[i % 2] / f"{i}.bvh")
    (folder / "skeleton.toml").write_text(toml_of(skeleton))
    names = "\n".join(f'{n} = "{n}"' for n in skeleton.joint_names)
    (folder / "map.toml").write_text(f"unit_m = 0.01\n[joints]\n{names}\n")
    keys = {"path": "bvh", "map": "map.toml", "name": "studio", "subject": "^(.)/", "licence": "ours"} | more
    source = "\n".join(f"{k} = {json.dumps(v)}" for k, v in keys.items())
    (folder / "corpus.toml").write_text(
        f'skeleton = "skeleton.toml"\n[[sources]]\nkind = "bvh"\ntest = ["b"]\n{source}\n'
    )
    return folder / "corpus.toml", truth


def prepared(corpus: Path, out: Path, **options) -> Store:
    return prepare(*load_corpus(corpus), out, **options)


@pytest.mark.parametrize("make", [hand, upper])
def test_any_skeleton_goes_through(tmp_path: Path, make) -> None:
    skeleton = make()
    corpus, truth = corpus_of(tmp_path / "in", skeleton)
    store = prepared(corpus, tmp_path / "out", strict=True)
    assert store.skeleton.joint_names == skeleton.joint_names and store.names == tuple(sorted(truth))
    for i, name in enumerate(store.names):
        clip, arrays = store.clip(i), store.read(i)
        assert np.allclose(arrays["joints"], truth[name], atol=1e-5)
        assert clip.fields == ("joints", "up") and clip.fps == pytest.approx(50) and clip.licence == "ours"
        assert (clip.subject, clip.split) == (("a", "train") if "/a/" in name else ("b", "test"))


def test_what_cannot_be_read_is_left_out_and_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    corpus, truth = corpus_of(tmp_path / "in", hand())
    (tmp_path / "in" / "bvh" / "a" / "1.bvh").write_text("HIERARCHY nothing")
    (tmp_path / "in" / "bvh" / "c.bvh").write_text("nothing")
    with caplog.at_level(logging.INFO):
        store = prepared(corpus, tmp_path / "out")
    assert store.names == tuple(sorted(truth))
    # c.bvh is in no subject's folder, and 1.bvh has no motion
    assert [n for n, _ in store.skipped] == ["studio/a/1.bvh", "studio/c.bvh"]
    assert "left out studio/a/1.bvh" in caplog.text and "2 left out" in caplog.text
    with pytest.raises(MotionliftError, match=r"a/1\.bvh"):
        prepared(corpus, tmp_path / "strict", strict=True)


def test_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    corpus, _ = corpus_of(tmp_path / "in", hand(), path="nowhere")
    with pytest.raises(MotionliftError, match=r"no recording could be prepared.*nowhere"):
        prepared(corpus, tmp_path / "out")


WRONG = {
    r"'kind': 'bvhh'|kind: 'bvhh'.*'bvh'": ('kind = "bvh"', 'kind = "bvhh"'),
    r"unknown key 'paths'.*'path'": ('path = "bvh"', 'paths = "bvh"'),
    r"unknown key 'skelton'.*'skeleton'": ("skeleton =", "skelton ="),
    r"most_fps: 'many' is not a number": ('test = ["b"]', 'most_fps = "many"'),
    r"'map' is missing": ('map = "map.toml"', ""),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_corpora_are_refused_with_the_nearest_name(tmp_path: Path, message: str) -> None:
    corpus, _ = corpus_of(tmp_path / "in", hand(), takes=1)
    text = corpus.read_text()
    assert WRONG[message][0] in text
    corpus.write_text(text.replace(*WRONG[message]))
    with pytest.raises(MotionliftError, match=message):
        load_corpus(corpus)


def test_a_unit_must_be_said(tmp_path: Path) -> None:
    corpus, _ = corpus_of(tmp_path / "in", hand(), takes=1)
    (tmp_path / "in" / "map.toml").write_text((tmp_path / "in" / "map.toml").read_text().replace("unit_m = 0.01", ""))
    with pytest.raises(MotionliftError, match="Add unit_m"):
        prepared(corpus, tmp_path / "out", strict=True)


def test_the_same_command_again_changes_nothing_and_other_files_are_noticed(tmp_path: Path) -> None:
    corpus, _ = corpus_of(tmp_path / "in", hand())
    prepared(corpus, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    prepared(corpus, tmp_path / "out")
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    joints_bvh(hand(), wandering_turns(20, 21, seed=9), tmp_path / "in" / "bvh" / "a" / "9.bvh")
    with pytest.raises(MotionliftError, match=r"another files.*--fresh"):
        prepared(corpus, tmp_path / "out")
    assert len(prepared(corpus, tmp_path / "out", fresh=True)) == 4


def test_a_killed_preparation_is_taken_up_by_the_same_command(tmp_path: Path) -> None:
    corpus, truth = corpus_of(tmp_path / "in", hand(), takes=24, frames=120)
    code = (
        "import sys; from pathlib import Path; import time\n"
        "import training.data.prepare as p\n"
        "whole = p.StoreWriter.add\n"
        "def slow(self, *a): time.sleep(0.05); return whole(self, *a)\n"
        "p.StoreWriter.add = slow\n"
        "p.StoreWriter.__init__.__kwdefaults__['shard_bytes'] = 60_000\n"
        "p.prepare(*p.load_corpus(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", code, str(corpus), str(out)], stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 600
        while len(list(out.glob("parts/*.json"))) < 3 and time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert 3 <= len(list(out.glob("parts/*.json"))) < 24 and not (out / "index.json").exists()
    finished = {p: p.stat().st_mtime_ns for p in out.glob("shards/*.f32")}
    with pytest.raises(MotionliftError, match="not finished"):
        load_store(out)
    store = prepared(corpus, out)
    assert all(p.stat().st_mtime_ns == t for p, t in finished.items())
    assert sorted(store.names) == sorted(truth)
    for i, name in enumerate(store.names):
        assert np.allclose(store.read(i)["joints"], truth[name], atol=1e-5)


def test_every_other_kind_of_source_goes_through(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_h36m(folder)
    write_motionbert(folder / "mb.pkl")
    write_3dhp(folder)
    write_amass(folder / "amass" / "CMU" / "01" / "a.npz")
    write_model(folder / "model.npz")
    listed = [{"image_id": t, "keypoints": [100.0, 200.0, 0.5] * 17, "track_id": 1} for t in range(5)]
    (folder / "clip.json").write_text(json.dumps(listed))
    (folder / "corpus.toml").write_text("""
        skeleton = "h36m"
        sources = [
            { kind = "h36m", path = ".", train = ["S1"], test = ["S9"] },
            { kind = "h36m_motionbert", path = "mb.pkl" },
            { kind = "mpi_inf_3dhp", path = "." },
            { kind = "amass", path = "amass", body_model = "model.npz" },
            { kind = "keypoints", path = "clip.json", format = "coco" },
        ]
    """)
    store = prepared(folder / "corpus.toml", tmp_path / "out", strict=True)
    counts = {s: store.sources.count(s) for s in dict.fromkeys(store.sources)}
    assert counts == {"h36m": 16, "h36m_mb": 5, "3dhp": 5, "amass": 1, "keypoints": 1}
    assert store.cameras[0] == "54138969" and store.actions[0] == "Directions"
    assert len(store.select("joints", "keypoints", split="test")) == 8 + 2
    assert len(store.select("image_joints_mm")) == 3 and len(store.select("valid")) == 2
    assert set(store.clip(0).fields) >= {
        "joints",
        "keypoints",
        "scores",
        "up",
        "image_size",
        "camera_pose",
        "intrinsics",
    }

    write_humaneva(folder)
    (folder / "corpus.toml").write_text('skeleton = "humaneva15"\nsources = [{ kind = "humaneva", path = "." }]')
    assert len(prepared(folder / "corpus.toml", tmp_path / "out", fresh=True, strict=True)) == 18


def test_a_folder_with_a_manifest(tmp_path: Path) -> None:
    skeleton = hand()
    folder = tmp_path / "open"
    records = []
    for i, subject in enumerate(("cmu_01", "cmu_05", "cmu_07")):
        joints_bvh(skeleton, wandering_turns(10, 21, seed=i), folder / "accad" / f"{i}.bvh")
        records.append({"id": f"t{i}", "source": "accad", "file": f"accad/{i}.bvh", "subject": subject, "unit_m": 0.01})
    records.append(records[0] | {"id": "gone", "file": "accad/gone.bvh"})
    (folder / "manifest.json").write_text(json.dumps(records))
    with tarfile.open(folder / "accad.tar.xz", "w:xz") as archive:
        for i in range(3):
            archive.add(folder / "accad" / f"{i}.bvh", f"accad/{i}.bvh")
    # The files have no joints of ACCAD's names: each is read, and the joint that is missing is named.
    with pytest.raises(MotionliftError, match=r"no recording could be prepared.*accad/0\.bvh: no joint"):
        prepared(folder, tmp_path / "out")
    (folder / "manifest.json").write_text(json.dumps([{"id": "a"}]))
    with pytest.raises(MotionliftError, match=r"record 0 has no 'source'"):
        prepared(folder, tmp_path / "out2", strict=True)


def test_the_open_corpus(shared: Path, tmp_path: Path, body: Skeleton) -> None:
    """One source of it, with its splits; the others are of the same form."""
    folder = tmp_path / "open"
    folder.mkdir()
    records = json.loads((shared / "data" / "mocap" / "manifest.json").read_text())
    picked = [r for r in records if r["source"] == "cmu_c3s2s"][:2] + [r for r in records if r["subject"] == "cmu_07"][
        :1
    ]
    (folder / "manifest.json").write_text(json.dumps(picked))
    for source in ("cmu_c3s2s", "cmu_mb"):
        (folder / f"{source}.tar.xz").symlink_to(shared / "data" / "mocap" / f"{source}.tar.xz")
    store = prepared(folder, tmp_path / "out", strict=True)
    assert sorted(store.splits) == ["train", "train", "validation"]
    assert all("NSF EIA-0196217" in text for text in store.licences)
    for i in range(3):
        arrays = store.read(i)
        assert set(arrays) == {"rotations", "root", "contacts", "joints", "up"}
        assert np.allclose(arrays["joints"][:, 0], arrays["root"])
        assert 0.02 < arrays["contacts"].mean() < 1


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, truth = corpus_of(tmp_path / "in", hand())
    out = str(tmp_path / "out")
    assert main(["prepare", str(corpus), "--out", out]) == 0
    assert sorted(load_store(Path(out)).names) == sorted(truth)
    (tmp_path / "in" / "bvh" / "a" / "bad.bvh").write_text("nothing")
    assert main(["prepare", str(corpus), "--out", out]) == 2
    assert "--fresh" in capsys.readouterr().err
    assert main(["prepare", str(corpus), "--out", out, "--fresh", "--strict"]) == 2
    assert "bad.bvh: not a BVH file" in capsys.readouterr().err
    assert main(["prepare", str(corpus), "--out", out, "--fresh"]) == 0
    assert main(["prepare", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err
