"""Reports: what is in the page, that it asks for nothing from outside, and that a browser shows it."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lifter import hands as h
from lifter.capture import lift_keypoints
from lifter.cli import main
from lifter.errors import MotionliftError
from lifter.pictures import write_strip
from lifter.report import MISSING, joint_speed, packed, sampled, write_report
from lifter.report.words import warnings
from lifter.take import FILLED, GAP, SEEN, Take, save_take

from .walking import LAYOUT

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "lifter" / "demo"
NASTY = "</script><script>document.title='taken over'</script><img src=x onerror=\"document.title='taken over'\">"


@pytest.fixture(scope="session")
def take() -> Take:
    """The demo clip from its true keypoints: no detector is needed. Two seconds, with a gap."""
    with np.load(DEMO / "demo_truth.npz") as truth:
        xy, focal = truth["keypoints"][:60].astype(np.float32), float(truth["K"][0, 0])
    score = np.full(xy.shape[:2], 0.9, np.float32)
    score[20:24] = 0
    made = lift_keypoints(xy, score, layout=LAYOUT, fps=30, image_size=(640, 640), focal=focal)
    return with_source(made, str(DEMO / "demo.mp4"))


def with_source(take: Take, path: str | None) -> Take:
    return replace(take, header={**take.header, "source": {**take.header["source"], "path": path}})


def two(take: Take) -> Take:
    person = take.people[0]
    aside = np.array([1.0, 0.3, 0.0], np.float32)
    return replace(take, people=(person, replace(person, joints_world=person.joints_world + aside)))


def with_hands(take: Take) -> Take:
    """The right hand is seen for a second, in its place, but for a gap; the left one never is."""
    person, skeleton = take.people[0], take.skeleton
    found = h.no_hands(60)
    wrist = take.camera.project(person.joints_camera, person.frames)[:30, skeleton.joint("r_wrist")]
    shape = h.hand_shape(h.AT_REST)[:, :2] * 300
    found.xy[:30, 1], found.score[:30, 1], found.size[:] = wrist[:, None] + shape, 0.8, 50
    lifted = np.full((60, 2, 5, 4), np.nan, np.float32)
    lifted[:30, 1] = h.AT_REST * 2
    hands = h.unsolved_hands(found, lifted, np.full_like(lifted, 0.1))
    hands = h.solve_hands(hands, person.rotations, person.offsets, skeleton, take.fps, 0.4)
    state = np.where(np.isin(np.arange(60), range(20, 24)), GAP, person.state).astype(np.uint8)
    return replace(take, people=(replace(person, state=state, hands=hands),))


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_page_holds_everything_and_asks_for_nothing(take: Take, tmp_path: Path) -> None:
    assert write_report(take, tmp_path / "a.html") == []
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r'id="data">.*?</script>', "", text, flags=re.DOTALL))
    assert "default-src 'none'" in text and "{{" not in text
    data = data_of(tmp_path / "a.html")
    assert data["count"] == 60 and len(data["pictures"]) == 60 and data["footage"] == ""
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data["pictures"][0][1]), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape == (400, 400, 3)
    world = np.frombuffer(base64.b64decode(data["people"][0]["world"]["data"]), "<i2").reshape(60, -1, 3)
    shown = take.people[0].state != GAP
    assert np.abs(world[shown] * data["people"][0]["world"]["unit"] - take.people[0].joints_world[shown]).max() < 1e-3
    assert list(tmp_path.iterdir()) == [tmp_path / "a.html"]


def unpacked(told: dict[str, Any]) -> np.ndarray:
    whole = np.frombuffer(base64.b64decode(told["data"]), "<i2" if told["bits"] == 16 else "i1").astype(float)
    return np.where(whole == -(2 ** (told["bits"] - 1)), np.nan, whole * told["unit"])


def test_hands_of_the_take_are_in_the_page(take: Take, tmp_path: Path) -> None:
    write_report(take, tmp_path / "a.html", pictures=0)
    assert data_of(tmp_path / "a.html")["people"][0]["hands"] is None
    plain = (tmp_path / "a.html").stat().st_size
    fingered = with_hands(take)
    write_report(fingered, tmp_path / "a.html", pictures=0)
    data, person = data_of(tmp_path / "a.html"), fingered.people[0]
    told, hands, shown = data["people"][0]["hands"], person.hands, person.state != GAP
    assert hands is not None and shown.sum() == 56
    image = unpacked(told["image"]).reshape(60, 2, 21, 2)
    seen = np.where(np.arange(60) < 30, shown, False)
    np.testing.assert_allclose(image[seen, 1], hands.keypoints[seen, 1], atol=0.05)
    assert np.isnan(image[~seen, 1]).all() and np.isnan(image[:, 0]).all()
    fingers = unpacked(told["fingers"]).reshape(60, 2, 20, 3)
    bones = [b.name for b in take.skeleton.bones]
    solved = h.finger_joints(hands, person.rotations[:, [bones.index("l_hand"), bones.index("r_hand")]])
    np.testing.assert_allclose(fingers[shown, 1], solved[shown, 1], atol=0.001)
    assert np.isnan(fingers[:, 0]).all() and np.isnan(fingers[~shown]).all()
    score, weight = (np.frombuffer(base64.b64decode(told[k]), np.uint8).reshape(60, 2) for k in ("score", "weight"))
    assert (score[seen, 1] == 80).all() and not score[~seen].any() and not score[:, 0].any()
    assert weight[10, 1] == 100 and 0 < weight[33, 1] < 100 and weight[50, 1] == 0 and not weight[:, 0].any()
    assert ["Hands", f"left seen in 0 %, right in {100 * seen.mean():.0f} %"] in data["facts"]
    assert (tmp_path / "a.html").stat().st_size - plain < 60 * 450, "bytes a frame"


def test_fewer_pictures_and_none(take: Take, tmp_path: Path) -> None:
    write_report(take, tmp_path / "a.html", pictures=10)
    assert [p[0] for p in data_of(tmp_path / "a.html")["pictures"]] == list(range(0, 60, 6))
    write_report(take, tmp_path / "a.html", pictures=0)
    assert data_of(tmp_path / "a.html")["pictures"] == []


def test_without_footage(take: Take, tmp_path: Path) -> None:
    assert write_report(with_source(take, None), tmp_path / "a.html") == []
    assert "no footage" in data_of(tmp_path / "a.html")["footage"]
    gone = write_report(with_source(take, str(tmp_path / "gone.mp4")), tmp_path / "a.html")
    assert "no such file" in gone[0] and data_of(tmp_path / "a.html")["pictures"] == []


def test_warnings_in_words_lead_to_their_frames(take: Take) -> None:
    person = take.people[0]
    state, swapped, outlier = person.state.copy(), person.swapped.copy(), person.outlier.copy()
    state[:] = SEEN
    state[20:24], state[40] = GAP, FILLED
    swapped[:], outlier[:] = False, False
    swapped[30:33] = True
    outlier[5, take.skeleton.joint("l_wrist")] = True
    scores = person.scores.copy()
    scores[44:56] = 0.1
    changed = replace(person, state=state, swapped=swapped, outlier=outlier, scores=scores)
    header = {**take.header, "warnings": ["The camera moves"], "lens": {**take.header["lens"], "source": "assumed"}}
    said = warnings(replace(take, people=(changed,), header=header))
    texts = {w["text"]: w for w in said}
    assert texts["The camera moves"]["level"] == "warning"
    assert texts["Is not seen from 0.67 to 0.77 s"]["frames"] == [20, 23]
    assert texts["Not seen for a moment, and filled in at 1.33 s"]["level"] == "note"
    assert texts["Left and right were exchanged, and put right from 1.00 to 1.07 s"]["frames"] == [30, 32]
    assert texts["The left wrist jumped once, and was smoothed over"]["frames"] == [5, 5]
    assert texts["The detector is unsure from 1.47 to 1.83 s"]["person"] == 0
    assert any("lens is not known" in t for t in texts)
    assert not any("does not lie on the person" in t for t in texts)
    away = replace(changed, joints_camera=person.joints_camera + np.array([0.6, 0, 0], np.float32))
    assert any("does not lie on the person" in w["text"] for w in warnings(replace(take, people=(away,))))
    many = replace(changed, state=np.where(np.arange(60) % 3 == 0, GAP, SEEN).astype(np.uint8))
    (one,) = [w for w in warnings(replace(take, people=(many,))) if "not seen" in w["text"]]
    assert one["text"] == "Is not seen: 20 times, 0.7 s in all"


def test_speed_of_what_moves_evenly() -> None:
    joints = np.zeros((30, 1, 3))
    joints[:, 0, 0] = np.arange(30) * 0.1
    assert np.allclose(joint_speed(joints, 30), 3.0)
    joints[10] = np.nan
    assert np.isnan(joint_speed(joints, 30)[9:12]).all() and np.isfinite(joint_speed(joints, 30)[13])
    assert joint_speed(joints[:1], 30).shape == (1, 1)


def test_packing() -> None:
    values = np.array([0.0, 1.5, -3.0, np.nan])
    told = packed(values)
    whole = np.frombuffer(base64.b64decode(told["data"]), "<i2")
    assert whole[3] == MISSING and told["bits"] == 16 and np.allclose(whole[:3] * told["unit"], values[:3], atol=1e-4)
    assert packed(np.full(3, np.nan))["unit"] > 0
    np.testing.assert_allclose(unpacked(packed(values, 8)), values, atol=3 / 127 / 2 + 1e-9)


def test_a_long_take_is_thinned_out(take: Take) -> None:
    person = replace(take.people[0], frames=np.arange(60, dtype=np.int32) * 1000)
    numbers = sampled(replace(take, people=(person,)))
    assert len(numbers) <= 4000 and numbers[0] == 0 and len(set(np.diff(numbers))) == 1


def test_the_command(take: Take, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_take(take, tmp_path / "walk.take.npz")
    assert main(["report", str(tmp_path / "walk.take.npz")]) == 0
    assert (tmp_path / "walk.html").is_file() and "walk.html" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "no.take.npz"), "-o", str(tmp_path / "b.html")]) == 2
    assert main(["report", str(tmp_path / "walk.take.npz"), "-o", str(tmp_path / "no" / "b.html")]) == 2
    assert main(["report", str(tmp_path / "walk.take.npz"), "--pictures", "-1"]) == 2
    assert not (tmp_path / "b.html").exists()


def test_a_strip(take: Take, tmp_path: Path) -> None:
    write_strip(take, tmp_path / "a.jpg")
    picture = cv2.imread(str(tmp_path / "a.jpg"))
    assert picture is not None and picture.shape == (150, 6 * 120, 3)
    person = take.people[0]
    alone = {f.name: getattr(person, f.name)[:1] for f in fields(person) if f.name not in ("offsets", "hands")}
    write_strip(replace(take, people=(replace(person, **alone),)), tmp_path / "a.jpg")
    short = cv2.imread(str(tmp_path / "a.jpg"))
    assert (
        short is not None and short.shape == picture.shape and short[:, :120].std() > 20 and short[:, 130:].max() < 20
    )
    with pytest.raises(MotionliftError, match="no footage"):
        write_strip(with_source(take, None), tmp_path / "b.jpg")
    assert not (tmp_path / "b.jpg").exists()


# In a browser

BROWSER = next((b for b in ("chromium", "chromium-browser", "google-chrome", "chrome") if shutil.which(b)), None)
in_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium on the PATH")


def browse(page: Path, *more: str, at: str = "") -> tuple[str, str]:
    """(the document after its scripts have run, what was said on the console)."""
    assert BROWSER
    flags = [
        "--headless",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--virtual-time-budget=4000",
    ]
    flags += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [BROWSER, *flags, profile, "--window-size=1400,1250", *more, f"file://{page}{at}"],
        capture_output=True,
        text=True,
        timeout=900,
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@in_browser
def test_a_browser_shows_it(take: Take, tmp_path: Path) -> None:
    write_report(two(take), tmp_path / "a.html")
    document, console = browse(tmp_path / "a.html", "--dump-dom", at="#t=1.5")
    assert 'data-ready="yes"' in document and console == ""
    assert document.count("Person 2") >= 2 and "1.50 s" in document and "What to look at" in document
    shot = tmp_path / "a.png"
    browse(tmp_path / "a.html", f"--screenshot={shot}", at="#t=1.5")
    picture = cv2.imread(str(shot))
    assert picture is not None
    views = picture[120:500, :700], picture[120:500, 720:]
    assert all(len(np.unique(v.reshape(-1, 3), axis=0)) > 500 for v in views), "a view is empty"


@in_browser
def test_a_browser_shows_fingers(take: Take, tmp_path: Path) -> None:
    """Beside the same page without: both views differ, by a hand and not by more."""
    hands = with_hands(take)
    plain = replace(hands, people=(replace(hands.people[0], hands=None),))
    write_report(plain, tmp_path / "plain.html", pictures=0)
    write_report(hands, tmp_path / "hands.html", pictures=0)
    said = {t: browse(tmp_path / "hands.html", "--dump-dom", at=f"#t={t}") for t in ("0.5", "1.1", "1.9")}
    assert all('data-ready="yes"' in document and console == "" for document, console in said.values())
    for time, words in {
        "0.5": "L relaxed, R 80 %",
        "1.1": "L relaxed, R fading",
        "1.9": "L relaxed, R relaxed",
    }.items():
        assert words in said[time][0]
    document, _ = browse(tmp_path / "plain.html", "--dump-dom")
    assert "<b>Fingers</b>" in said["0.5"][0] and "<b>Fingers</b>" not in document
    shots: list[np.ndarray] = []
    for page in ("plain", "hands"):
        browse(tmp_path / f"{page}.html", f"--screenshot={tmp_path / page}.png", at="#t=0.5")
        picture = cv2.imread(str(tmp_path / f"{page}.png"))
        assert picture is not None
        shots.append(picture[120:600].astype(int))
    # Fewer are new where the body's knuckles, which fingers replace, are left out and no finger is drawn.
    drawn = (shots[1] - shots[0]).max(-1) > 40
    for view in (drawn[:, :690], drawn[:, 710:]):
        rows, columns = np.nonzero(view)
        assert 200 < len(rows) < 4000 and np.ptp(rows) < 150 and np.ptp(columns) < 150, "no hand was drawn"


@in_browser
def test_texts_of_a_take_are_never_markup(take: Take, tmp_path: Path) -> None:
    header = {**take.header, "warnings": [NASTY], "checkpoint": {**take.header["checkpoint"], "name": NASTY}}
    named = replace(take, header=header, path=tmp_path / f"{NASTY.replace('/', '')}.take.npz")
    write_report(with_source(named, f"/tmp/{NASTY}.mp4"), tmp_path / "a.html", pictures=0)
    document, console = browse(tmp_path / "a.html", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", document)
    assert title and html.unescape(title[1]).startswith("<script>") and console == ""
    assert 'data-ready="yes"' in document and "<img src" not in document
