"""A textured wall, filmed from a tripod, by hand, in a slow pan; with somebody in front of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lifter.steadiness import BackgroundWatch, Steadiness

WIDTH, HEIGHT, FPS = 640, 360, 30.0


def wall() -> np.ndarray:
    """Larger than the picture, with structure of all sizes."""
    rng = np.random.default_rng(0)
    picture = np.zeros((HEIGHT + 200, WIDTH + 400, 3), np.float32)
    for size in (4, 16, 64):
        small = rng.uniform(0, 255, (picture.shape[0] // size, picture.shape[1] // size, 3)).astype(np.float32)
        picture += cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC) / 3
    return np.clip(picture, 0, 255).astype(np.uint8)


WALL = wall()


def watch(shifts: np.ndarray, *, person: bool = True, noise: float = 4.0, cut: int | None = None) -> Steadiness:
    """The wall as (T, 2) shifts in pixels show it, with a checkered person who walks through the picture."""
    rng = np.random.default_rng(1)
    seen = BackgroundWatch(FPS)
    for i, (dx, dy) in enumerate(shifts):
        turn = np.array([[1, 0, -100 - dx], [0, 1, -100 - dy]], np.float64)
        picture = cv2.warpAffine(WALL if cut is None or i < cut else WALL[::-1, ::-1], turn, (WIDTH, HEIGHT))
        boxes = []
        if person:
            x = 40 + 3 * i % 400
            picture[60:340, x : x + 90] = (np.indices((280, 90)).sum(0) // 7 % 2 * 200)[..., None]
            boxes.append(np.array([[x, 60], [x + 90, 340], [np.nan, np.nan]]))
        noisy = picture + rng.normal(size=picture.shape) * noise
        seen.see(np.clip(noisy, 0, 255).astype(np.uint8), boxes)
    return seen.result()


T = np.arange(90) / FPS


def test_a_tripod_is_still() -> None:
    found = watch(np.zeros((90, 2)))
    assert found.warning is None and found.wander < 0.003 and found.seen > 0.9


@pytest.mark.parametrize(
    "shifts",
    [
        np.stack([9 * np.sin(4 * T), 6 * np.cos(5 * T)], -1),  # a hand
        np.stack([40 * T, 0 * T], -1),  # a pan
        np.stack([-150 * np.sin(T), 0 * T], -1),  # one that leaves the first picture
    ],
)
def test_a_camera_that_moves_is_told(shifts: np.ndarray) -> None:
    found = watch(shifts)
    assert found.warning is not None and "Moving Camera" in found.warning
    assert found.wander == pytest.approx(np.ptp(shifts, axis=0).max() / WIDTH, rel=0.2)


def test_a_cut_is_no_motion() -> None:
    assert watch(np.zeros((90, 2)), cut=45).warning is None


def test_where_no_background_is_seen_nothing_is_said() -> None:
    seen = BackgroundWatch(FPS)
    rng = np.random.default_rng(0)
    for _ in range(30):
        seen.see(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), [np.array([[0.0, 0], [WIDTH, HEIGHT]])])
    assert seen.result().seen == 0 and seen.result().warning is None
    assert BackgroundWatch(FPS).result().warning is None


def test_a_change_of_light_is_no_motion() -> None:
    seen = BackgroundWatch(FPS)
    for i in range(60):
        picture = WALL[:HEIGHT, :WIDTH].astype(np.float64) * (0.6 + 0.4 * np.sin(i / 8) ** 2)
        seen.see(picture.astype(np.uint8), [])
    assert seen.result().warning is None
