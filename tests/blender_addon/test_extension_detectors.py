"""Which people and which detector a capture is told of, and the button that fetches a detector's networks."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy
import pytest

from .extension import module, refused
from .test_extension_registration import draw_all

FAKE = Path(__file__).with_name("fake_worker.py")


@pytest.fixture(autouse=True)
def ended(scene: Any) -> Generator[None]:
    yield
    module("capture.jobs").stop_all()


@pytest.fixture
def folder(scene: Any, tmp_path: Path) -> Path:
    """An empty model folder of this test's own."""
    preferences = module("preferences").preferences()
    preferences.model_folder = str(tmp_path)
    preferences.device = "cpu"
    yield tmp_path
    preferences.model_folder = ""
    preferences.device = "auto"


@pytest.fixture
def fetching(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Online access, and a worker that fetches nothing but says that it did."""
    log = folder / "log"
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setattr(module("capture.jobs"), "worker_start", lambda: ((sys.executable, str(FAKE)), {}))
    monkeypatch.setenv("MOTIONLIFT_PYTHON", sys.executable)
    bpy.context.preferences.system.use_online_access = True
    yield log
    bpy.context.preferences.system.use_online_access = False


def options(scene: Any) -> dict[str, Any]:
    return module("capture.operators").capture_options(scene.motionlift.capture)


def test_people_are_all_the_most_visible_or_some(scene: Any) -> None:
    capture = scene.motionlift.capture
    assert options(scene)["people"] == "all" and options(scene)["detector_options"] == {}
    capture.people, capture.whose = 3, "most"
    assert options(scene)["people"] == "most" and options(scene)["detector_options"] == {"people": 3}
    capture.whose, capture.numbers = "numbers", " 1, 3"
    assert options(scene)["people"] == " 1, 3"
    assert "numbers" in draw_all(bpy.context)
    for wrong in ("", "0", "1,", "two", "-1"):
        capture.numbers = wrong
        with pytest.raises(Exception, match="People cannot be chosen"):
            options(scene)


def test_which_frames_are_looked_at(scene: Any) -> None:
    capture = scene.motionlift.capture
    assert options(scene)["every"] == "all" and "every" in draw_all(bpy.context)
    for choice in [i.identifier for i in capture.bl_rna.properties["every"].enum_items]:
        capture.every = choice
        assert options(scene)["every"] == choice
        assert choice in ("all", "auto") or 1 < int(choice) <= 30  # as lifter/follow.py wants it
    capture.detector, capture.detector_file = "keypoints", str(FAKE)
    assert "every" not in options(scene) and "every" not in draw_all(bpy.context)


def test_every_detector_of_the_lifter_is_offered_and_drawn(scene: Any, folder: Path) -> None:
    items = scene.motionlift.capture.bl_rna.properties["detector"].enum_items
    assert [i.identifier for i in items] == module("solve_settings").offered()["detectors"]
    for item in items:
        assert item.description and item.name
        scene.motionlift.capture.detector = item.identifier
        drawn = draw_all(bpy.context)
        assert ("people" in drawn) is (item.identifier == "mediapipe")
        assert ("detector_file" in drawn) is (item.identifier in ("keypoints", "onnx"))
        assert ("motionlift.fetch_networks" in drawn) is item.identifier.startswith("rtm")


def test_networks_are_asked_for_before_a_capture_begins(scene: Any, folder: Path) -> None:
    capture = scene.motionlift.capture
    capture.detector = "rtmpose"
    with pytest.raises(Exception, match="rtmpose-m-26 and yolox-m of this detector are not on this computer"):
        options(scene)
    (folder / "detectors").mkdir()
    for name in ("rtmpose-m-26", "yolox-m"):
        (folder / "detectors" / f"{name}.onnx").touch()
    capture.most_people, capture.find_every = 2, 4
    assert options(scene)["detector_options"] == {
        "model": "rtmpose-m-26",
        "models": str(folder / "detectors"),
        "people": 2,
        "find_every": 4,
    }
    assert "motionlift.fetch_networks" not in draw_all(bpy.context)
    capture.network_rtmpose = "rtmpose-x-26"
    with pytest.raises(Exception, match="The network rtmpose-x-26 is not"):
        options(scene)
    capture.detector = "rtmo"
    assert [n["name"] for n in module("capture.networks").missing(capture)] == ["rtmo-m-17"]


def test_own_network_by_its_toml(scene: Any, folder: Path) -> None:
    capture = scene.motionlift.capture
    capture.detector = "onnx"
    with pytest.raises(Exception, match="needs a file"):
        options(scene)
    (folder / "mine.toml").write_text('kind = "pose"\n')
    assert bpy.ops.motionlift.choose_detector_file(filepath=str(folder / "mine.toml")) == {"FINISHED"}
    assert options(scene)["detector_options"] == {"path": str(folder / "mine.toml")}


def test_a_folder_of_keypoints_can_be_chosen(scene: Any, folder: Path) -> None:
    scene.motionlift.capture.detector = "keypoints"
    (folder / "shot_json").mkdir()
    assert bpy.ops.motionlift.choose_detector_file(filepath=f"{folder / 'shot_json'}/") == {"FINISHED"}
    assert Path(options(scene)["detector_options"]["path"]) == folder / "shot_json"
    assert "no such file" in refused(bpy.ops.motionlift.choose_detector_file, filepath=str(folder / "nothing"))


def test_the_offer_says_what_how_large_from_where_and_the_licence(scene: Any, folder: Path) -> None:
    networks = module("capture.networks")
    scene.motionlift.capture.detector = "rtmw"
    text = "\n".join(networks.offer(networks.missing(scene.motionlift.capture)))
    for part in ("rtmw-m-133", "yolox-m", "about 130 MB", "About 231 MB", "openmmlab", "Apache-2.0", str(folder)):
        assert part in text


def test_nothing_is_fetched_without_online_access(scene: Any, fetching: Path) -> None:
    bpy.context.preferences.system.use_online_access = False
    scene.motionlift.capture.detector = "rtmo"
    assert "online access is off" in refused(bpy.ops.motionlift.fetch_networks)
    assert not fetching.exists()


def test_the_button_has_the_worker_fetch_what_is_missing(scene: Any, fetching: Path, folder: Path) -> None:
    scene.motionlift.capture.detector = "rtmpose"
    (folder / "detectors").mkdir()
    (folder / "detectors" / "yolox-m.onnx").touch()
    assert bpy.ops.motionlift.fetch_networks() == {"FINISHED"}
    assert fetching.read_text().split() == ["fetch", "rtmpose-m-26"]
    assert "rtmpose-m-26 is here, 56 MB; SHA-256" in module("notices").shown("capture")[0].text
    assert module("capture.networks").missing(scene.motionlift.capture) == []
    assert "nothing to fetch" in refused(bpy.ops.motionlift.fetch_networks)


def test_a_failed_download_is_told(scene: Any, fetching: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_OFFLINE", "1")
    scene.motionlift.capture.detector = "rtmo"
    assert "could not be fetched" in refused(bpy.ops.motionlift.fetch_networks)
    assert module("capture.networks").missing(scene.motionlift.capture)


def test_settings_file_names_networks(scene: Any) -> None:
    offered = json.loads(module("solve_settings").FILE.read_text(encoding="utf-8"))["networks"]
    names = {n["name"] for n in offered["models"]}
    assert all(n["needs"] in ("", *names) and n["megabytes"] > 0 for n in offered["models"])
