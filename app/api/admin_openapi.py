"""The operators' part of the API's description; shapes come from what is read."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints

from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from app import operations
from app.accounts import PRIORITIES
from app.api.admin_schemas import (
    AdoptSchema,
    CallbacksSchema,
    DeliveryListSchema,
    KeyChangeSchema,
    OwnUsageSchema,
    PauseSchema,
    PriceNameSchema,
    PriceSchema,
    TaskListSchema,
    TopUpSchema,
    UsageSchema,
)
from app.lifecycle import State
from app.store.ledger import Unit
from app.store.operator_views import (
    AttemptRow,
    DeliveryRow,
    EntryRow,
    SubmissionRow,
    TaskRow,
)

Described = dict[str, Any]
Responses = Callable[..., Described]
Refusals = Sequence[int]

TAG = {
    "name": "operators",
    "description": "For keys with the scope `admin`. Instants are ISO 8601 in UTC, "
    "amounts of money are exact numbers as texts.",
}

TEXT: Described = {"type": "string"}
MAYBE_TEXT: Described = {"type": ["string", "null"]}
COUNT: Described = {"type": "integer", "minimum": 0}
INSTANT: Described = {"type": "string", "format": "date-time"}
MAYBE_INSTANT: Described = {"type": ["string", "null"], "format": "date-time"}
AMOUNT: Described = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
MAYBE_AMOUNT: Described = {**AMOUNT, "type": ["string", "null"]}
NUMBERS: Described = {"type": "object", "additionalProperties": {"type": "number"}}
KINDS: Mapping[type, Described] = {
    str: TEXT,
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    Decimal: AMOUNT,
}


def schemas() -> dict[str, Described]:
    """What operators get, by the name of the schema."""
    attempt, entry = _of(AttemptRow), _of(EntryRow)
    counts = dict.fromkeys(operations.COUNTS, COUNT)
    pause = {"paused_until": MAYBE_INSTANT, "pause_reason": MAYBE_TEXT}
    money = dict.fromkeys(("balance", "budget"), MAYBE_AMOUNT) | {"spent": AMOUNT}
    delivery = _of(DeliveryRow)
    channel_key = _object({"name": TEXT, **pause, **counts})
    usage_row = _object(
        {"tasks": COUNT, "amount": AMOUNT, "quantity": AMOUNT},
        {"day": {"type": "string", "format": "date"}}
        | dict.fromkeys(("key", "model", "channel"), TEXT),
    )
    task = {
        "id": TEXT,
        "client": TEXT,
        "state": {"type": "string", "enum": [state.value for state in State]},
        "media_type": TEXT,
        "model": TEXT,
        "percent": COUNT,
        "error_code": MAYBE_TEXT,
        "error": MAYBE_TEXT,
        "result_count": COUNT,
        "created_at": INSTANT,
        **dict.fromkeys(("submitted_at", "started_at", "finished_at"), MAYBE_INSTANT),
        "submissions": _list(_of(SubmissionRow)),
        "deliveries": _list(
            _object({**delivery["properties"], "attempts": _list(attempt)})
        ),
        "entries": _list(entry),
    }
    unknown = {
        **dict.fromkeys(
            ("task_id", "client", "task_state", "channel", "key", "model"), TEXT
        ),
        "since": MAYBE_INSTANT,
        "deadline_at": MAYBE_INSTANT,
        "error": MAYBE_TEXT,
    }
    return {
        "OperatorTaskPage": _page("tasks", _of(TaskRow)),
        "OperatorTask": _object(task),
        "Retry": _object({"task_id": TEXT, "retry_of": TEXT}),
        "UnknownOutcomes": _object({"unknown": _list(_object(unknown))}),
        "ChannelStats": _object(
            {
                "name": TEXT,
                "enabled": {"type": "boolean"},
                **pause,
                "error_rate": {"type": "number"},
                **counts,
                "keys": _list(channel_key),
            }
        ),
        "ChannelList": _object({"channels": _list(_ref("ChannelStats"))}),
        "DeliveryPage": _page("deliveries", delivery),
        "Redelivered": _object({"redelivered": COUNT}),
        "Key": _object(
            {
                "name": TEXT,
                "key": TEXT,
                "scopes": _list(TEXT),
                "group": TEXT,
                "priority": {"type": "string", "enum": list(PRIORITIES)},
                "limits": NUMBERS,
                **money,
                "created_at": INSTANT,
                "expires_at": MAYBE_INSTANT,
                "revoked_at": MAYBE_INSTANT,
            }
        ),
        "KeyList": _object({"keys": _list(_ref("Key"))}),
        "Price": _object(
            {
                "model": TEXT,
                "channel": MAYBE_TEXT,
                "unit": {"type": "string", "enum": [unit.value for unit in Unit]},
                "amount": AMOUNT,
            }
        ),
        "PriceList": _object({"prices": _list(_ref("Price"))}),
        "Usage": _object({"rows": _list(usage_row)}),
        "OwnUsage": _object({**money, "rows": _list(usage_row)}),
    }


def paths(plugin: MarshmallowPlugin, responses: Responses) -> dict[str, Described]:
    """The operations under /admin; `responses` makes an operation's answers."""

    def operation(
        name: str,
        summary: str,
        answer: str,
        refusals: Refusals,
        *,
        query: Schema | None = None,
        body: Schema | None = None,
        path: str | None = None,
    ) -> Described:
        described: Described = {
            "operationId": name,
            "tags": [TAG["name"]],
            "summary": summary,
            "responses": responses(_ref(answer), {}, (400, 401, 403, *refusals)),
        }
        parameters = _parameters(plugin, query)
        if path:
            parameters.append(
                {"name": path, "in": "path", "required": True, "schema": TEXT}
            )
        if parameters:
            described["parameters"] = parameters
        if body is not None:
            described["requestBody"] = _body(plugin, body)
        return described

    def get(
        name: str, summary: str, answer: str, refusals: Refusals = (), **more: Any
    ) -> Described:
        return {"get": operation(name, summary, answer, refusals, **more)}

    def post(
        name: str, summary: str, answer: str, refusals: Refusals = (), **more: Any
    ) -> Described:
        return {"post": operation(name, summary, answer, (*refusals, 413, 415), **more)}

    task, named = {"path": "task_id"}, {"path": "name"}
    return {
        "/admin/tasks": get(
            "listEveryTask", "List tasks", "OperatorTaskPage", query=TaskListSchema()
        ),
        "/admin/tasks/{task_id}": get(
            "showTask",
            "Show all of a task but its prompt",
            "OperatorTask",
            [404],
            **task,
        ),
        "/admin/tasks/{task_id}/cancel": post(
            "cancelAnyTask", "Cancel a task", "OperatorTask", [404, 409], **task
        ),
        "/admin/tasks/{task_id}/retry": post(
            "retryTask",
            "Make a new task with the inputs of one that failed",
            "Retry",
            [402, 404, 409],
            **task,
        ),
        "/admin/tasks/{task_id}/assume-lost": post(
            "assumeLost",
            "Send a parked task again, since its upstream never got it",
            "OperatorTask",
            [404, 409],
            **task,
        ),
        "/admin/tasks/{task_id}/adopt": post(
            "adoptJob",
            "Follow a job that was found at the upstream",
            "OperatorTask",
            [404, 409],
            body=AdoptSchema(),
            **task,
        ),
        "/admin/unknown": get(
            "listUnknown", "List unknown outcomes of paid calls", "UnknownOutcomes"
        ),
        "/admin/channels": get(
            "listChannels", "Channels, with the counts of an hour", "ChannelList"
        ),
        "/admin/channels/{name}/pause": post(
            "pauseChannel",
            "Send nothing new to a channel for a while",
            "ChannelStats",
            [404],
            body=PauseSchema(),
            **named,
        ),
        "/admin/channels/{name}/resume": post(
            "resumeChannel",
            "Let a channel take tasks again",
            "ChannelStats",
            [404],
            **named,
        ),
        "/admin/channels/{name}/drain": post(
            "drainChannel",
            "Give a channel no new tasks",
            "ChannelStats",
            [404],
            **named,
        ),
        "/admin/deliveries": get(
            "listDeliveries",
            "List callbacks",
            "DeliveryPage",
            query=DeliveryListSchema(),
        ),
        "/admin/deliveries/{delivery_id}/redeliver": post(
            "redeliver",
            "Send a callback again now",
            "Redelivered",
            [404, 409],
            path="delivery_id",
        ),
        "/admin/redeliver": post(
            "redeliverMany",
            "Send every callback that fits again now",
            "Redelivered",
            body=CallbacksSchema(),
        ),
        "/admin/keys": get("listKeys", "List the API keys", "KeyList"),
        "/admin/keys/{name}/change": post(
            "changeKey",
            "Change a key's group, priority, limits or budget",
            "Key",
            [404],
            body=KeyChangeSchema(),
            **named,
        ),
        "/admin/keys/{name}/topup": post(
            "topUp",
            "Add to a key's balance",
            "Key",
            [404, 409],
            body=TopUpSchema(),
            **named,
        ),
        "/admin/prices": get("listPrices", "List the prices", "PriceList")
        | post("setPrice", "Set a price", "Price", [404], body=PriceSchema()),
        "/admin/prices/remove": post(
            "removePrice", "Forget a price", "PriceList", [404], body=PriceNameSchema()
        ),
        "/admin/usage": get(
            "readUsage", "Add up what was spent", "Usage", query=UsageSchema()
        ),
    }


def own_usage(plugin: MarshmallowPlugin, responses: Responses) -> Described:
    """The operation by which a client reads its own account."""
    return {
        "operationId": "readOwnUsage",
        "tags": ["tasks"],
        "summary": "Read what you have and what you spent",
        "description": "By day and model. An account or budget that is not kept is "
        "null; amounts are exact numbers as texts.",
        "parameters": _parameters(plugin, OwnUsageSchema()),
        "responses": responses(_ref("OwnUsage"), {}, (400, 401, 403)),
    }


def _parameters(plugin: MarshmallowPlugin, query: Schema | None) -> list[Described]:
    if query is None:
        return []
    assert plugin.converter is not None
    found: list[Described] = plugin.converter.schema2parameters(query, location="query")
    for parameter in found:
        _without_null(parameter["schema"])
    return found


def _body(plugin: MarshmallowPlugin, schema: Schema) -> Described:
    converter: Any = plugin.converter
    described: Described = converter.schema2jsonschema(schema)
    described["additionalProperties"] = False
    for field in described["properties"].values():
        _without_null(field)
        if field.get("type") == "number":
            field["exclusiveMinimum"] = field.pop("minimum")
    return {
        "required": bool(described.get("required")),
        "content": {"application/json": {"schema": described}},
    }


def _without_null(schema: Described) -> None:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        rest = [kind for kind in kinds if kind != "null"]
        schema["type"] = rest[0] if len(rest) == 1 else rest
    if "enum" in schema:
        schema["enum"] = [word for word in schema["enum"] if word is not None]


def _of(row: type) -> Described:
    """The schema of a row, whose instants and amounts are told as texts."""
    hints = get_type_hints(row)
    properties = {}
    for field in fields(row):
        kind, optional = _kind(hints[field.name])
        told = INSTANT if field.name.endswith("_at") else KINDS[kind]
        if optional:
            told = {**told, "type": [told["type"], "null"]}
        properties[field.name] = told
    return _object(properties)


def _kind(hint: Any) -> tuple[type, bool]:
    """A type, and whether it may be None."""
    if get_origin(hint) in (Union, types.UnionType):
        (kind,) = (each for each in get_args(hint) if each is not type(None))
        return kind, True
    return hint, False


def _object(
    required: Mapping[str, Described], optional: Mapping[str, Described] | None = None
) -> Described:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


def _list(items: Described) -> Described:
    return {"type": "array", "items": items}


def _page(name: str, row: Described) -> Described:
    next_before = {
        "type": ["string", "null"],
        "description": "Give it as `before`; null on the last page.",
    }
    return _object({name: _list(row), "next_before": next_before})


def _ref(name: str) -> Described:
    return {"$ref": f"#/components/schemas/{name}"}
