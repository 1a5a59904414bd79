"""What operators do, over HTTP: the functions of the command line, for keys with the
scope `admin`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, Response, g, request
from marshmallow import Schema

from app import operations
from app.api import byte_streams
from app.api.admin_schemas import (
    AdoptSchema,
    CallbacksSchema,
    DeliveryListSchema,
    KeyChangeSchema,
    NothingSchema,
    OwnUsageSchema,
    PauseSchema,
    PriceNameSchema,
    PriceSchema,
    TaskListSchema,
    TopUpSchema,
    UsageSchema,
)
from app.api.auth import Scope, needs
from app.api.json_bodies import read_json_object
from app.api.problems import success
from app.api.queries import read_query
from app.api.task_requests import JSON_TYPE, load
from app.api.tasks import check_task_id
from app.errors import TaskNotFound, UnsupportedType
from app.operations import KeyChange
from app.store.operator_views import Filter

bp = Blueprint("admin", __name__)

BODY_BYTES = 64 * 1024
USUAL_LIMIT = 50
USUAL_GROUPS = "day,key,model"
DELIVERY_ID = re.compile(r"msg_[0-9a-f]{32}")


@bp.get("/admin/tasks")
@needs(Scope.ADMIN)
def list_tasks() -> Response:
    """Tasks of every client, the newest first."""
    query = load(TaskListSchema(), read_query())
    wanted = Filter(
        client=query.get("client"),
        states=_one(query.get("status")),
        model=query.get("model"),
        channel=query.get("channel"),
        since=_instant(query, "since"),
    )
    limit = query.get("limit", USUAL_LIMIT)
    before = query.get("before")
    rows = operations.list_tasks(g.rt, wanted, before=before, limit=limit)
    return success({"tasks": rows, "next_before": _next(rows, limit)}, {})


@bp.get("/admin/tasks/<task_id>")
@needs(Scope.ADMIN)
def show_task(task_id: str) -> Response:
    """A task with its submissions, callbacks and money."""
    check_task_id(task_id)
    return success(operations.show_task(g.rt, task_id), {})


@bp.post("/admin/tasks/<task_id>/cancel")
@needs(Scope.ADMIN)
def cancel_task(task_id: str) -> Response:
    """End a task that has not ended."""
    check_task_id(task_id)
    _read_body(NothingSchema())
    return success(operations.cancel_task(g.rt, task_id), {})


@bp.post("/admin/tasks/<task_id>/retry")
@needs(Scope.ADMIN)
def retry_task(task_id: str) -> Response:
    """Make a new task with the inputs of one that failed."""
    check_task_id(task_id)
    _read_body(NothingSchema())
    return success(operations.retry_task(g.rt, task_id, g.web.providers), {})


@bp.post("/admin/tasks/<task_id>/assume-lost")
@needs(Scope.ADMIN)
def assume_lost(task_id: str) -> Response:
    """Send a parked task again: its upstream never got it."""
    check_task_id(task_id)
    _read_body(NothingSchema())
    return success(operations.assume_lost(g.rt, task_id), {})


@bp.post("/admin/tasks/<task_id>/adopt")
@needs(Scope.ADMIN)
def adopt(task_id: str) -> Response:
    """Follow a job that was found at the upstream."""
    check_task_id(task_id)
    job = _read_body(AdoptSchema())
    return success(
        operations.adopt(
            g.rt, task_id, job["remote_id"], g.web.providers, job.get("links")
        ),
        {},
    )


@bp.get("/admin/unknown")
@needs(Scope.ADMIN)
def list_unknown() -> Response:
    """Paid calls whose outcome is unknown."""
    load(NothingSchema(), read_query())
    return success({"unknown": operations.list_unknown(g.rt)}, {})


@bp.get("/admin/channels")
@needs(Scope.ADMIN)
def channel_stats() -> Response:
    """What channels and their keys do now, and did in the last hour."""
    load(NothingSchema(), read_query())
    return success({"channels": operations.channel_stats(g.rt)}, {})


@bp.post("/admin/channels/<path:name>/pause")
@needs(Scope.ADMIN)
def pause_channel(name: str) -> Response:
    """Send nothing new to a channel for a while."""
    body = _read_body(PauseSchema())
    told = operations.pause_channel(
        g.rt, name, pause_s=body.get("for_s"), reason=body.get("reason", "")
    )
    return success(told, {})


@bp.post("/admin/channels/<path:name>/resume")
@needs(Scope.ADMIN)
def resume_channel(name: str) -> Response:
    """Let a channel take tasks again."""
    _read_body(NothingSchema())
    return success(operations.resume_channel(g.rt, name), {})


@bp.post("/admin/channels/<path:name>/drain")
@needs(Scope.ADMIN)
def drain_channel(name: str) -> Response:
    """Give a channel no new tasks."""
    _read_body(NothingSchema())
    return success(operations.drain_channel(g.rt, name), {})


@bp.get("/admin/deliveries")
@needs(Scope.ADMIN)
def list_deliveries() -> Response:
    """Callbacks of every client, the newest first."""
    query = load(DeliveryListSchema(), read_query())
    limit = query.get("limit", USUAL_LIMIT)
    rows = operations.list_deliveries(
        g.rt, _callbacks(query), before=query.get("before"), limit=limit
    )
    return success({"deliveries": rows, "next_before": _next(rows, limit)}, {})


@bp.post("/admin/deliveries/<delivery_id>/redeliver")
@needs(Scope.ADMIN)
def redeliver(delivery_id: str) -> Response:
    """Send one callback again now."""
    if DELIVERY_ID.fullmatch(delivery_id) is None:
        text = f"there is no delivery {delivery_id[:60]!r}"
        raise TaskNotFound(text, code="delivery_not_found")
    _read_body(NothingSchema())
    return success({"redelivered": operations.redeliver(g.rt, delivery_id)}, {})


@bp.post("/admin/redeliver")
@needs(Scope.ADMIN)
def redeliver_many() -> Response:
    """Send every callback that fits again now."""
    wanted = _callbacks(_read_body(CallbacksSchema()))
    return success({"redelivered": operations.redeliver_many(g.rt, wanted)}, {})


@bp.get("/admin/keys")
@needs(Scope.ADMIN)
def list_keys() -> Response:
    """Every API key with what it may do, and its money."""
    load(NothingSchema(), read_query())
    return success({"keys": operations.list_keys(g.rt)}, {})


@bp.post("/admin/keys/<path:name>/change")
@needs(Scope.ADMIN)
def change_key(name: str) -> Response:
    """Change a key's group, priority, limits or budget."""
    change = KeyChange(**_read_body(KeyChangeSchema()))
    return success(operations.change_key(g.rt, name, change), {})


@bp.post("/admin/keys/<path:name>/topup")
@needs(Scope.ADMIN)
def top_up(name: str) -> Response:
    """Add to a key's balance."""
    told = _read_body(TopUpSchema())
    return success(
        operations.top_up(g.rt, name, told["amount"], told.get("reference")), {}
    )


@bp.get("/admin/prices")
@needs(Scope.ADMIN)
def list_prices() -> Response:
    """What models cost."""
    load(NothingSchema(), read_query())
    return success({"prices": operations.list_prices(g.rt)}, {})


@bp.post("/admin/prices")
@needs(Scope.ADMIN)
def set_price() -> Response:
    """Set what one unit of a model costs."""
    return success(operations.set_price(g.rt, **_read_body(PriceSchema())), {})


@bp.post("/admin/prices/remove")
@needs(Scope.ADMIN)
def remove_price() -> Response:
    """Forget a price."""
    operations.remove_price(g.rt, **_read_body(PriceNameSchema()))
    return success({"prices": operations.list_prices(g.rt)}, {})


@bp.get("/admin/usage")
@needs(Scope.ADMIN)
def usage() -> Response:
    """What every client has spent."""
    query = load(UsageSchema(), read_query())
    rows = operations.usage(
        g.rt,
        by=[name.strip() for name in query.get("by", USUAL_GROUPS).split(",")],
        since=_instant(query, "since"),
        until=_instant(query, "until"),
    )
    return success({"rows": rows}, {})


@bp.get("/generation/usage")
@bp.get("/v1/generation/usage")
@needs(Scope.READ)
def own_usage() -> Response:
    """The client's own account, and what it spent by day and model."""
    query = load(OwnUsageSchema(), read_query())
    rows = operations.usage(
        g.rt,
        by=("day", "model"),
        since=_instant(query, "since"),
        until=_instant(query, "until"),
        client_id=g.client.id,
    )
    return success({**operations.account(g.rt, g.client.id), "rows": rows}, {})


def _read_body(schema: Schema) -> dict[str, Any]:
    """The fields of a JSON body; none at all is an object without fields."""
    content = byte_streams.read_all(request.environ, BODY_BYTES)
    if not content:
        return load(schema, {})
    if request.mimetype != JSON_TYPE:
        raise UnsupportedType(f"send the body as {JSON_TYPE} in UTF-8")
    with ExitStack() as files:
        return load(schema, read_json_object([content], files))


def _callbacks(given: Mapping[str, Any]) -> Filter:
    return Filter(
        client=given.get("client"),
        states=_one(given.get("state")),
        host=given.get("host"),
        task_id=given.get("task_id"),
        since=_instant(given, "since"),
        until=_instant(given, "until"),
    )


def _one(word: str | None) -> tuple[str, ...]:
    return () if word is None else (word,)


def _instant(given: Mapping[str, Any], name: str) -> int | None:
    text = given.get(name)
    return None if text is None else operations.read_instant(text, g.rt.now(), name)


def _next(rows: list[dict[str, Any]], limit: int) -> str | None:
    return rows[-1]["id"] if len(rows) == limit else None
