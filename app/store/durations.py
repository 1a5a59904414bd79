"""What was learned of how long jobs take, per channel and upstream model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.durations import Learned, observe
from app.store.models import durations
from app.store.session import db_now

# A channel, and the upstream's name of a model.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Ended:
    """One job that ended between two instants, in seconds after it was sent."""

    channel_id: str
    model: str
    typical_s: float
    after_s: float
    before_s: float
    called: bool

    @property
    def place(self) -> Place:
        return self.channel_id, self.model


def load(tx: Connection) -> dict[Place, Learned]:
    """Everything that was learned."""
    return {(row.channel_id, row.model): _read(row) for row in tx.execute(_select())}


def learn(tx: Connection, ended: Sequence[Ended]) -> None:
    """Add jobs to what is known; workers that do so at once wait for each other."""
    by_place: dict[Place, list[Ended]] = {}
    # In one order: two workers must not wait for each other in a circle.
    for job in sorted(ended):
        by_place.setdefault(job.place, []).append(job)
    for (channel_id, model), jobs in by_place.items():
        here = (durations.c.channel_id == channel_id, durations.c.model == model)
        tx.execute(_insert(tx, channel_id, model))
        row = tx.execute(_select().where(*here).with_for_update()).one()
        learned = _read(row)
        for job in jobs:
            learned = observe(
                learned,
                job.typical_s,
                after_s=job.after_s,
                before_s=job.before_s,
                called=job.called,
            )
        tx.execute(
            update(durations)
            .where(*here)
            .values(
                weights=[round(weight, 4) for weight in learned.weights],
                job_count=learned.job_count,
                called_share=learned.called_share,
                updated_at=db_now(),
            )
        )


def _select() -> Any:
    row = durations.c
    return select(
        row.channel_id, row.model, row.weights, row.job_count, row.called_share
    )


def _read(row: Any) -> Learned:
    return Learned(tuple(row.weights), row.job_count, row.called_share)


def _insert(tx: Connection, channel_id: str, model: str) -> Any:
    insert: Any = postgresql if tx.dialect.name == "postgresql" else sqlite
    fresh = Learned()
    values: Mapping[str, Any] = {
        "channel_id": channel_id,
        "model": model,
        "weights": list(fresh.weights),
        "job_count": fresh.job_count,
        "called_share": fresh.called_share,
        "updated_at": db_now(),
    }
    return insert.insert(durations).values(**values).on_conflict_do_nothing()
