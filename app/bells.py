"""Bells: Celery messages without content that say "look, something is due".

SQL is the queue; a bell only saves the wait until a worker's next look at it. A lost or
doubled bell costs nothing, so nobody waits for the broker: `ring()` marks the bell and
returns, and one thread of the process does the publishing, within short time limits.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from app.settings import Settings

logger = logging.getLogger(__name__)

# After one ring the next of its kind waits this long: under load one message serves
# many tasks, and a single task is not delayed.
SPACING_S = 0.02
# A queue that holds a ring already needs no second one.
ENOUGH = 2
BROKER_TIMEOUT_S = 0.4
BROKER_PAUSE_S = 1.0


class Bell(StrEnum):
    """The jobs that workers do; each has its own queue of the same name."""

    SUBMIT = "submit"
    POLL = "poll"
    DELIVER = "deliver"
    SWEEP = "sweep"

    @property
    def job(self) -> str:
        """The Celery task's name."""
        return f"genrelay.{self.value}"


Ring = Callable[[Bell], None]


def make_celery(settings: Settings) -> Celery:
    """The Celery app, alike for the side that rings and the side that works."""
    broker = settings.broker_url
    if broker.startswith("memory:"):
        broker = "memory://localhost/"  # kombu warns when it has to make up a host
    celery = Celery("genrelay", broker=broker, set_as_current=False)
    celery.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        result_backend=None,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        task_queues=[
            Queue(bell.value, routing_key=bell.value, durable=True) for bell in Bell
        ],
        task_routes={bell.job: {"queue": bell.value} for bell in Bell},
        task_create_missing_queues=False,
        task_default_delivery_mode="transient",
        broker_connection_timeout=3,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options=transport_options(settings.broker_url),
    )
    return celery


def transport_options(broker_url: str) -> dict[str, Any]:
    """Time limits for a broker that falls silent; a fast look for the in-memory one."""
    if broker_url.startswith("memory:"):
        return {"polling_interval": 0.01}
    if broker_url.startswith("redis"):
        return {
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "visibility_timeout": 3600,
            "health_check_interval": 10,
        }
    return {"connect_timeout": 3, "read_timeout": 5, "write_timeout": 5}


class Ringer:
    """Publishes bells from a thread of its own; `ring` never blocks and never fails."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._wanted: set[Bell] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._last: dict[Bell, float] = {}
        self.failed_count = 0

    def ring(self, bell: Bell) -> None:
        """Ask for one message; returns at once."""
        with self._changed:
            if self._closed:
                return
            self._wanted.add(bell)
            if self._thread is None:  # only now, since a web server may fork first
                self._thread = threading.Thread(
                    target=self._publish_wanted, name="ringer", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Stop publishing."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=2)
        self._drop_connection()

    def _publish_wanted(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._closed)
                if self._closed:
                    return
                wanted, self._wanted = self._wanted, set()
            for bell in sorted(wanted):
                if not self._publish(bell):
                    # What is due is found by the workers' own looks meanwhile.
                    with self._changed:
                        self._wanted |= wanted
                    time.sleep(BROKER_PAUSE_S)
                    break
                self._last[bell] = time.monotonic()
            time.sleep(SPACING_S)

    def _publish(self, bell: Bell) -> bool:
        try:
            if self._connection is None:
                self._connection = self._connect()
            channel = self._connection.default_channel
            queue = self._celery.amqp.queues[bell.value].bind(channel)
            waiting = queue.queue_declare(passive=False).message_count
            if waiting < ENOUGH:
                with self._celery.amqp.Producer(
                    channel, auto_declare=False
                ) as producer:
                    self._celery.send_task(bell.job, producer=producer, retry=False)
        except Exception as error:
            # Whatever a broker's client raises, the work itself is safe in SQL.
            self.failed_count += 1
            logger.warning(
                "the broker did not take a bell",
                extra={"bell": bell.value, "error": type(error).__name__},
            )
            self._drop_connection()
            return False
        return True

    def _connect(self) -> Any:
        options = dict(self._celery.conf.broker_transport_options)
        for name in (
            "socket_timeout",
            "socket_connect_timeout",
            "connect_timeout",
            "read_timeout",
            "write_timeout",
        ):
            if name in options:
                options[name] = BROKER_TIMEOUT_S
        connection = self._celery.connection_for_write(
            connect_timeout=BROKER_TIMEOUT_S, transport_options=options
        )
        connection.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT_S)
        # Queues bound once, so that rings sent before any worker started are kept.
        for bell in Bell:
            self._celery.amqp.queues[bell.value].bind(
                connection.default_channel
            ).declare()
        return connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OperationalError, OSError):
                connection.release()
