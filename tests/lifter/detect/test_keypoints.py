from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from lifter.detect import Detection, load_detector
from lifter.errors import MotionliftError
from lifter.footage import Footage, Frame
from lifter.keypoint_files import find_format, read_clip
from lifter.keypoint_files.names import place_names, plain_name
from lifter.skeleton import layout_keypoints
from lifter.take import save_take
from tests.lifter.test_take import make_take

FRAMES = 12
CLIP = Footage(Path("shot.mp4"), 1280, 720, 30.0, FRAMES)


def people(layout: str, count: int = 2) -> np.ndarray:
    """(N, T, K, 3) people side by side, each keypoint at a place of its own; the first keypoint of all is missing."""
    k = len(layout_keypoints(layout))
    n, t, j = np.meshgrid(range(count), range(FRAMES), range(k), indexing="ij")
    out = np.stack([100 + 400 * n + t + j, 200 + 2 * j + t, 0.5 + j / 400], -1).astype(float)
    out[:, :, 0] = 0
    return out


def openpose(folder: Path, layout: str, name: str = "shot_{:012d}_keypoints.json", **more: object) -> Path:
    folder.mkdir(exist_ok=True)
    for t in range(FRAMES):
        listed = [{"person_id": [-1], "pose_keypoints_2d": p[t].ravel().tolist(), **more} for p in people(layout)]
        (folder / name.format(t)).write_text(json.dumps({"version": 1.3, "people": listed}))
    return folder


def write_json(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data))
    return path


def coco(path: Path, layout: str, first: int = 0, **more: object) -> Path:
    listed = [
        {"image_id": t + first, "category_id": 1, "keypoints": p[t].ravel().tolist(), "score": 0.9, **more}
        for p in people(layout)
        for t in range(FRAMES)
    ]
    return write_json(path, listed)


def alphapose(path: Path, layout: str) -> Path:
    listed = [
        {"image_id": f"{t}.jpg", "category_id": 1, "keypoints": p[t].ravel().tolist(), "score": 2.9, "idx": i + 1}
        for t in range(FRAMES)
        for i, p in enumerate(people(layout))
    ]
    return write_json(path, listed)


def mmpose(path: Path, layout: str, demo: bool = False) -> Path:
    def instances(t: int) -> list[dict]:
        return [{"keypoints": p[t, :, :2].tolist(), "keypoint_scores": p[t, :, 2].tolist()} for p in people(layout)]

    listed = [{"frame_id": t + demo, "instances": instances(t)} for t in range(FRAMES)]
    return write_json(path, {"meta_info": {"dataset_name": "coco"}, "instance_info": listed} if demo else listed)


def mmpose_pictures(folder: Path, layout: str) -> Path:
    folder.mkdir()
    for t in range(FRAMES):
        people_now = [
            {"keypoints": p[t, :, :2].tolist(), "keypoint_scores": p[t, :, 2].tolist()} for p in people(layout)
        ]
        write_json(folder / f"{t}.json", people_now)
    return folder


SPORTS2D = (
    "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee RKnee LAnkle RAnkle"
)
SPORTS2D += " Head Neck Hip LBigToe RBigToe LSmallToe RSmallToe LHeel RHeel"


def trc(folder: Path, scale: float = 1.0, rows: int = FRAMES) -> Path:
    folder.mkdir()
    names = SPORTS2D.split()
    for i, p in enumerate(people("halpe26")):
        head = ["PathFileType\t4\t(X/Y/Z)\tx.trc", "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate"]
        head += [f"30\t30\t{FRAMES}\t{len(names)}\tm\t30", "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t\t", "\t\tX1"]
        for t in range(rows):
            cells = ["" if s == 0 else f"{v * scale}" for x, y, s in p[t] for v in (x, y, 0.0)]
            head.append("\t".join([str(t), f"{t / 30}", *cells]))
        (folder / f"shot_Sports2D_px_person{i:02d}.trc").write_text("\n".join(head) + "\n")
    return folder


def deeplabcut(path: Path, several: bool = True) -> Path:
    parts = [n.replace("l_", "left_").replace("r_", "right_") for n in layout_keypoints("coco17")]
    whole = people("coco17", 2 if several else 1)
    columns = [(p, b, c) for p in ("one", "two")[: len(whole)] for b in parts for c in ("x", "y", "likelihood")]
    lines = [["scorer", *["DLC_net"] * len(columns)]]
    lines += [["individuals", *(c[0] for c in columns)]] if several else []
    lines += [["bodyparts", *(c[1] for c in columns)], ["coords", *(c[2] for c in columns)]]
    for t in range(FRAMES):
        cells = ["" if row[2] == 0 else f"{v}" for p in whole for row in p[t] for v in row]
        lines.append([str(t), *cells])
    path.write_text("\n".join(",".join(line) for line in lines) + "\n")
    return path


def deeplabcut_h5(path: Path, names: object = None) -> Path:
    """As pandas writes a table: an index, the values, and the names of columns as a pickled list."""
    h5py = pytest.importorskip("h5py")
    parts = layout_keypoints("coco17")
    whole = people("coco17", 1)[0]
    columns = [("DLC_net", b, c) for b in parts for c in ("x", "y", "likelihood")]
    rows = np.zeros(FRAMES, [("index", "<i8"), ("values_block_0", "<f8", (len(columns),))])
    rows["index"], rows["values_block_0"] = np.arange(FRAMES), whole.reshape(FRAMES, -1)
    with h5py.File(path, "w") as file:
        table = file.create_group("df_with_missing").create_dataset("table", data=rows)
        table.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(columns if names is None else names, 0))
    return path


def freemocap(folder: Path, cameras: int = 1, points: int = 553) -> Path:
    raw = folder / "output_data" / "raw_data"
    raw.mkdir(parents=True)
    data = np.full((cameras, FRAMES, points, 3), np.nan)
    data[..., :33, :2] = people("mediapipe33", 1)[0, :, :, :2]
    data[:, :, 0] = np.nan
    np.save(raw / "mediapipe_2dData_numCams_numFrames_numTrackedPoints_pixelXY.npy", data)
    return folder


WRITERS = {
    "openpose": ("openpose", "body25", lambda d: openpose(d / "json", "body25")),
    "pose2sim": ("openpose", "halpe26", lambda d: openpose(d / "json", "halpe26", "cam01_{:06d}.json")),
    "openpose, COCO": ("openpose", "openpose18", lambda d: openpose(d / "json", "openpose18")),
    "coco": ("coco", "coco17", lambda d: coco(d / "r.json", "coco17")),
    "coco, whole body": ("coco", "wholebody133", lambda d: coco(d / "r.json", "wholebody133")),
    "alphapose": ("coco", "halpe26", lambda d: alphapose(d / "alphapose-results.json", "halpe26")),
    "alphapose 136": ("coco", "halpe136", lambda d: alphapose(d / "alphapose-results.json", "halpe136")),
    "mmpose": ("mmpose", "coco17", lambda d: mmpose(d / "shot.json", "coco17")),
    "mmpose, demo": ("mmpose", "wholebody133", lambda d: mmpose(d / "results_shot.json", "wholebody133", demo=True)),
    "mmpose, pictures": ("mmpose", "halpe26", lambda d: mmpose_pictures(d / "predictions", "halpe26")),
    "sports2d": ("trc", "halpe26", lambda d: trc(d / "shot_Sports2D")),
    "deeplabcut": ("deeplabcut", "coco17", lambda d: deeplabcut(d / "shotDLC.csv")),
    "deeplabcut, one": ("deeplabcut", "coco17", lambda d: deeplabcut(d / "shotDLC.csv", several=False)),
    "deeplabcut h5": ("deeplabcut", "coco17", lambda d: deeplabcut_h5(d / "shotDLC.h5")),
    "freemocap": ("freemocap", "mediapipe33", lambda d: freemocap(d / "recording")),
    "freemocap, body": ("freemocap", "mediapipe33", lambda d: freemocap(d / "recording", points=33)),
}


def detected(path: Path, footage: Footage | None = CLIP, **options: object) -> tuple[list[list[Detection]], str]:
    detector = load_detector(str(path), None, footage, **options)
    frames = [Frame(t, t / 30, np.zeros((0, 0, 3), np.uint8)) for t in range(FRAMES)]
    return [detector.detect([f])[0] for f in frames], detector.layout


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_its_people_in_their_frames(tmp_path: Path, kind: str) -> None:
    form, layout, write = WRITERS[kind]
    path = write(tmp_path)
    assert find_format(path) == form
    found, named = detected(path)
    assert named == layout
    scored = kind not in ("sports2d", "freemocap", "freemocap, body")
    count = len(found[0])
    expected = people(layout, count)
    for t, now in enumerate(found):
        assert len(now) == count
        for person, truth in zip(now, expected[:, t], strict=True):
            assert np.isnan(person.xy[0]).all() and person.score[0] == 0  # missing is missing
            assert np.allclose(person.xy[1:], truth[1:, :2], atol=1e-3)
            assert np.allclose(person.score[1:], truth[1:, 2].clip(0, 1) if scored else 1)
    told_apart = {"alphapose", "alphapose 136", "sports2d", "deeplabcut", "deeplabcut, one", "deeplabcut h5"}
    known = kind in told_apart or form == "freemocap"
    assert all((p.who is not None) == known for now in found for p in now)


def test_our_own_takes(tmp_path: Path, body) -> None:
    take = make_take(body, FRAMES)
    path = save_take(take, tmp_path / "shot.take.npz")
    footage = Footage(Path("other.mp4"), 1280, 960, take.fps, FRAMES)
    found, layout = detected(path, footage)
    assert layout == take.layout
    person = take.people[0]
    seen = person.scores[0] > 0
    assert np.allclose(found[0][0].xy[seen], person.keypoints[0][seen] * 2)  # the clip is twice the size
    with pytest.raises(MotionliftError, match="of layout"):
        detected(path, footage, layout="body25")


def test_layouts_may_be_named_and_must_fit(tmp_path: Path) -> None:
    path = coco(tmp_path / "r.json", "coco17")
    assert detected(path, layout="h36m17")[1] == "h36m17"
    with pytest.raises(MotionliftError, match=r"17 keypoints a person, but layout body25 has 25.*Name coco17"):
        detected(path, layout="body25")
    with pytest.raises(MotionliftError, match="no option 'colour'"):
        detected(path, colour=1)


def test_hands_follow_the_body_where_openpose_found_them(tmp_path: Path) -> None:
    hands = {f"hand_{s}_keypoints_2d": np.full(63, 100.0 + i).tolist() for i, s in enumerate(("left", "right"))}
    found, layout = detected(openpose(tmp_path / "json", "body25", **hands))
    names = layout_keypoints(layout)
    assert layout == "openpose67" and len(names) == len(found[0][0].xy)
    assert found[0][0].xy[names.index("l_index"), 0] == 100 and found[0][0].xy[names.index("r_little"), 0] == 101


def test_numbers_from_one_and_numbers_of_their_own(tmp_path: Path) -> None:
    path = coco(tmp_path / "r.json", "coco17", first=1)
    found, _ = detected(path)
    assert [len(now) for now in found] == [2] * FRAMES
    path = coco(tmp_path / "r.json", "coco17", first=500)
    with pytest.raises(MotionliftError, match=r"has frame 511, but the clip shot\.mp4 has 12 frames.*first=N"):
        detected(path)
    assert [len(now) for now in detected(path, first=500)[0]] == [2] * FRAMES


def test_files_of_another_clip_are_refused(tmp_path: Path) -> None:
    path = mmpose(tmp_path / "shot.json", "coco17")
    with pytest.raises(MotionliftError, match=r"has 12 frames, up to 11, but the clip long\.mp4 has 300"):
        detected(path, Footage(Path("long.mp4"), 1280, 720, 30.0, 300))
    with pytest.raises(MotionliftError, match="mostly outside the picture of 320 x 180 pixels"):
        detected(path, Footage(Path("small.mp4"), 320, 180, 30.0, FRAMES))


def test_shares_of_the_picture_are_scaled(tmp_path: Path) -> None:
    listed = [{"image_id": t, "keypoints": [0.5, 0.25, 0.9] * 17} for t in range(FRAMES)]
    found, _ = detected(write_json(tmp_path / "r.json", listed))
    assert np.allclose(found[3][0].xy, [640, 180])


def test_of_several_clips_the_one_that_is_named_as_the_footage_is_taken(tmp_path: Path) -> None:
    openpose(tmp_path, "body25", "other_{:012d}_keypoints.json")
    openpose(tmp_path, "body25")
    assert len(detected(tmp_path)[0][0]) == 2
    with pytest.raises(MotionliftError, match="2 clips in it, but other, shot"):
        detected(tmp_path, None)
    assert read_clip(tmp_path, clip="other").layout == "body25"


def test_several_cameras_ask_for_one(tmp_path: Path) -> None:
    path = freemocap(tmp_path / "recording", cameras=3)
    with pytest.raises(MotionliftError, match="holds 3 cameras"):
        detected(path)
    assert len(detected(path, camera=2)[0][0]) == 1
    with pytest.raises(MotionliftError, match="no camera 3"):
        detected(path, camera=3)


def test_numbers_for_people_are_believed_only_where_they_tell_them_apart(tmp_path: Path) -> None:
    found, _ = detected(coco(tmp_path / "r.json", "coco17", idx=0))
    assert all(p.who is None for now in found for p in now)


def test_names_of_other_tools() -> None:
    for name in ("LBigToe", "left_big_toe", "bigtoe-L", "left_foot_index", "LEFT_BIG_TOE", "lbigtoe", "l_toe"):
        assert plain_name(name) == "l_toe", name
    assert [plain_name(n) for n in SPORTS2D.split()] == list(layout_keypoints("halpe26"))
    assert plain_name("ankle1") == "r_ankle" and plain_name("Hip") == "pelvis" and plain_name("RHip") == "r_hip"
    with pytest.raises(MotionliftError, match=r"snout, tail.*\.toml"):
        place_names(["snout", "tail"], "", "mouse.csv")


class Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("evil"),))


def damage(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


def last_openpose(d: Path) -> Path:
    return sorted(openpose(d / "json", "body25").glob("*"))[-1]


def set_h5(d: Path, names: object) -> Path:
    return deeplabcut_h5(d / "x.h5", names)


def save(path: Path, data: np.ndarray, **more: bool) -> Path:
    np.save(path, data, **more)
    return path


BAD = {
    "json cut short": ("not JSON, or cut short", lambda d: cut(coco(d / "r.json", "coco17"))),
    "one frame of a folder cut short": (
        r"shot_000000000011_keypoints\.json: not JSON",
        lambda d: cut(last_openpose(d)).parent,
    ),
    "another number of keypoints": (
        "different numbers of keypoints",
        lambda d: damage(last_openpose(d), "0.0, 0.0, 0.0, ", "").parent,
    ),
    "half a keypoint": ("not a multiple of 3", lambda d: damage(last_openpose(d), "0.0, 0.0, 0.0, ", "0.0, ").parent),
    "NaN": ("not finite", lambda d: damage(coco(d / "r.json", "coco17"), "0.0", "NaN")),
    "a word": ("expected numbers", lambda d: damage(coco(d / "r.json", "coco17"), "0.0", '"x"')),
    "a number too large": ("finite|expected numbers", lambda d: damage(coco(d / "r.json", "coco17"), "0.0", "9" * 400)),
    "a frame number too large": ("a frame number of", lambda d: coco(d / "r.json", "coco17", first=10**11)),
    "a frame number below 0": ("a frame number of -5", lambda d: coco(d / "r.json", "coco17", first=-5)),
    "no keypoints": ("nobody in it", lambda d: write_json(d / "r.json", [{"image_id": 0, "keypoints": [0] * 51}])),
    "other JSON": ("not of OpenPose, COCO", lambda d: write_json(d / "r.json", {"a": 1})),
    "deep JSON": ("not JSON|not of OpenPose", lambda d: (d / "r.json", (d / "r.json").write_text("[" * 10**5))[0]),
    "mmpose, scores missing": (
        "shape \\(16,\\), expected \\(17,\\)",
        lambda d: damage(mmpose(d / "m.json", "coco17"), '"keypoint_scores": [0.0, ', '"keypoint_scores": ['),
    ),
    "mmpose, a frame twice": (
        "same frame number",
        lambda d: damage(mmpose(d / "m.json", "coco17"), '"frame_id": 1,', '"frame_id": 0,'),
    ),
    "trc in metres": ("in metres, not places", lambda d: trc(d / "t", scale=0.001)),
    "trc cut short": ("11 frames, but its head says 12", lambda d: trc(d / "t", rows=11)),
    "trc cut in a row": ("not a TRC file, or cut short", lambda d: cut(next(trc(d / "t").glob("*00.trc")))),
    "csv cut in a row": ("cells, expected", lambda d: cut(deeplabcut(d / "d.csv"))),
    "csv of something else": ("not a file of DeepLabCut", lambda d: (d / "d.csv", (d / "d.csv").write_text("a,b"))[0]),
    "csv without scores": ("no column", lambda d: damage(deeplabcut(d / "d.csv"), "likelihood", "sureness")),
    "csv with a word": ("not a number", lambda d: damage(deeplabcut(d / "d.csv"), "101.0", "left")),
    "csv with infinity": ("not finite", lambda d: damage(deeplabcut(d / "d.csv"), "101.0", "inf")),
    "h5 cut short": ("not a table of DeepLabCut, or damaged", lambda d: cut(deeplabcut_h5(d / "x.h5"))),
    "h5 with code in it": ("not plain text", lambda d: set_h5(d, [Evil()])),
    "h5 with other names": ("expected|damaged", lambda d: set_h5(d, [("a", 1, "x")] * 51)),
    "npy cut short": ("cut short", lambda d: cut(next(freemocap(d / "r").rglob("*.npy")))),
    "npy with objects": (
        "not an array of numbers",
        lambda d: save(d / "x_2dData.npy", np.array([Evil()], object), allow_pickle=True),
    ),
    "npy of another shape": ("expected an array", lambda d: save(d / "x_2dData.npy", np.zeros((3, 4)))),
    "npy of other points": ("40 keypoints a person", lambda d: save(d / "x_2dData.npy", np.zeros((1, FRAMES, 40, 2)))),
    "npy of NaN": ("nobody in it", lambda d: save(d / "x_2dData.npy", np.full((1, FRAMES, 33, 2), np.nan))),
    "npz of something else": ("not a take", lambda d: (d / "x.npz", np.savez(d / "x.npz", a=1))[0]),
    "an empty folder": ("no keypoint files", lambda d: d),
    "another suffix": ("no keypoint file that is known", lambda d: (d / "x.txt", (d / "x.txt").touch())[0]),
    "nothing": ("No such file", lambda d: d / "nothing.json"),
}


@pytest.mark.parametrize("kind", BAD)
def test_damage_gets_one_clear_error(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message, write = BAD[kind]
    path = write(tmp_path)
    with pytest.raises(MotionliftError, match=message):
        detected(path)
    assert not (tmp_path / "evil").exists()
