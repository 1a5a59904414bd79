"""The Celery app of the workers; one job per bell, without arguments.

`task_acks_late` and a lost message cost nothing: the rows in SQL say what is due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celery import Celery, bootsteps

from app.bells import Bell
from workers import deliver, poll, submit, sweep
from workers.batch import Batch
from workers.runtime import WorkerRuntime
from workers.watch import Watch

logger = logging.getLogger(__name__)

# A job that runs already returns at once, so a few threads per queue suffice.
THREADS_PER_QUEUE = 3
STOP_LOOK_S = 0.5


class Pool:
    """The jobs of one worker process: what the bells call."""

    def __init__(self, rt: WorkerRuntime, bells: Sequence[Bell] = tuple(Bell)) -> None:
        self.bells = tuple(bells)
        settings = rt.settings
        self._batches: list[Batch[Any, Any]] = []
        jobs: dict[Bell, Callable[[], None]] = {Bell.SWEEP: lambda: sweep.sweep(rt)}
        for bell, job in (
            (Bell.SUBMIT, submit.job(rt)),
            (Bell.POLL, poll.job(rt)),
            (Bell.DELIVER, deliver.job(rt)),
        ):
            batch: Batch[Any, Any] = Batch(
                job,
                rt.engine.loop,
                capacity=settings.worker_concurrency,
                lease_s=settings.lease_s,
            )
            self._batches.append(batch)
            jobs[bell] = batch.run
            if bell in self.bells:
                rt.look_again[bell] = batch.look_again
        self.jobs: Mapping[Bell, Callable[[], None]] = {
            bell: jobs[bell] for bell in self.bells
        }
        self._watch = Watch(rt, self.jobs)

    def start(self) -> None:
        """Begin to watch for due work."""
        self._watch.start()

    def take_no_more(self) -> None:
        """Claim nothing new from now on; waits for nothing."""
        for batch in self._batches:
            batch.stop()

    def stop(self) -> None:
        """Take nothing new; what is under way is finished by whoever runs it."""
        self._watch.stop()
        self.take_no_more()

    def join(self, timeout_s: float) -> None:
        """Wait until the calls under way have ended, also those no job waits for."""
        until = time.monotonic() + timeout_s
        for batch in self._batches:
            batch.join(max(0.0, until - time.monotonic()))

    @property
    def under_way(self) -> int:
        """How many claims are being worked on."""
        return sum(batch.under_way for batch in self._batches)


def register(celery: Celery, pool: Pool) -> None:
    """Give each bell its job."""
    for bell, job in pool.jobs.items():
        celery.task(name=bell.job, shared=False)(_named(bell, job))


class LooksUp(bootsteps.StartStopStep):  # type: ignore[misc]
    """Makes a worker see soon that it was told to stop.

    RabbitMQ has nothing to say for seconds, and a signal does not end that wait.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        self._timer = consumer.timer.call_repeatedly(STOP_LOOK_S, lambda: None)

    def stop(self, consumer: Any) -> None:
        self._timer.cancel()


def make_worker(celery: Celery, bells: Sequence[Bell], **options: Any) -> Any:
    """A Celery worker on these queues, with a pool of threads; `.start()` blocks."""
    # The threads of the pool look their jobs up in the process's default app.
    celery.set_default()
    celery.steps["consumer"].add(LooksUp)
    return celery.WorkController(
        pool="threads",
        concurrency=THREADS_PER_QUEUE * len(bells),
        queues=[bell.value for bell in bells],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        **options,
    )


def _named(bell: Bell, job: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            job()
        except Exception:
            # The rows stay due; the watch rings again.
            logger.exception("a job failed", extra={"job": bell.value})

    run.__name__ = bell.value
    return run
