"""Once a second: is something due? Then ring.

There is no beat process to lose: every worker looks for its own queues. The ring goes
through the broker, so that any worker may take it; when the broker is silent and work
stays due, this process does it by itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from app.bells import Bell
from app.store import due
from app.store.health import TROUBLES
from app.store.models import deliveries, submissions, tasks
from workers.runtime import WorkerRuntime

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
SWEEP_EVERY_S = 60.0
# Rings that change nothing for so long were lost: the broker is not needed to work.
PATIENCE_S = 3.0

TABLES = {Bell.SUBMIT: tasks, Bell.POLL: submissions, Bell.DELIVER: deliveries}


class Watch:
    """Looks for due work from a thread of its own."""

    def __init__(
        self, rt: WorkerRuntime, jobs: Mapping[Bell, Callable[[], None]]
    ) -> None:
        self._rt = rt
        self._jobs = jobs
        self._stopped = threading.Event()
        self._due_since: dict[Bell, float] = {}
        self._swept_at = 0.0
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when no look is under way."""
        self._stopped.set()
        self._thread.join()

    def look(self, now: float) -> None:
        """One look, at monotonic time `now`."""
        for bell in self._jobs:
            if bell is Bell.SWEEP:
                if now - self._swept_at >= SWEEP_EVERY_S:
                    self._swept_at = now
                    # Not rung: workers take turns anyway, whatever the broker does.
                    self._work(bell)
                continue
            with self._rt.base.reading() as tx:
                waits = due.is_anything_due(tx, TABLES[bell])
            if not waits:
                self._due_since.pop(bell, None)
                continue
            since = self._due_since.setdefault(bell, now)
            self._rt.base.ring(bell)
            if now - since >= PATIENCE_S:
                self._due_since[bell] = now
                self._work(bell)
        self._rt.durations.flush()

    def _work(self, bell: Bell) -> None:
        """Do the job here; when it runs already it just looks again."""
        logger.debug("doing it without a ring", extra={"bell": bell})
        threading.Thread(
            target=self._do, args=(bell,), name=f"{bell.value}-unrung", daemon=True
        ).start()

    def _do(self, bell: Bell) -> None:
        try:
            self._jobs[bell]()
        except Exception:
            # The rows stay due, and the next look comes.
            logger.exception("a job failed", extra={"job": bell.value})

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            try:
                self.look(time.monotonic())
            except TROUBLES as error:
                logger.warning(
                    "the database does not answer",
                    extra={"error": type(error.__cause__ or error).__name__},
                )
            except Exception:
                # Without a watch nothing that lost its ring would ever be done.
                logger.exception("a look for due work failed")
