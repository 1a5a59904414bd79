"""The tables. SQL is the record of everything, and the queue.

Instants (`..._at`) are unix milliseconds by the database's clock: one integer that
every database compares, adds to and indexes alike. No row holds media bytes or a clear
secret. What is claimed sits in narrow rows (`tasks`, `submissions`, `deliveries`);
prompts and other texts live beside them, because PostgreSQL writes a whole new row at
each claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from app.lifecycle import LIVE, OPEN

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

MONEY_PARTS = Decimal(10**8)
MOST_PARTS = 2**62

# Row counters that many small rows share; SQLite counts by itself only in INTEGER.
Serial = BigInteger().with_variant(Integer(), "sqlite")


class ForeignText(TypeDecorator[str]):
    """Text that somebody else wrote; what no database holds in it is replaced.

    NUL and halves of surrogate pairs come out of JSON, and an outcome that was paid for
    must not be lost over them.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        if value is None:
            return None
        fit = value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
        return fit.encode("utf-8", "replace").decode()


class ForeignString(ForeignText):
    """The same with a longest length."""

    impl = String  # type: ignore[assignment]
    cache_ok = True


WAITS = text("due_at IS NOT NULL")


class Money(TypeDecorator[Decimal]):
    """Exact decimals of eight places, as whole numbers of the smallest part.

    SQLite has no decimals of its own and would keep floats.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:
        if value is None:
            return None
        parts = value * MONEY_PARTS
        whole = int(parts.to_integral_value(ROUND_HALF_UP))
        if not -MOST_PARTS <= whole <= MOST_PARTS:
            raise ValueError(f"{value} is too large an amount")
        return whole

    def process_result_value(self, value: int | None, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value) / MONEY_PARTS

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        return self


def _words(states: Iterable[StrEnum]) -> str:
    """Fixed words as SQL literals, in an order that never changes."""
    return ", ".join(f"'{state.value}'" for state in sorted(states))


def _due(table: str) -> Index:
    """Finds due rows; a row that waits for nothing is not in it."""
    return Index(
        f"ix_{table}_due", "due_at", postgresql_where=WAITS, sqlite_where=WAITS
    )


clients = Table(
    "clients",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("key_hash", LargeBinary(32), nullable=False, unique=True),
    Column("key_prefix", String(20), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("webhook_secret", LargeBinary, nullable=False),
    Column("old_webhook_secret", LargeBinary),
    Column("old_webhook_secret_until", BigInteger),
    Column("group", String(60), nullable=False),  # channels may serve some groups only
    Column("priority", Integer, nullable=False),  # 0 low, 1 normal, 2 high
    Column("limits", JSON, nullable=False),
    # What it may still spend; NULL: no account is kept. Holds are taken off already.
    Column("balance", Money),
    Column("budget", Money),  # the most it may spend in a calendar month (UTC)
    Column("spent", Money, nullable=False),  # in `spent_month`, holds included
    Column("spent_month", String(7), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)

channels = Table(
    "channels",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("provider", String(40), nullable=False),
    Column("base_url", Text, nullable=False),
    Column("webhook_secret", LargeBinary),
    Column("groups", JSON, nullable=False),  # empty: it serves every group
    Column("models", JSON, nullable=False),  # {"name": "upstream's name"}
    Column("weight", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("limits", JSON, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("removed_at", BigInteger),  # kept while submissions still need it
    Column("origin", String(20), nullable=False),  # who manages it: cli, file, env
    Column("failure_count", Integer, nullable=False),  # in a row
    Column("error_rate", Float, nullable=False),  # 0 to 1, the last ones count most
    Column("paused_until", BigInteger),
    Column("pause_reason", ForeignText),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

channel_keys = Table(
    "channel_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("channel_id", String(40), ForeignKey("channels.id"), nullable=False),
    Column("name", String(60), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("removed_at", BigInteger),  # kept while its submissions still need it
    Column("failure_count", Integer, nullable=False),
    Column("paused_until", BigInteger),
    Column("pause_reason", Text),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("channel_id", "name"),
)

# When the next call under a rate may be made: the emission times of a leaky bucket.
gates = Table(
    "gates",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("free_at", BigInteger, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("client_id", String(40), ForeignKey("clients.id"), nullable=False),
    Column("state", String(12), nullable=False),
    Column("media_type", String(8), nullable=False),
    Column("model", String(200), nullable=False),
    Column("due_at", BigInteger),  # set while it waits to be handed to a channel
    Column("fence", Integer, nullable=False),
    Column("claim_count", Integer, nullable=False),
    Column("try_count", Integer, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("held", Money),  # of its client's money until it ends; NULL: free
    Column("error_code", String(60)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("submitted_at", BigInteger),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    _due("tasks"),
    # The due tasks of one client, the longest due first.
    Index(
        "ix_tasks_client_id_due_at",
        "client_id",
        "due_at",
        postgresql_where=text("due_at IS NOT NULL"),
        sqlite_where=text("due_at IS NOT NULL"),
    ),
    Index("ix_tasks_client_id_created_at", "client_id", "created_at", "id"),
    Index(
        "ix_tasks_open",
        "client_id",
        "state",
        postgresql_where=text(f"state IN ({_words(OPEN)})"),
        sqlite_where=text(f"state IN ({_words(OPEN)})"),
    ),
)

task_bodies = Table(
    "task_bodies",
    metadata,
    Column(
        "task_id",
        String(40),
        ForeignKey("tasks.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("inputs", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("response_format", String(10), nullable=False),
    Column("callback_url", Text),
    Column("error", ForeignText),
    Column("usage", JSON),
)

submissions = Table(
    "submissions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column(
        "task_id",
        String(40),
        ForeignKey("tasks.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("task_fence", Integer, nullable=False),  # the claim that opened it
    Column("channel_id", String(40), ForeignKey("channels.id"), nullable=False),
    Column("key_id", String(40), ForeignKey("channel_keys.id"), nullable=False),
    Column("model", String(200), nullable=False),  # the upstream's name
    Column("state", String(10), nullable=False),
    Column("due_at", BigInteger),  # set while it waits for a look
    Column("fence", Integer, nullable=False),
    Column("claim_count", Integer, nullable=False),
    Column("look_count", Integer, nullable=False),
    Column("looked_at", BigInteger),  # the last look that brought an answer
    Column("called_at", BigInteger),  # the last callback of the upstream
    Column("missing_count", Integer, nullable=False),
    Column("copy_count", Integer, nullable=False),
    Column("cancelling", Boolean, nullable=False),  # its task was cancelled
    Column("phase", String(10)),  # what the last look saw
    Column("percent", Integer),
    Column("remote_id", ForeignString(1000)),
    Column("remote", JSON),  # links of the upstream's answer
    Column("found", JSON),  # artifacts of a finished job that are not copied yet
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("accepted_at", BigInteger),
    Column("deadline_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("reason", Text),  # why this channel was chosen
    Column("verdict", String(20)),  # the class of what happened
    Column("error", ForeignText),
    _due("submissions"),
    Index("ix_submissions_task_id", "task_id"),
    Index("ix_submissions_channel_id_remote_id", "channel_id", "remote_id"),
    Index(
        "ix_submissions_live",
        "channel_id",
        "key_id",
        postgresql_where=text(f"state IN ({_words(LIVE)})"),
        sqlite_where=text(f"state IN ({_words(LIVE)})"),
    ),
)

# How long jobs take: `app/durations.py` says what the weights mean.
durations = Table(
    "durations",
    metadata,
    Column(
        "channel_id",
        String(40),
        ForeignKey("channels.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("model", String(200), primary_key=True),  # the upstream's name
    Column("weights", JSON, nullable=False),
    Column("job_count", Integer, nullable=False),
    Column("called_share", Float, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column(
        "task_id",
        String(40),
        ForeignKey("tasks.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("n", Integer, primary_key=True),
    Column("storage_key", Text),
    Column("url", ForeignText),  # the upstream's own link, where it is passed on
    Column("content_type", ForeignString(100)),
    Column("size_bytes", BigInteger),
    Column("sha256", String(64)),
    Column("width", Integer),
    Column("height", Integer),
    Column("duration_s", Float),
    Column("expires_at", BigInteger),
    Column("title", ForeignText),
    Column("text", ForeignText),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(40), primary_key=True),  # the `webhook-id` of every attempt
    Column(
        "task_id",
        String(40),
        ForeignKey("tasks.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("client_id", String(40), ForeignKey("clients.id"), nullable=False),
    Column("event", String(30), nullable=False),
    Column("url", Text, nullable=False),
    Column("host", String(300), nullable=False),
    Column("state", String(10), nullable=False),
    Column("due_at", BigInteger),
    Column("fence", Integer, nullable=False),
    Column("claim_count", Integer, nullable=False),
    Column("attempt_count", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("last_status", Integer),
    UniqueConstraint("task_id", "event"),
    _due("deliveries"),
    # SQLite counts by host with it: what was delivered must not be in it either.
    Index(
        "ix_deliveries_host_due_at",
        "host",
        "due_at",
        postgresql_where=WAITS,
        sqlite_where=WAITS,
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column(
        "delivery_id",
        String(40),
        ForeignKey("deliveries.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("n", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("error", ForeignText),
    Column("excerpt", ForeignText),
    Index("ix_attempts_delivery_id", "delivery_id"),
)

receivers = Table(
    "receivers",
    metadata,
    Column("host", String(300), primary_key=True),
    Column("failure_count", Integer, nullable=False),
    Column("paused_until", BigInteger, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("client_id", String(40), primary_key=True),
    Column("route", String(60), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("body_hash", LargeBinary(32), nullable=False),
    Column("task_id", String(40), nullable=False),
    Column("answer", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
)

prices = Table(
    "prices",
    metadata,
    Column("model", String(200), primary_key=True),
    Column("channel", String(100), primary_key=True),  # "": every channel
    Column("unit", String(10), nullable=False),  # call, image, second, character
    Column("amount", Money, nullable=False),
)

# Every movement of money, never changed: the sums of a task's holds, settles and
# releases are zero when it has ended.
entries = Table(
    "entries",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("client_id", String(40), ForeignKey("clients.id"), nullable=False),
    Column("task_id", String(40)),  # no foreign key: entries outlive old tasks
    Column("kind", String(8), nullable=False),  # topup, hold, settle, release
    Column("amount", Money, nullable=False),
    Column("model", String(200)),
    Column("channel", String(100)),
    Column("quantity", Money),
    Column("reference", String(100)),  # of a top-up: the same one counts once
    Column("created_at", BigInteger, nullable=False),
    Index("ix_entries_client_id_created_at", "client_id", "created_at"),
    Index(
        "ix_entries_client_id_reference",
        "client_id",
        "reference",
        unique=True,
        postgresql_where=text("reference IS NOT NULL"),
        sqlite_where=text("reference IS NOT NULL"),
    ),
    Index("ix_entries_task_id", "task_id"),
)

facts = Table(
    "facts",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
