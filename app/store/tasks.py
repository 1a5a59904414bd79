"""Tasks: add, get, and the one function that moves them from state to state."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Connection,
    Integer,
    RowMapping,
    Select,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.errors import TaskNotFound
from app.lifecycle import FINAL, STEPS, Event, State, sources
from app.store import deliveries, ledger, submissions
from app.store.bulk import Bulk, BulkInsert
from app.store.deliveries import Owed
from app.store.models import ForeignText, artifacts, task_bodies, tasks
from app.store.models import deliveries as deliveries_table
from app.store.session import db_now, note_change


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """What intake made of a client's request.

    `inputs` has the fields of `providers.types.GenerationRequest` that were given;
    `images` in it is a list of `{"url"}` or `{"upload": storage key, "content_type"}`.
    """

    id: str
    model: str
    media_type: str
    inputs: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    response_format: str = "url"
    callback_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One artifact of a task, as stored; instants are unix milliseconds."""

    n: int
    storage_key: str | None = None
    url: str | None = None
    content_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    expires_at: int | None = None
    title: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as its client may see it; instants are unix milliseconds."""

    id: str
    client_id: str
    state: State
    media_type: str
    model: str
    percent: int
    error_code: str | None
    error: str | None
    created_at: int
    updated_at: int
    submitted_at: int | None
    started_at: int | None
    finished_at: int | None
    response_format: str
    metadata: Mapping[str, Any]
    usage: Mapping[str, Any] | None
    callback_url: str | None
    callback_state: str | None
    callback_attempts: int
    results: tuple[Result, ...]

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


# Built once: making a statement costs more than running it.
FIRST_VALUES: dict[str, Any] = {
    "state": State.QUEUED.value,
    "due_at": db_now(),
    "fence": 0,
    "claim_count": 0,
    "try_count": 0,
    "percent": 0,
    "created_at": db_now(),
    "updated_at": db_now(),
}
ADD_TASK = (
    sqlite.insert(tasks)
    .values(FIRST_VALUES)
    .on_conflict_do_nothing()
    .returning(tasks.c.created_at)
)
ADD_BODY = sqlite.insert(task_bodies).on_conflict_do_nothing()


BODY_NAMES = ("inputs", "metadata", "response_format", "callback_url")


def _add_all() -> Select[str, int]:
    """Tasks and their bodies in one statement, from one text: a JSON list of rows."""
    own = [tasks.c[name] for name in ("id", "client_id", "media_type", "model")]
    texts = [column for column in task_bodies.c if column.name in BODY_NAMES]
    fields = [column(each.name, each.type) for each in (*own, *texts)]
    rows = (
        func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
        .table_valued(*fields, name="given")
        .render_derived(with_types=True)
    )
    given = select(rows).cte("new")
    added = (
        postgresql.insert(tasks)
        .from_select(
            [*(each.name for each in own), *FIRST_VALUES],
            select(
                *(given.c[each.name] for each in own),
                *(
                    literal_column(f"'{value}'")
                    if isinstance(value, str)
                    else literal_column(str(value))
                    if isinstance(value, int)
                    else value
                    for value in FIRST_VALUES.values()
                ),
            ),
        )
        .on_conflict_do_nothing()
        .returning(tasks.c.id, tasks.c.created_at)
        .cte("added")
    )
    bodies = (
        postgresql.insert(task_bodies)
        .from_select(
            ["task_id", *BODY_NAMES],
            select(given.c.id, *(given.c[name] for name in BODY_NAMES)),
        )
        .on_conflict_do_nothing()
        .cte("bodies")
    )
    return select(added.c.id, added.c.created_at).add_cte(bodies)


ADD_ALL = _add_all()


def add(tx: Connection, client_id: str, new: NewTask) -> int:
    """Insert a queued task that is due at once; gives its time of creation.

    One that is there already stays as it is.
    """
    return add_all(tx, [(client_id, new)])[new.id]


def add_all(tx: Connection, new: Sequence[tuple[str, NewTask]]) -> dict[str, int]:
    """The same for several clients' tasks; gives times of creation by their ids."""
    if tx.dialect.name == "postgresql":
        rows = [
            {
                "id": task.id,
                "client_id": client_id,
                "model": task.model,
                "media_type": task.media_type,
                **_body(task),
            }
            for client_id, task in new
        ]
        found = tx.execute(ADD_ALL, {"rows": json.dumps(rows)})
        created = {row.id: row.created_at for row in found}
    else:
        created = {}
        for client_id, task in new:
            row = {
                "id": task.id,
                "client_id": client_id,
                "model": task.model,
                "media_type": task.media_type,
            }
            created_at = tx.execute(ADD_TASK, row).scalar()
            tx.execute(ADD_BODY, {"task_id": task.id, **_body(task)})
            if created_at is not None:
                created[task.id] = created_at
    if len(created) < len(new):
        known = select(tasks.c.id, tasks.c.created_at)
        ids = [task.id for _, task in new]
        rest = tx.execute(known.where(tasks.c.id.in_(ids)))
        created |= {row.id: row.created_at for row in rest}
    return created


def _body(task: NewTask) -> dict[str, Any]:
    return {
        "inputs": dict(task.inputs),
        "metadata": dict(task.metadata),
        "response_format": task.response_format,
        "callback_url": task.callback_url,
    }


# Built once: the base of every look at whole tasks.
TASKS = (
    select(
        tasks,
        task_bodies.c.response_format,
        task_bodies.c.metadata,
        task_bodies.c.usage,
        task_bodies.c.error,
        task_bodies.c.callback_url,
        deliveries_table.c.state.label("callback_state"),
        deliveries_table.c.attempt_count.label("callback_attempts"),
    )
    .join(task_bodies, task_bodies.c.task_id == tasks.c.id)
    .join(deliveries_table, deliveries_table.c.task_id == tasks.c.id, isouter=True)
)


def get(tx: Connection, task_id: str, client_id: str | None = None) -> Task:
    """The task, when it is this client's (None: whoever's); else `TaskNotFound`."""
    query = TASKS.where(tasks.c.id == task_id)
    if client_id is not None:
        query = query.where(tasks.c.client_id == client_id)
    row = tx.execute(query).mappings().first()
    if row is None:
        raise TaskNotFound(f"there is no task {task_id[:60]!r}")
    return _read(row, find_results(tx, task_id))


def find_all(tx: Connection, ids: Collection[str]) -> dict[str, Task]:
    """Each of these tasks, whoever's they are; unknown ids are left out."""
    results: dict[str, list[Result]] = {}
    made = select(artifacts).where(artifacts.c.task_id.in_(ids)).order_by(artifacts.c.n)
    for row in tx.execute(made).mappings():
        result = Result(**{name: row[name] for name in Result.__slots__})
        results.setdefault(row["task_id"], []).append(result)
    rows = tx.execute(TASKS.where(tasks.c.id.in_(ids))).mappings()
    return {row["id"]: _read(row, results.get(row["id"], ())) for row in rows}


def _read(row: RowMapping, results: Sequence[Result]) -> Task:
    return Task(
        id=row["id"],
        client_id=row["client_id"],
        state=State(row["state"]),
        media_type=row["media_type"],
        model=row["model"],
        percent=row["percent"],
        error_code=row["error_code"],
        error=row["error"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        submitted_at=row["submitted_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        response_format=row["response_format"],
        metadata=row["metadata"],
        usage=row["usage"],
        callback_url=row["callback_url"],
        callback_state=row["callback_state"],
        callback_attempts=row["callback_attempts"] or 0,
        results=tuple(results),
    )


def find_results(tx: Connection, task_id: str) -> tuple[Result, ...]:
    """The artifacts of a task, in order."""
    columns = [column for column in artifacts.c if column.name != "task_id"]
    rows = tx.execute(
        select(*columns).where(artifacts.c.task_id == task_id).order_by(artifacts.c.n)
    )
    return tuple(Result(**row) for row in rows.mappings())


def find_states(tx: Connection, ids: Collection[str]) -> dict[str, tuple[State, int]]:
    """State and percent of each of these tasks; unknown ids are left out."""
    rows = tx.execute(
        select(tasks.c.id, tasks.c.state, tasks.c.percent).where(tasks.c.id.in_(ids))
    )
    return {row.id: (State(row.state), row.percent) for row in rows}


def find_inputs(tx: Connection, ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """What each of these tasks asks for: its inputs, and `metadata` beside them."""
    rows = tx.execute(
        select(
            task_bodies.c.task_id, task_bodies.c.inputs, task_bodies.c.metadata
        ).where(task_bodies.c.task_id.in_(ids))
    )
    return {row.task_id: {**row.inputs, "metadata": row.metadata} for row in rows}


ADD_RESULTS = BulkInsert(artifacts, ("task_id", *Result.__slots__))


def add_results(tx: Connection, task_id: str, results: Sequence[Result]) -> None:
    """Keep what a task made; written in the transaction that finishes it."""
    _add_results(tx, [(task_id, result) for result in results])


def _add_results(tx: Connection, made: Sequence[tuple[str, Result]]) -> None:
    ADD_RESULTS.run(
        tx,
        [
            {
                "task_id": task_id,
                **{name: getattr(result, name) for name in Result.__slots__},
                # Some servers send whole essays as their content type.
                "content_type": result.content_type and result.content_type[:100],
            }
            for task_id, result in made
        ],
    )


@dataclass(frozen=True, slots=True)
class Step:
    """An event of one task, with what belongs to it: see `advance`."""

    task_id: str
    event: Event
    fence: int | None = None
    due_in_s: float | None = None
    error_code: str | None = None
    error: str | None = None
    usage: Mapping[str, Any] | None = None
    results: Sequence[Result] = ()


def advance(
    tx: Connection,
    task_id: str,
    event: Event,
    *,
    fence: int | None = None,
    due_in_s: float | None = None,
    error_code: str | None = None,
    error: str | None = None,
    usage: Mapping[str, Any] | None = None,
    results: Sequence[Result] = (),
) -> bool:
    """Let `event` happen to a task, if it may; False when it may not (any more).

    One UPDATE compares and sets. `fence` is given by the holder of a claim: the event
    does not happen when another worker has claimed the task since. A final state owes
    the client its delivery in the same transaction, keeps the `results`, and settles
    or releases what was held of the client's money. `due_in_s` says when a task that
    goes back to the queue may be claimed again.
    """
    step = Step(task_id, event, fence, due_in_s, error_code, error, usage, results)
    return task_id in advance_all(tx, [step])


def advance_all(tx: Connection, steps: Sequence[Step]) -> set[str]:
    """The same for many tasks; gives the ids of those to which their event happened.

    One UPDATE for each event, in the order in which the events first occur. A task may
    have several steps when they are of different events.
    """
    by_event: dict[Event, dict[str, Step]] = {}
    for step in steps:
        by_event.setdefault(step.event, {})[step.task_id] = step
    moved: set[str] = set()
    for event, of_event in by_event.items():
        moved |= _advance(tx, event, of_event)
    return moved


def _advance_statement(event: Event) -> Bulk:
    """Compares and sets the state of many tasks; gives what the rest needs to know."""
    targets = {state: STEPS[state][event] for state in sources(event)}

    def build(given: Any) -> Any:
        changes: dict[str, Any] = {
            "state": case(
                {s.value: t.value for s, t in targets.items()}, value=tasks.c.state
            ),
            "updated_at": db_now(),
            "claim_count": 0,
            "due_at": null(),
        }
        match event:
            case Event.RETURN | Event.REQUEUE:
                changes["due_at"] = db_now() + given.due_in_ms
                changes["try_count"] = tasks.c.try_count + 1
            case Event.ACCEPT | Event.PARK:
                changes["submitted_at"] = db_now()
            case Event.FINISH | Event.FAIL | Event.CANCEL:
                changes["finished_at"] = db_now()
                changes["error_code"] = given.code
        if event is Event.FINISH:
            changes["percent"] = 100
            # No look may have seen it at work: then it began when it was handed over.
            changes["started_at"] = func.coalesce(
                tasks.c.started_at, tasks.c.submitted_at
            )
        return (
            update(tasks)
            .where(
                tasks.c.id == given.of_id,
                tasks.c.state.in_([state.value for state in targets]),
                or_(given.of_fence.is_(None), tasks.c.fence == given.of_fence),
            )
            .values(changes)
            .returning(tasks.c.id, tasks.c.state, tasks.c.client_id, tasks.c.held)
        )

    types: dict[str, Any] = {"of_id": String, "of_fence": Integer}
    if event in (Event.RETURN, Event.REQUEUE):
        types["due_in_ms"] = BigInteger
    if event in (Event.FINISH, Event.FAIL, Event.CANCEL):
        types["code"] = String
    return Bulk(types, build)


# Tasks are claimed by app.store.due alone.
ADVANCE = {event: _advance_statement(event) for event in Event if event != Event.CLAIM}
END_BODIES = Bulk(
    {"of_id": String, "note": ForeignText, "used": JSON(none_as_null=True)},
    lambda given: (
        update(task_bodies)
        .where(task_bodies.c.task_id == given.of_id)
        .values(error=given.note, usage=given.used)
        .returning(task_bodies.c.task_id, task_bodies.c.callback_url)
    ),
)


def _advance(tx: Connection, event: Event, steps: Mapping[str, Step]) -> set[str]:
    if event is Event.CLAIM:
        raise ValueError("tasks are claimed by app.store.due alone")
    if event is Event.CANCEL:
        ledger.lock_accounts(tx, list(steps))  # before the tasks, as workers do
    rows = ADVANCE[event].returned(
        tx,
        [
            {
                "of_id": step.task_id,
                "of_fence": step.fence,
                "due_in_ms": int((step.due_in_s or 0) * 1000),
                "code": step.error_code,
            }
            for step in steps.values()
        ],
    )
    moved = {row.id: row for row in rows}
    for task_id, row in moved.items():
        note_change(tx, task_id, State(row.state))
    if event is Event.CANCEL:
        for task_id in moved:
            submissions.call_off(tx, task_id)
    _add_results(
        tx,
        [(task_id, result) for task_id in moved for result in steps[task_id].results],
    )
    ended = {
        task_id: row for task_id, row in moved.items() if State(row.state) in FINAL
    }
    # In one order: what is spent is counted with the client.
    for task_id, row in sorted(ended.items()):
        if row.held is None:
            continue
        if steps[task_id].results:
            ledger.settle(tx, task_id, row.client_id, row.held)
        else:
            ledger.release(tx, task_id, row.client_id, row.held)
    bodies = END_BODIES.returned(
        tx,
        [
            {
                "of_id": task_id,
                "note": steps[task_id].error,
                "used": dict(steps[task_id].usage or {}) or None,
            }
            for task_id in ended
        ],
    )
    deliveries.owe(
        tx,
        [
            Owed(
                body.task_id,
                ended[body.task_id].client_id,
                f"task.{ended[body.task_id].state}",
                body.callback_url,
            )
            for body in bodies
            if body.callback_url is not None
        ],
    )
    return set(moved)


@dataclass(frozen=True, slots=True)
class Wait:
    """A claimed task that no channel has a place for."""

    task_id: str
    fence: int
    due_in_s: float


PUT_BACK = Bulk(
    {"of_id": String, "of_fence": Integer, "due_in_ms": BigInteger},
    lambda given: (
        update(tasks)
        .where(
            tasks.c.id == given.of_id,
            tasks.c.fence == given.of_fence,
            tasks.c.state == State.SUBMITTING.value,
        )
        .values(
            state=STEPS[State.SUBMITTING][Event.RETURN].value,
            due_at=db_now() + given.due_in_ms,
            claim_count=0,
        )
        .returning(tasks.c.id)
    ),
)


def put_back(tx: Connection, task_id: str, fence: int, *, due_in_s: float) -> None:
    """No channel is free: wait in the queue; this counts as no try."""
    put_back_all(tx, [Wait(task_id, fence, due_in_s)])


def put_back_all(tx: Connection, waits: Sequence[Wait]) -> None:
    """The same for many tasks."""
    put = PUT_BACK.returned(
        tx,
        [
            {
                "of_id": wait.task_id,
                "of_fence": wait.fence,
                "due_in_ms": int(wait.due_in_s * 1000),
            }
            for wait in waits
        ],
    )
    for row in put:
        note_change(tx, row.id, STEPS[State.SUBMITTING][Event.RETURN])


@dataclass(frozen=True, slots=True)
class Progress:
    """What an upstream says of a task at work."""

    task_id: str
    percent: int | None
    running: bool


SHOW_PROGRESS = Bulk(
    {"of_id": String, "is_running": Integer, "capped": Integer},
    lambda given: (
        update(tasks)
        .where(
            tasks.c.id == given.of_id,
            tasks.c.state == State.PROCESSING.value,
            or_(
                and_(given.is_running == 1, tasks.c.started_at.is_(None)),
                tasks.c.percent < given.capped,
            ),
        )
        .values(
            started_at=case(
                (
                    and_(given.is_running == 1, tasks.c.started_at.is_(None)),
                    db_now(),
                ),
                else_=tasks.c.started_at,
            ),
            percent=case(
                (tasks.c.percent < given.capped, given.capped), else_=tasks.c.percent
            ),
            updated_at=db_now(),
        )
    ),
)


def show_progress(
    tx: Connection, task_id: str, *, percent: int | None, running: bool
) -> None:
    """Note what an upstream says of a task at work; the percentage never falls."""
    show_progress_of(tx, [Progress(task_id, percent, running)])


def show_progress_of(tx: Connection, seen: Sequence[Progress]) -> None:
    """The same of many tasks, in one statement."""
    SHOW_PROGRESS.run(
        tx,
        [
            {
                "of_id": one.task_id,
                "is_running": int(one.running),
                "capped": None if one.percent is None else max(0, min(one.percent, 99)),
            }
            for one in seen
            if one.running or one.percent is not None
        ],
    )
