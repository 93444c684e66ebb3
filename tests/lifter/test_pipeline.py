"""Threads that run ahead and behind: order, bounds, errors, and nothing left running."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lifter
from lifter.capture import capture
from lifter.detect import Detection
from lifter.errors import MotionliftError
from lifter.footage import Frame
from lifter.pipeline import LONGEST_QUEUE, QUEUE_BYTES, ahead, behind, queue_length

capture_module: Any = import_module("lifter.capture")  # the package's name `capture` is its function
DEMO = Path(lifter.__file__).parent / "demo" / "demo.mp4"


class Count:
    """Counts up to `last`, and tells how far it is, in which thread, and whether it was closed."""

    def __init__(self, last: int, error: BaseException | None = None) -> None:
        self.made, self.last, self.error = 0, last, error
        self.thread: threading.Thread | None = None
        self.closed = False

    def __call__(self) -> Iterator[int]:
        self.thread = threading.current_thread()
        try:
            while self.made < self.last:
                self.made += 1
                yield self.made - 1
            if self.error:
                raise self.error
        finally:
            self.closed = True


def test_ahead_keeps_order_and_its_bound_in_another_thread() -> None:
    count, taken, most = Count(50), 0, 0
    with ahead(count(), 4) as items:
        for i in items:
            assert i == taken
            taken += 1
            time.sleep(0.001)
            most = max(most, count.made - taken)
    assert (taken, most) == (50, 4)
    assert count.thread is not threading.current_thread()
    assert count.thread is not None and not count.thread.is_alive()


def test_ahead_raises_what_was_raised_where_it_would_have_come() -> None:
    error = ValueError("a frame that is no frame")
    count, taken = Count(10, error), list[int]()
    with pytest.raises(ValueError, match="no frame") as caught, ahead(count(), 4) as items:
        for i in items:
            taken.append(i)
    assert caught.value is error
    assert taken == list(range(10))
    assert count.thread is not None and not count.thread.is_alive()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_ahead_ends_with_its_block(error: type[BaseException]) -> None:
    count = Count(10**9)
    with pytest.raises(error), ahead(count(), 4) as items:
        next(items)
        raise error
    assert count.closed and count.made <= 6
    assert count.thread is not None and not count.thread.is_alive()


def test_behind_keeps_order_and_its_bound() -> None:
    done, threads, most = list[int](), set[int](), 0

    def slow(number: int) -> None:
        time.sleep(0.002)
        threads.add(threading.get_ident())
        done.append(number)

    with behind(slow, 3) as later:
        for i in range(30):
            later(i)
            most = max(most, i + 1 - len(done))
    assert done == list(range(30))
    assert 2 <= most <= 4  # three that are due, and one that is not counted yet
    assert len(threads) == 1 and threading.get_ident() not in threads


@pytest.mark.parametrize("last", [1, 30])
def test_behind_raises_what_a_call_raised(last: int) -> None:
    error, before = OSError("no"), threading.active_count()

    def fails(number: int) -> None:
        if number == 0:
            raise error

    with pytest.raises(OSError, match="no") as caught, behind(fails, 3) as later:
        for i in range(last):
            later(i)
    assert caught.value is error
    assert threading.active_count() == before


def test_behind_drops_what_is_due_after_an_error() -> None:
    done = list[int]()

    def slow(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    with pytest.raises(KeyboardInterrupt), behind(slow, 100) as later:
        for i in range(50):
            later(i)
        raise KeyboardInterrupt
    assert len(done) <= 2


def test_queues_are_bounded_by_memory() -> None:
    assert queue_length(320, 240) == LONGEST_QUEUE
    assert queue_length(1920, 1080, batch=16) == 32
    assert queue_length(3840, 2160, batch=16) == 8
    for width, height in ((3840, 2160), (7680, 4320)):
        assert queue_length(width, height, 64) * 3 * width * height <= QUEUE_BYTES
    assert queue_length(16384, 16384) == 2


# Capturing


@contextmanager
def not_ahead(items: Iterator[Any], many: int) -> Iterator[Iterator[Any]]:
    yield items


@contextmanager
def not_behind(call: Any, many: int) -> Iterator[Any]:
    yield call


def test_capturing_is_what_one_thread_does(monkeypatch: pytest.MonkeyPatch) -> None:
    overlapped = capture(DEMO, end=1.5)
    monkeypatch.setattr(capture_module, "ahead", not_ahead)
    monkeypatch.setattr(capture_module, "behind", not_behind)
    serial = capture(DEMO, end=1.5)
    assert overlapped.header == serial.header
    assert len(overlapped.people) == len(serial.people) == 1
    same(overlapped.people[0], serial.people[0])
    same(overlapped.camera, serial.camera)


def same(a: Any, b: Any) -> None:
    """Every array of two dataclasses is alike, those of dataclasses inside them too."""
    assert type(a) is type(b)
    for name, value in vars(b).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(a, name), value, err_msg=name)
        elif is_dataclass(value):
            same(getattr(a, name), value)


class Breaks:
    """A detector that finds nobody, and then breaks."""

    name, layout, batch = "breaks", "coco17", 2

    def __init__(self, error: BaseException, at: int) -> None:
        self.error, self.at, self.seen, self.closed = error, at, list[int](), False
        self.thread = threading.get_ident()

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        assert threading.get_ident() == self.thread
        self.seen += [f.index for f in frames]
        if len(self.seen) > self.at:
            raise self.error
        return [[] for _ in frames]

    def close(self) -> None:
        self.closed = True


class Glimpses:
    """A detector that sees somebody in every eighth frame."""

    name, layout, batch = "glimpses", "coco17", 1

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        person = Detection(
            np.random.default_rng(0).uniform(100, 300, (17, 2)).astype(np.float32), np.ones(17, np.float32)
        )
        return [[person] if f.index % 8 == 0 else [] for f in frames]

    def close(self) -> None:
        pass


def test_glimpses_of_somebody_are_nobody_to_follow() -> None:
    with pytest.raises(MotionliftError, match="long enough"):
        capture(DEMO, detector=Glimpses())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a network that fails")])
def test_a_detector_that_fails_leaves_nothing_running(error: BaseException) -> None:
    before = threading.active_count()
    detector = Breaks(error, 20)
    with pytest.raises(type(error)) as caught:
        capture(DEMO, detector=detector)
    assert caught.value is error
    assert detector.closed
    assert detector.seen == list(range(22))
    assert threading.active_count() == before


def test_a_decoder_that_fails_is_told_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    read, error = capture_module.read_frames, OSError("the drive is gone")

    def failing(*args: Any) -> Iterator[Frame]:
        for frame in read(*args):
            if frame.index == 9:
                raise error
            yield replace(frame, time=frame.time)

    monkeypatch.setattr(capture_module, "read_frames", failing)
    before = threading.active_count()
    detector = Breaks(ValueError(), 10**9)
    with pytest.raises(OSError, match="drive") as caught:
        capture(DEMO, detector=detector)
    assert caught.value is error
    assert detector.closed and detector.seen == list(range(8))
    assert threading.active_count() == before
