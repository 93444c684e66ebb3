"""RTMPose, RTMO and the like by rtmlib, with small networks of the same signature and with a real one of boxes."""

from __future__ import annotations

import io
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lifter.detect import Detection, load_detector, rtm_models
from lifter.errors import MotionliftError
from lifter.footage import Frame, open_footage, read_frames

onnx = pytest.importorskip("onnx")
pytest.importorskip("rtmlib")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

WIDTH, HEIGHT = 192, 256
PICTURE = (640, 480)


def save(path: Path, nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]) -> Path:
    held = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "net", inputs, outputs, held), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def pose_network(path: Path, keypoints: int = 17, batch: int | str = "batch") -> Path:
    """As RTMPose answers, (B, K, 2 W) and (B, K, 2 H); all keypoints are where channel 0 is brightest."""
    node, i64 = helper.make_node, np.int64
    nodes = [node("Slice", ["input", "from", "to", "channels"], ["red"])]
    for axis, name in ((2, "x"), (3, "y")):
        nodes += [
            node("ReduceMax", ["red"], [f"m{name}"], axes=[axis], keepdims=0),
            node("Reshape", [f"m{name}", f"column_{name}"], [f"c{name}"]),
            node("Tile", [f"c{name}", "twice"], [f"t{name}"]),
            node("Reshape", [f"t{name}", f"row_{name}"], [f"r{name}"]),
            node("Tile", [f"r{name}", "each"], [f"simcc_{name}"]),
        ]
    constants = {
        "from": np.array([0], i64),
        "to": np.array([1], i64),
        "channels": np.array([1], i64),
        "twice": np.array([1, 1, 1, 2], i64),
        "each": np.array([1, keypoints, 1], i64),
        "column_x": np.array([-1, 1, WIDTH, 1], i64),
        "column_y": np.array([-1, 1, HEIGHT, 1], i64),
        "row_x": np.array([-1, 1, 2 * WIDTH], i64),
        "row_y": np.array([-1, 1, 2 * HEIGHT], i64),
    }
    value = helper.make_tensor_value_info
    inputs = [value("input", TensorProto.FLOAT, [batch, 3, HEIGHT, WIDTH])]
    outputs = [
        value("simcc_x", TensorProto.FLOAT, [batch, keypoints, 2 * WIDTH]),
        value("simcc_y", TensorProto.FLOAT, [batch, keypoints, 2 * HEIGHT]),
    ]
    return save(path, nodes, inputs, outputs, constants)


def constant_network(path: Path, size: int, **answers: np.ndarray) -> Path:
    """Says the same of every picture: boxes of YOLOX with suppression built in, or RTMO's boxes and keypoints."""
    nodes = [helper.make_node("ReduceSum", ["input"], ["sum"], keepdims=0)]
    nodes += [helper.make_node("Mul", ["sum", "zero"], ["nothing"])]
    nodes += [helper.make_node("Add", [f"{k}_", "nothing"], [k]) for k in answers]
    constants = {f"{k}_": v.astype(np.float32) for k, v in answers.items()} | {"zero": np.zeros((), np.float32)}
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, size, size])]
    outputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, list(v.shape)) for k, v in answers.items()]
    return save(path, nodes, inputs, outputs, constants)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of the user's own, with networks under the names of the real ones."""
    pose_network(tmp_path / "rtmpose-m-17.onnx")
    pose_network(tmp_path / "rtmpose-m-26.onnx", 26)
    pose_network(tmp_path / "rtmw-m-133.onnx", 133)
    # Letterboxed: 640 x 480 fills 640 x 640 from the top. The second box is not sure, the third has no size.
    boxes = np.array([[[0, 0, 300, 480, 0.9], [300, 0, 640, 480, 0.8], [0, 0, 50, 50, 0.1], [9, 9, 9, 9, 0.9]]])
    constant_network(tmp_path / "yolox-m.onnx", 640, dets=boxes)
    people = np.zeros((1, 3, 17, 3))
    people[0, 0] = [*np.array([100, 100]), 0.9]
    people[0, 0, :, 0] += np.arange(17)
    people[0, 1] = [*np.array([400, 200]), 0.8]
    people[0, 1, 3, 2] = 0
    boxes = np.array([[[90, 90, 130, 130, 0.95], [300, 100, 500, 300, 0.9], [0, 0, 9, 9, 0.2]]])
    constant_network(tmp_path / "rtmo-m-17.onnx", 640, dets=boxes, keypoints=people)
    return tmp_path


def dotted(*dots: tuple[int, int], index: int = 0, channel: int = 0) -> Frame:
    rgb = np.zeros((PICTURE[1], PICTURE[0], 3), np.uint8)
    for x, y in dots:
        rgb[y - 4 : y + 5, x - 4 : x + 5, channel] = 255
    return Frame(index, index / 30, rgb)


@pytest.mark.parametrize(("name", "count"), [("rtmpose", 26), ("rtmw", 133)])
def test_keypoints_come_back_to_the_picture_from_every_box(models: Path, name: str, count: int) -> None:
    detector = load_detector(name, models=str(models))
    (found,) = detector.detect([dotted((150, 200), (450, 300))])
    assert len(found) == 2 and found[0].xy.shape == (count, 2)
    places = sorted(tuple(np.median(d.xy, axis=0)) for d in found)
    assert np.allclose(places, [(150, 200), (450, 300)], atol=6)
    assert all((d.score == 1).all() for d in found)
    detector.close()


def test_colours_arrive_in_the_order_the_network_knows(models: Path) -> None:
    detector = load_detector("rtmpose", models=str(models))
    assert detector.detect([dotted((150, 200), channel=2)]) == [[]]  # blue is dark to it, and nobody is sure


@pytest.mark.parametrize("fixed", [False, True])
def test_a_batch_says_what_single_frames_say(models: Path, fixed: bool) -> None:
    if fixed:
        pose_network(models / "rtmpose-m-26.onnx", 26, batch=1)
    frames = [dotted((140 + 5 * i, 200), (450, 300 - 9 * i), index=i) for i in range(5)]
    single = load_detector("rtmpose", models=str(models))
    batched = load_detector("rtmpose", models=str(models), batch=4)
    assert batched.batch == 4
    one = [d for f in frames for found in single.detect([f]) for d in found]
    many = [d for part in (frames[:4], frames[4:]) for found in batched.detect(part) for d in found]
    assert len(one) == len(many) == 10
    assert all(np.allclose(a.xy, b.xy) and np.allclose(a.score, b.score) for a, b in zip(one, many, strict=True))


def test_people_are_looked_for_now_and_then_and_followed_in_between(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = load_detector("rtmpose", models=str(models), find_every=3)
    looked: list[int] = []
    used: list[np.ndarray] = []
    whole, seen = np.array([0.0, 0, 640, 480]), [True] * 6 + [False, True, True]

    def bodies(pictures: list[np.ndarray], boxes: list[list[np.ndarray]]) -> list[list[Detection]]:
        used.append(boxes[0][0])
        at = len(used) - 1
        grid = np.stack(np.meshgrid([0, 50, 100], [0, 100, 200]), -1).reshape(-1, 2) + 10 * at
        return [[Detection(grid.astype(np.float32), np.full(9, 0.9, np.float32))] if seen[at] else []]

    monkeypatch.setattr(detector, "_find", lambda rgb: looked.append(1) or [whole])
    monkeypatch.setattr(detector, "_bodies", bodies)
    for i in range(9):
        detector.detect([dotted(index=i)])
    # In frames 0, 3 and 6, and after nobody was left in 6.
    assert len(looked) == 4 and all(np.array_equal(used[i], whole) for i in (0, 3, 6, 7))
    assert np.allclose(used[1], (-10, -20, 110, 220)) and np.allclose(used[2], (0, -10, 120, 230))


def test_everybody_at_once(models: Path) -> None:
    detector = load_detector("rtmo", models=str(models))
    (found,) = detector.detect([dotted()])
    assert len(found) == 2
    wide, narrow = found
    assert np.allclose(wide.xy[:, 0], 100 + np.arange(17)) and np.allclose(wide.score, 0.9)
    assert narrow.score[3] == 0 and np.isnan(narrow.xy[3]).all() and np.allclose(narrow.xy[0], (400, 200))
    (one,) = load_detector("rtmo", models=str(models), people=1).detect([dotted()])
    assert len(one) == 1


OWN = 'model = "rtmpose-m-17.onnx"\nsize = [192, 256]\nlayout = "coco17"\npeople = "yolox-m.onnx"\n'


def test_a_network_of_the_users_own(models: Path) -> None:
    (models / "mine.toml").write_text(OWN)
    detector = load_detector(str(models / "mine.toml"))
    (found,) = detector.detect([dotted((150, 200))])
    assert detector.layout == "coco17" and np.allclose(np.median(found[0].xy, axis=0), (150, 200), atol=6)
    (models / "mine.toml").write_text(OWN + 'colours = "bgr"\n')
    (found,) = load_detector("onnx", path=str(models / "mine.toml")).detect([dotted((150, 200), channel=2)])
    assert len(found) == 1


WRONG = {
    'size = "large"': "size is 'large'",
    "size = [192.5, 256]": "size is",
    'layout = "cow"': "Unknown keypoint layout 'cow'",
    'layout = "halpe26"': "gives 17 keypoints, but layout halpe26 has 26",
    'model = "no.onnx"': r"model is 'no\.onnx'",
    'kind = "pear"': "kind is 'pear'",
    "mean = [1, 2]": "mean is",
    "colour = 1": "no key 'colour' is known",
    "model = ": "cannot be read as TOML",
}


@pytest.mark.parametrize("line", WRONG)
def test_mistakes_in_its_file_are_named(models: Path, line: str) -> None:
    key = line.split(" = ")[0]
    rest = "".join(x + "\n" for x in OWN.splitlines() if not x.startswith(f"{key} "))
    (models / "mine.toml").write_text(rest + line + "\n")
    with pytest.raises(MotionliftError, match=WRONG[line]):
        load_detector(str(models / "mine.toml")).detect([dotted((150, 200))])


def test_missing_and_damaged_files(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MOTIONLIFT_MODELS", raising=False)
    with pytest.raises(
        MotionliftError, match=r"rtmpose-m-26 is not on this computer.*motionlift models fetch rtmpose-m-26"
    ):
        load_detector("rtmpose")
    with pytest.raises(MotionliftError, match=r"No model is called 'rtmpose-xxl'.*rtmpose-m-26"):
        load_detector("rtmpose", model="rtmpose-xxl")
    with pytest.raises(MotionliftError, match="no option 'size'"):
        load_detector("rtmpose", models=str(models), size=3)
    with pytest.raises(MotionliftError, match="Unknown device"):
        load_detector("rtmpose", models=str(models), device="toaster")
    with pytest.raises(MotionliftError, match="out of range"):
        load_detector("rtmpose", models=str(models), find_every=0)
    (models / "rtmpose-m-26.onnx").write_bytes(b"no network")
    with pytest.raises(MotionliftError, match="no network that ONNX Runtime can run"):
        load_detector("rtmpose", models=str(models))


class Response(io.BytesIO):
    def __init__(self, data: bytes, length: int | None = None) -> None:
        super().__init__(data)
        self.headers = {"Content-Length": str(len(data) if length is None else length)}


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_onnx", ".onnx"), data)
    return out.getvalue()


def test_a_model_is_fetched_and_checked_from_then_on(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MOTIONLIFT_MODELS", raising=False)
    network = (models / "rtmpose-m-17.onnx").read_bytes()
    asked: list[str] = []
    told: list[tuple[int, int]] = []
    path, digest, compared = rtm_models.fetch_model(
        "rtmpose-m-17",
        lambda _stage, done, total: told.append((done, total)),
        lambda url: asked.append(url) or Response(zipped(deep__end2end_onnx=network, readme=b"hello")),
    )
    assert asked[0].startswith("https://") and asked[0].endswith(".zip") and told and len(digest) == 64 and not compared
    assert path.read_bytes() == network and rtm_models.find_model("rtmpose-m-17") == path
    path.write_bytes(network + b" ")
    with pytest.raises(MotionliftError, match="not the file that was fetched"):
        rtm_models.find_model("rtmpose-m-17")


def test_a_folder_of_ones_own_takes_fetched_files_and_others(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched into it is compared from then on; what somebody put there is theirs."""
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    network, own = (models / "rtmpose-m-17.onnx").read_bytes(), tmp_path / "own"
    path, _, _ = rtm_models.fetch_model("rtmpose-m-17", None, lambda _url: Response(zipped(a_onnx=network)), folder=own)
    assert path == own / "rtmpose-m-17.onnx" == rtm_models.find_model("rtmpose-m-17", str(own))
    assert not (tmp_path / "cache").exists()
    (own / "rtmo-s-17.onnx").write_bytes(b"mine")
    assert rtm_models.find_model("rtmo-s-17", str(own)) == own / "rtmo-s-17.onnx"
    path.write_bytes(network[:-1])
    with pytest.raises(MotionliftError, match="not the file that was fetched"):
        rtm_models.find_model("rtmpose-m-17", str(own))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("rtmpose-m-26", zipped(a_onnx=b"x"), "not the file that is expected"),
        ("rtmpose-m-17", b"<html>", "holds no ONNX file"),
        ("rtmpose-m-17", zipped(readme=b"x"), "holds no ONNX file"),
        ("rtmpose-m-17", zipped(a_onnx=b"x", b_onnx=b"y"), "holds no ONNX file"),
        ("rtmpose-m-17", None, "could not be fetched .*no network"),
    ],
)
def test_bad_downloads_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes | None, message: str
) -> None:
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))

    def opened(_url: str) -> Response:
        if data is None:
            raise urllib.error.URLError("no network")
        return Response(data)

    with pytest.raises(MotionliftError, match=message):
        rtm_models.fetch_model(name, None, opened)
    with pytest.raises(MotionliftError, match=r"12 bytes|could not be fetched"):
        rtm_models.fetch_model(name, None, lambda _url: Response(b"cut", 12))
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_real_network_of_boxes(models: Path, shared: Path) -> None:
    """yolox_nano, without suppression built in and with all of COCO's kinds, finds the man among them."""
    real = shared / "data" / "models" / "yolox_nano.onnx"
    truth = np.load(shared / "data" / "clips" / "pose2sim_truth.npz", allow_pickle=False)
    (models / "mine.toml").write_text(
        OWN.replace('people = "yolox-m.onnx"', f'people = "{real}"\npeople_size = [416, 416]')
    )
    detector = load_detector(str(models / "mine.toml"))
    frame = next(iter(read_frames(open_footage(shared / "data" / "clips" / "pose2sim_multi_cam01.mp4"))))
    boxes = detector._find(frame.rgb)  # type: ignore[attr-defined]
    assert 1 <= len(boxes) <= 3, sorted(truth.files)
    x0, y0, x1, y1 = boxes[0]
    assert 0.4 * frame.rgb.shape[0] < y1 - y0 < 1.05 * frame.rgb.shape[0] and x1 - x0 < y1 - y0
