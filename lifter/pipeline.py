"""Work that overlaps: decoding runs ahead of the detector in a thread, what follows it runs behind it in another.

OpenCV gives up Python's lock while it decodes, converts and compares pictures, and MediaPipe and ONNX Runtime theirs
while they detect, so threads do run side by side. Queues are bounded by memory, order is kept, and results are those of
one thread. The detector itself stays in the caller's thread: Ctrl-C and its own errors arrive as without threads.
Where cores are few the others give way to it: what they do is needed later than what it does.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

QUEUE_BYTES = 200_000_000
"""Pictures that wait may fill so much memory: eight of 4K."""
LONGEST_QUEUE = 8
"""More pictures than this do not help: decoders are uneven over a few frames, not over many."""

GIVE_WAY = 19
"""Niceness of threads beside the detector. Capturing 1080p on two cores took 0.88 of the time with 10, less with 19."""


def _give_way() -> None:
    if sys.platform == "linux":  # where a thread, and those that it starts, may have a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GIVE_WAY)


def queue_length(width: int, height: int, batch: int = 1) -> int:
    """How many RGB pictures of a size may wait for a detector that takes `batch` of them at once."""
    return max(2, min(max(LONGEST_QUEUE, 2 * batch), QUEUE_BYTES // max(1, 3 * width * height)))


@contextmanager
def ahead(items: Iterator[T], many: int) -> Generator[Iterator[T]]:
    """The items of an iterator, which a thread of its own runs, at most `many` ahead of whoever takes them.

    What the iterator raises is raised where its item would have come. At the end of the block, also by an error in it,
    the thread has ended and the iterator is closed, which takes no longer than the item that is being made.
    """
    end: Any = object()
    waiting = deque[Future[T]]()
    pool = ThreadPoolExecutor(1, "ahead", _give_way)

    def taken() -> Generator[T]:
        waiting.extend(pool.submit(next, items, end) for _ in range(many))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item

    try:
        yield taken()
    finally:
        pool.shutdown(cancel_futures=True)
        waiting.clear()
        if isinstance(items, Generator):
            items.close()


@contextmanager
def behind(call: Callable[P, object], many: int) -> Generator[Callable[P, None]]:
    """A function that has `call` called with its arguments, in a thread, one call after the other.

    It waits only where `many` calls are due. What a call raises is raised by a later one, or at the end of the block,
    which waits for all of them. An error in the block drops those that are due.
    """
    due = deque[Future[object]]()
    pool = ThreadPoolExecutor(1, "behind", _give_way)

    def later(*args: P.args, **more: P.kwargs) -> None:
        while due and (len(due) >= many or due[0].done()):
            due.popleft().result()
        due.append(pool.submit(call, *args, **more))

    try:
        yield later
        while due:
            due.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        due.clear()
