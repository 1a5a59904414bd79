"""What upstreams remember, read back from a journal when a server starts.

    {"kind": "job", "provider", "id", ...}                  accepted, or changed since
    {"kind": "cancelled", "provider", "job", "at"}
    {"kind": "deleted", "provider", "job"}
    {"kind": "turn", "provider", "key": [...], "taken"}     a tag such as `[429 twice]`
    {"kind": "callback", "provider", "id", "job", "url", "at", "told"}   planned
    {"kind": "called", "provider", "id"}                    delivered, or given up
    {"kind": "put", "provider", "shelf", "key", "thing"}    kept beside the jobs
    {"kind": "taken", "provider", "shelf", "key"}

Uploaded files are not kept: no job needs one to make its media.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.jobs import Upstream, read_job
from sandbox.journal import Journal, Record
from sandbox.shelf import Note

log = logging.getLogger(__name__)

OF_ONE_JOB = frozenset({"poll", "status"})
"""Turns that are counted for a job, and not for a prompt."""


@dataclass(frozen=True)
class Planned:
    """A callback that is not yet done with."""

    upstream: Upstream
    id: str
    job_id: str
    url: str
    at: float
    told: Any

    def record(self) -> Record:
        return {
            "kind": "callback",
            "provider": self.upstream.name,
            "id": self.id,
            "job": self.job_id,
            "url": self.url,
            "at": self.at,
            "told": self.told,
        }


def recall(journal: Journal, upstreams: Mapping[str, Upstream], now: float) -> None:
    """Fill upstreams that are new with what the journal tells, and go on writing it.

    Callbacks that are owed are planned again. The journal is written anew without what
    no longer matters; raises OSError when that is not possible.
    """
    planned: dict[str, Planned] = {}

    def take(record: Record) -> None:
        upstream = upstreams.get(record.get("provider", ""))
        # the header, and providers that are no longer simulated
        if upstream is not None:
            take_in(upstream, record, planned, now)

    journal.read(take)
    owed = [
        callback
        for callback in planned.values()
        if callback.upstream.jobs.find(callback.job_id) is not None
    ]
    journal.rewrite(records_of(upstreams, owed))
    for upstream in upstreams.values():
        upstream.write_to(noting(journal, upstream.name))
    for callback in owed:
        plan(callback)


def take_in(
    upstream: Upstream, record: Record, planned: dict[str, Planned], now: float
) -> None:
    """Let one record have happened; raises KeyError, TypeError and ValueError."""
    match record["kind"]:
        case "job":
            told = {k: v for k, v in record.items() if k not in {"kind", "provider"}}
            job = read_job(told)
            if job.created_at < now - upstream.jobs.most_age_s:
                return
            if upstream.jobs.find(job.id) is None:
                upstream.add(job)
            else:
                upstream.jobs.add(job)
        case "cancelled":
            cancelled = upstream.jobs.find(record["job"])
            if cancelled is not None:
                cancelled.cancelled_at = float(record["at"])
        case "deleted":
            upstream.jobs.delete(record["job"])
        case "turn":
            key = tuple(str(part) for part in record["key"])
            if key[0] not in OF_ONE_JOB or upstream.jobs.find(key[1]) is not None:
                upstream.turns.set(key, int(record["taken"]))
        case "callback":
            planned[record["id"]] = Planned(
                upstream=upstream,
                id=record["id"],
                job_id=record["job"],
                url=record["url"],
                at=float(record["at"]),
                told=record["told"],
            )
        case "called":
            planned.pop(record["id"], None)
        case "put":
            if (shelf := upstream.shelves.get(record["shelf"])) is not None:
                shelf.put(record["key"], record["thing"])
        case "taken":
            if (shelf := upstream.shelves.get(record["shelf"])) is not None:
                shelf.take(record["key"])
        case kind:
            raise ValueError(f"{kind!r} is no kind of record")


def records_of(
    upstreams: Mapping[str, Upstream], owed: list[Planned]
) -> Iterator[Record]:
    """All that is remembered, in as few records as can be."""
    for name, upstream in upstreams.items():
        for record in upstream.records():
            yield {"provider": name, **record}
    for callback in owed:
        yield callback.record()


def noting(journal: Journal, provider: str) -> Note:
    """Writes the records of one provider."""

    def note(record: Record) -> None:
        record["provider"] = provider
        journal.append(record)

    return note


def plan(callback: Planned) -> None:
    """Send a callback when it is due, which may be now."""
    upstream = callback.upstream
    job = upstream.jobs.find(callback.job_id)
    if job is None:
        return
    if upstream.message_of is None:
        log.warning("%s cannot call back after a restart", upstream.name)
        return
    build = upstream.message_of(job, callback.told)
    upstream.send_callback(callback.id, job, callback.url, build, callback.at)
