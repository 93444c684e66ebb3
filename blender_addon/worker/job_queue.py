"""Jobs that wait for each other: one runs, in a worker that lives on between jobs and is replaced when it ended.

queue = JobQueue(lambda: Worker(command, environment, log_folder))
queue.add(capture_job(...))
...                          # now and then, from a timer
for message in queue.poll(): ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .messages import ENDINGS, Cancelled, Job, Message
from .process import Worker


class JobQueue:
    """A queue of jobs and the worker that does them. All of it is called from one thread."""

    def __init__(self, start: Callable[[], Worker]) -> None:
        """`start` makes a worker; it is called when there is a job and no worker that takes it."""
        self._start = start
        self._worker: Worker | None = None
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._closed = False
        self._gone: list[Message] = []

    @property
    def running(self) -> Job | None:
        """The job at hand; of a cancelled one also its end."""
        return self._running

    @property
    def waiting(self) -> tuple[Job, ...]:
        """The jobs after that, in order."""
        return tuple(self._waiting)

    @property
    def worker(self) -> Worker | None:
        """The latest worker."""
        return self._worker

    def add(self, job: Job) -> int:
        """Have a job done after all others; returns its id. After `close` it ends as cancelled."""
        if self._closed:
            self._gone.append(Cancelled(job.id))
        else:
            self._waiting.append(job)
            self._go_on()
        return job.id

    def poll(self) -> list[Message]:
        """What has come since the last time, of all jobs; and let the next job begin. Returns at once."""
        messages, self._gone = self._gone, []
        for message in self._worker.poll() if self._worker else ():
            messages.append(message)
            if isinstance(message, ENDINGS) and self._running and message.id == self._running.id:
                self._running = None
        self._go_on()
        return messages

    def cancel(self, job_id: int) -> None:
        """End a job, waiting or running; the others stay. Its `Cancelled` comes with `poll`."""
        if self._running and self._running.id == job_id and self._worker:
            self._worker.cancel()
        for job in [job for job in self._waiting if job.id == job_id]:
            self._waiting.remove(job)
            self._gone.append(Cancelled(job.id))

    def cancel_all(self) -> None:
        """End every job."""
        for job in [*self._waiting, *([self._running] if self._running else [])]:
            self.cancel(job.id)

    def close(self, seconds: float = 2.0) -> bool:
        """End every job and the worker, and wait for that. False if it took longer than `seconds`."""
        self._closed = True
        self.cancel_all()
        return self._worker is None or self._worker.close(seconds)

    def _go_on(self) -> None:
        if self._running or not self._waiting or self._closed:
            return
        if self._worker is None or not self._worker.alive:
            if self._worker and not self._worker.gone:
                return  # a cancelled one still ends
            self._worker = self._start()
        self._running = self._waiting.popleft()
        self._worker.submit(self._running)
