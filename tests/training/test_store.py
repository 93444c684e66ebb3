from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.errors import MotionliftError  # noqa: E402
from lifter.skeleton import Skeleton, load_skeleton  # noqa: E402
from training.data.recording import Recording  # noqa: E402
from training.data.store import Store, StoreWriter, draw_clips, draw_windows, load_store  # noqa: E402

H36M = load_skeleton("h36m")


def recording(i: int, frames: int = 40, **more) -> Recording:
    rng = np.random.default_rng(i)
    arrays = {"joints": rng.normal(size=(frames, 17, 3)), "up": np.array([0, 0, 1.0])}
    if i % 2:
        keypoints = rng.normal(size=(frames, 17, 2))
        keypoints[3, 4] = np.nan
        arrays |= {"keypoints": keypoints, "scores": rng.random((frames, 17))}
    known = {"source": "made", "subject": f"s{i % 3}", "fps": 50.0, "split": ("train", "test")[i % 2]}
    return Recording(f"made/{i}", **(known | {"arrays": arrays} | more))


def written(folder: Path, recordings: list[Recording], skeleton: Skeleton = H36M, **options) -> Store:
    writer = StoreWriter(folder, skeleton, {"sources": "made"}, **options)
    for r in recordings:
        if not writer.has(r.name):
            writer.add(r.name, [r])
    return writer.finish()


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    made = [recording(i, frames=20 + i) for i in range(9)]
    store = written(tmp_path / "s", made, shard_bytes=15_000)
    assert len(list((tmp_path / "s" / "shards").glob("*.f32"))) > 2
    assert len(store) == 9 and store.frames == sum(range(20, 29))
    for i, r in enumerate(made):
        for name, array in store.read(i).items():
            assert np.array_equal(array, np.asarray(r.arrays[name], np.float32), equal_nan=True)
        part = store.read(i, ["joints", "up"], 5, 7)
        assert np.array_equal(part["joints"], np.asarray(r.arrays["joints"], np.float32)[5:12])
        assert part["up"].tolist() == [0, 0, 1]
    clip = store.clip(3)
    assert (clip.name, clip.subject, clip.split, clip.fps, clip.frames) == ("made/3", "s0", "test", 50.0, 23)
    assert clip.fields == ("joints", "keypoints", "scores", "up")
    assert store.select("keypoints").tolist() == [1, 3, 5, 7]
    assert store.select("joints", split="train").tolist() == [0, 2, 4, 6, 8]
    assert store.select("nothing").tolist() == []
    assert store.skeleton.joint_names == H36M.joint_names


def test_a_store_travels_to_worker_processes_as_its_path(tmp_path: Path) -> None:
    store = written(tmp_path / "s", [recording(0)])
    again = pickle.loads(pickle.dumps(store))
    assert np.array_equal(again.read(0)["joints"], store.read(0)["joints"])


@pytest.mark.parametrize(
    ("fields", "start", "frames", "error"),
    [(["scores"], 0, 1, MotionliftError), (None, 39, 2, IndexError), (None, -1, 2, IndexError)],
)
def test_reading_what_is_not_there(tmp_path: Path, fields, start: int, frames: int, error: type[Exception]) -> None:
    store = written(tmp_path / "s", [recording(0)])
    with pytest.raises(error, match=r"no scores|frames"):
        store.read(0, fields, start, frames)


WRONG = {
    "joints is": {"joints": np.zeros((4, 16, 3))},
    "not finite": {"joints": np.full((4, 17, 3), np.nan)},
    "no field 'hands'": {"hands": np.zeros((4, 2))},
    "no frames": {"up": np.zeros(3)},
    r"scores is \(5, 17\), expected \(4, 17\)": {"joints": np.zeros((4, 17, 3)), "scores": np.zeros((5, 17))},
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_recordings_are_refused_whole(tmp_path: Path, message: str) -> None:
    writer = StoreWriter(tmp_path / "s", H36M, {})
    writer.add("good", [recording(0)])
    with pytest.raises(MotionliftError, match=message):
        writer.add("bad", [recording(2), recording(4, arrays=WRONG[message])])
    with pytest.raises(MotionliftError, match="of this name"):
        writer.add("again", [recording(0)])
    assert writer.finish([("bad", "why")]).names == ("made/0",)
    assert load_store(tmp_path / "s").skipped == (("bad", "why"),)


def test_a_killed_preparation_goes_on_where_shards_were_finished(tmp_path: Path) -> None:
    made = [recording(i) for i in range(8)]
    whole = written(tmp_path / "whole", made, shard_bytes=15_000)
    writer = StoreWriter(tmp_path / "s", H36M, {"sources": "made"}, shard_bytes=15_000)
    for r in made[:4]:
        writer.add(r.name, [r])
    del writer  # killed: what is not in a finished shard is lost
    (tmp_path / "s" / "shards" / "00001.f32.tmp").write_bytes(b"half")
    with pytest.raises(MotionliftError, match="not finished"):
        load_store(tmp_path / "s")
    parts = sorted((tmp_path / "s" / "parts").glob("*.json"))
    done = [n for p in parts for n in json.loads(p.read_text())["items"]]
    assert 0 < len(done) < 5
    (tmp_path / "s" / "shards" / "00099.f32").write_bytes(b"of a preparation before")
    store = written(tmp_path / "s", made, shard_bytes=15_000)
    assert len(list((tmp_path / "s" / "shards").iterdir())) == len(list((tmp_path / "whole" / "shards").iterdir()))
    assert store.names == whole.names
    for i in range(8):
        assert all(np.array_equal(a, whole.read(i)[k], equal_nan=True) for k, a in store.read(i).items())


def test_another_plan_does_not_mix_into_a_store(tmp_path: Path) -> None:
    written(tmp_path / "s", [recording(0)])
    with pytest.raises(MotionliftError, match=r"another sources.*--fresh"):
        StoreWriter(tmp_path / "s", H36M, {"sources": "other"})
    assert load_store(tmp_path / "s").names == ("made/0",)
    writer = StoreWriter(tmp_path / "s", H36M, {"sources": "other"}, fresh=True)
    writer.add("b", [recording(1)])
    assert writer.finish().names == ("made/1",)


def test_two_preparations_do_not_write_at_once(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    first = StoreWriter(tmp_path / "s", H36M, {"sources": "made"})
    for fresh in (False, True):
        with pytest.raises(MotionliftError, match="another process is preparing"):
            StoreWriter(tmp_path / "s", H36M, {"sources": "made"}, fresh=fresh)
    first.add("a", [recording(0)])
    first.finish()
    assert StoreWriter(tmp_path / "s", H36M, {"sources": "made"}).finished


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for fresh in (False, True):
        with pytest.raises(MotionliftError, match="not empty"):
            StoreWriter(tmp_path, H36M, {}, fresh=fresh)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_damage_is_named(tmp_path: Path) -> None:
    written(tmp_path / "s", [recording(0)])
    shard = tmp_path / "s" / "shards" / "00000.f32"
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(MotionliftError, match=r"00000\.f32: \d+ bytes, expected"):
        load_store(tmp_path / "s").read(0)
    (tmp_path / "s" / "index.json").write_text("{")
    with pytest.raises(MotionliftError, match=r"index\.json: damaged"):
        load_store(tmp_path / "s")
    with pytest.raises(MotionliftError, match="no prepared corpus"):
        load_store(tmp_path / "nothing")


def test_windows_at_another_rate_lie_between_the_frames(tmp_path: Path) -> None:
    ramp = np.arange(40.0)[:, None, None] * np.ones((17, 3))
    store = written(tmp_path / "s", [replace(recording(0), arrays={"joints": ramp})])
    out = draw_windows(store, torch.tensor([0, 0]), 8, 30.0, torch.Generator().manual_seed(0), ["joints"])["joints"]
    assert torch.allclose(out.diff(dim=1), torch.tensor(50 / 30), atol=1e-4)
    held = draw_windows(store, torch.tensor([0]), 60, 50.0, torch.Generator(), ["joints"])["joints"]
    assert torch.allclose(held[0, :, 0, 0], torch.arange(60.0).clamp(max=39))


def test_motion_without_rotations_is_of_joints_and_not_of_what_a_camera_saw(tmp_path: Path) -> None:
    store = written(tmp_path / "s", [recording(i) for i in range(5)])
    assert store.motion().tolist() == [0, 2, 4] and store.motion("test").tolist() == []
    joints, root, contacts = draw_clips(store, torch.tensor([0, 2]), 12, 50.0, torch.Generator().manual_seed(0))
    assert joints.shape == (2, 12, 17, 3) and contacts.shape == (2, 12, 0) and not joints[:, :, 0].any()
    again = draw_windows(store, torch.tensor([0, 2]), 12, 50.0, torch.Generator().manual_seed(0), ["joints"])["joints"]
    assert torch.allclose(joints + root[:, :, None], again, atol=1e-6)


def test_motion_with_rotations(tmp_path: Path, body: Skeleton) -> None:
    rotations = np.zeros((30, len(body.bones), 4))
    rotations[..., 0] = 1
    arrays = {"rotations": rotations, "root": np.zeros((30, 3)), "contacts": np.ones((30, 4))}
    seen = {"joints": np.zeros((30, 33, 3))}
    made = [recording(0, arrays=arrays), recording(2, arrays=seen)]
    store = written(tmp_path / "s", made, body)
    assert store.motion().tolist() == [0] and store.motion("test").tolist() == []
    pose, root, contacts = draw_clips(store, torch.tensor([0]), 5, 25.0, torch.Generator())
    assert pose.shape == (1, 5, len(body.bones), 4) and root.shape == (1, 5, 3) and (contacts == 1).all()
