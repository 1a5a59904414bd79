"""The description of the API as OpenAPI 3.1, made from the schemas that are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from app.api import admin_openapi
from app.api.schemas import (
    MAX_WAIT_S,
    AcceptedTaskSchema,
    DryRunSchema,
    ListQuerySchema,
    ModelListSchema,
    ModelSchema,
    ModelsQuerySchema,
    NewTaskSchema,
    OpenAIModelListSchema,
    OpenAIModelSchema,
    ReceivedSchema,
    RefusalSchema,
    StatusSchema,
    TaskPageSchema,
    TaskSchema,
)

API_VERSION = "1.0.0"
OPENAPI_VERSION = "3.1.0"

ABOUT = """\
One API for images, videos and audio of many providers. Send a task, follow it, fetch
its results; or name a `callback_url` and be told.

Every answer of `/generation/...` is an envelope: `code` is `success` or the name of an
error, `message` is for people, `data` is what was asked for, and `errors` names each
wrong field. Every answer has an `X-Request-Id`, which the gateway's log has too.
"""

TASK_ID = "task_019a5f0e3b7c4d1f8a2b6c9e0d3f5a71"
CREATED_AT = 1_780_000_000

EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "image": (
        "An image",
        {
            "model": "wanx2.1-t2i-turbo",
            "prompt": "a lighthouse made of paper, dawn",
            "size": "1024x1024",
            "n": 1,
        },
    ),
    "edit": (
        "An image from an image",
        {
            "model": "gpt-image-1",
            "prompt": "the same room at night",
            "image_url": "https://cdn.example.com/room.png",
        },
    ),
    "video": (
        "A video from an image",
        {
            "model": "wan2.6-i2v",
            "prompt": "slow pan over the harbour",
            "image_url": "https://cdn.example.com/harbour.jpg",
            "resolution": "720P",
            "duration": 5,
            "callback_url": "https://client.example.com/hooks/genrelay",
        },
    ),
    "speech": (
        "Speech",
        {
            "model": "gpt-4o-mini-tts",
            "input": "The tide is high at six.",
            "voice": "alloy",
            "output_format": "mp3",
        },
    ),
    "song": (
        "A song",
        {
            "model": "suno_music",
            "prompt": "a slow waltz about lighthouses",
            "title": "Keepers",
            "metadata": {"make_instrumental": False},
        },
    ),
}

ACCEPTED = {
    "task_id": TASK_ID,
    "status": "queued",
    "media_type": "image",
    "model": "wanx2.1-t2i-turbo",
    "created_at": CREATED_AT,
}
MODEL = {
    "id": "wanx2.1-t2i-turbo",
    "media_type": "image",
    "providers": ["dashscope"],
    "synchronous": False,
    "actions": ["generate"],
    "required": [],
    "refused": ["duration"],
    "limits": {"max_images": 0, "max_n": 4, "side_range": [512, 1440]},
    "duration": {
        "usual_s": 11.8,
        "slow_s": 19.3,
        "longest_s": 600.0,
        "from_tasks": 412,
    },
    "example": {
        "model": "wanx2.1-t2i-turbo",
        "prompt": "a lighthouse made of paper, dawn",
    },
}
OPENAI_MODEL = {
    "id": "wanx2.1-t2i-turbo",
    "object": "model",
    "created": 0,
    "owned_by": "dashscope",
    "supported_endpoint_types": ["generation-task"],
}
TRIED = {
    "dry_run": True,
    "model": "wanx2.1-t2i-turbo",
    "media_type": "image",
    "provider": "dashscope",
    "upstream_model": "wanx2.1-t2i-turbo",
    "channel": None,
    "reason": "the only free channel of priority 0",
    "cost_at_most": None,
    "calls": [
        {
            "method": "POST",
            "url": "https://dashscope.aliyuncs.com/api/v1/services/aigc/"
            "text2image/image-synthesis",
            "headers": {"X-DashScope-Async": "enable", "Authorization": "Bearer ***"},
            "paid": True,
            "json": {
                "model": "wanx2.1-t2i-turbo",
                "input": {"prompt": "a lighthouse made of paper, dawn"},
                "parameters": {"n": 1, "size": "1024*1024"},
            },
        }
    ],
    "complete": True,
    "note": "",
}
LINK = (
    f"https://gateway.example.com/generation/tasks/{TASK_ID}/results/0"
    "?expires=1780086400&signature=k3v0..."
)


def _finished(media_type: str, model: str, **result: Any) -> dict[str, Any]:
    """A succeeded task, as an example."""
    empty = dict.fromkeys(
        (
            "url",
            "content_type",
            "size_bytes",
            "width",
            "height",
            "duration_s",
            "expires_at",
            "title",
            "text",
        )
    )
    return {
        "task_id": TASK_ID,
        "media_type": media_type,
        "model": model,
        "status": "succeeded",
        "progress": "100%",
        "result_urls": [LINK],
        "results": [
            {**empty, "url": LINK, "expires_at": CREATED_AT + 86_400, **result}
        ],
        "error": "",
        "error_code": None,
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT + 12,
        "submit_time": CREATED_AT + 1,
        "start_time": CREATED_AT + 2,
        "finish_time": CREATED_AT + 12,
        "usage": None,
        "metadata": {},
        "callback": None,
    }


FINISHED = {
    "image": _finished(
        "image",
        "wanx2.1-t2i-turbo",
        content_type="image/png",
        size_bytes=914_233,
        width=1024,
        height=1024,
    ),
    "video": _finished(
        "video",
        "wan2.6-i2v",
        content_type="video/mp4",
        size_bytes=4_210_887,
        width=1280,
        height=720,
        duration_s=5.0,
    ),
    "audio": _finished(
        "audio",
        "suno_music",
        content_type="audio/mpeg",
        size_bytes=3_120_554,
        duration_s=184.2,
        title="Keepers",
    ),
}

REFUSALS = {
    400: (
        "a field is wrong: `errors` names it",
        ["invalid_request", "model_not_found"],
    ),
    401: ("no API key, or none that is known", ["invalid_api_key"]),
    402: ("the balance or the budget does not suffice", ["insufficient_balance"]),
    403: ("the key or link may not do this", ["not_allowed", "link_expired"]),
    404: ("unknown, or another client's", ["task_not_found", "result_not_found"]),
    405: ("the address takes other methods", ["method_not_allowed"]),
    409: (
        "not possible now, or another request was faster",
        ["conflict", "task_busy", "idempotency_conflict"],
    ),
    413: ("a body, a file or an image is too large", ["too_large"]),
    415: ("neither JSON nor a multipart form", ["unsupported_media_type"]),
    416: ("the range lies outside of the file", ["range_not_satisfiable"]),
    422: (
        "the `Idempotency-Key` was used for another body",
        ["idempotency_key_reused"],
    ),
    429: (
        "the key's own limit: come back",
        [
            "rate_limited",
            "in_flight_limit_reached",
            "queued_limit_reached",
            "daily_limit_reached",
        ],
    ),
    500: ("the gateway failed", ["internal_error"]),
    503: ("the store does not answer: come back", ["not_ready"]),
}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Names this request in the gateway's log.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds until it is worth another try.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "RateLimit-Limit": {
        "description": "How many tasks this key may send at once.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "RateLimit-Remaining": {
        "description": "How many of them are left.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "RateLimit-Reset": {
        "description": "Seconds until all of them are.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {
        "description": "`Bearer`.",
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "Where the task is read.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` when this is the first answer again.",
        "schema": {"type": "string", "const": "true"},
    },
    "Preference-Applied": {
        "description": "`wait=N` when the answer was held back.",
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "The file's SHA-256.",
        "schema": {"type": "string"},
    },
    "Accept-Ranges": {"description": "`bytes`.", "schema": {"type": "string"}},
    "Content-Range": {
        "description": "Which bytes these are.",
        "schema": {"type": "string"},
    },
}
RATE_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
REFUSAL_HEADERS = {
    401: ["WWW-Authenticate"],
    409: ["Retry-After"],
    416: ["Content-Range"],
    429: ["Retry-After", *RATE_HEADERS],
    503: ["Retry-After"],
}

IMAGE_FIELDS = ("image", "image_url", "input_reference")
IMAGE_LIST_FIELDS = ("images", "image_urls")
ABOVE_ZERO = ("duration", "seconds", "speed")

PATH_TASK_ID = {
    "name": "task_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "example": TASK_ID,
}
PATH_MODEL = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "A name as tasks give it; it may hold slashes.",
    "schema": {"type": "string", "minLength": 1},
    "example": "wanx2.1-t2i-turbo",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body get the first answer again, for 24 hours: "
    "send one with every task, so that a repeated request is not paid twice. JSON and "
    "a form that say the same count as the same body.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": f"`wait=N` holds the answer until the task ends or N seconds (up to "
    f"{MAX_WAIT_S}) pass; `data` then is the task as GET shows it.",
    "schema": {"type": "string"},
}
DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "description": "With `1` the task is only checked, and the answer shows which "
    "channel it would take and the exact upstream call, secrets masked. Nothing is "
    "stored, sent or paid.",
    "schema": {"type": "string", "enum": ["0", "1", "true", "false", "yes", "no"]},
}
WAIT = {
    "name": "wait",
    "in": "query",
    "description": "Answer at the next change of status, or after so many seconds.",
    "schema": {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_S},
}

Operation = dict[str, Any]


def describe() -> dict[str, Any]:
    """The whole description, ready for JSON."""
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="genrelay",
        version=API_VERSION,
        openapi_version=OPENAPI_VERSION,
        plugins=[plugin],
        info={"description": ABOUT, "license": {"name": "MIT", "identifier": "MIT"}},
        servers=[{"url": "/", "description": "this gateway"}],
        security=[{"apiKey": []}],
        tags=[
            {"name": "tasks", "description": "Send, follow, list and cancel tasks."},
            {"name": "results", "description": "Fetch what was made."},
            {"name": "models", "description": "What there is, and what it takes."},
            {
                "name": "under /v1",
                "description": "The same, for clients of a base URL.",
            },
            {"name": "operation", "description": "For operators and providers."},
            admin_openapi.TAG,
        ],
    )
    spec.components.security_scheme(
        "apiKey",
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "sk-...",
            "description": "An API key of this gateway.",
        },
    )
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    for name, schema in (
        ("NewTask", NewTaskSchema),
        ("AcceptedTask", AcceptedTaskSchema),
        ("DryRun", DryRunSchema),
        ("Task", TaskSchema),
        ("TaskPage", TaskPageSchema),
        ("Model", ModelSchema),
        ("ModelList", ModelListSchema),
        ("OpenAIModel", OpenAIModelSchema),
        ("OpenAIModelList", OpenAIModelListSchema),
        ("Status", StatusSchema),
        ("Received", ReceivedSchema),
        ("Refusal", RefusalSchema),
    ):
        spec.components.schema(name, schema=schema)
    for name, described in admin_openapi.schemas().items():
        spec.components.schema(name, described)
    for status, (text, codes) in REFUSALS.items():
        spec.components.response(f"Refusal{status}", _refusal(status, text, codes))
    for path, operations in _paths(plugin).items():
        spec.path(path=path, operations=operations)

    description = spec.to_dict()
    schemas = description["components"]["schemas"]
    _complete_new_task(schemas["NewTask"])
    schemas["NewTaskForm"] = _form_of(schemas["NewTask"])
    return description


def _paths(plugin: MarshmallowPlugin) -> dict[str, dict[str, Operation]]:
    converter = plugin.converter
    assert converter is not None

    def query_of(schema: type[Schema]) -> list[dict[str, Any]]:
        query = converter.schema2parameters(schema(), location="query")
        for parameter in query:
            # A query has no null.
            _without_null(parameter["schema"])
        return list(query)

    paths: dict[str, dict[str, Operation]] = {
        "/generation/tasks": {
            "post": _submit(),
            "get": _list(query_of(ListQuerySchema)),
        },
        "/generation/tasks/{task_id}": {"get": _read()},
        "/generation/tasks/{task_id}/cancel": {"post": _cancel()},
        "/generation/tasks/{task_id}/results/{n}": {"get": _result()},
        "/generation/tasks/{task_id}/inputs/{name}": {"get": _input()},
        "/generation/models": {"get": _models(query_of(ModelsQuerySchema))},
        "/generation/models/{model}": {"get": _model()},
        "/generation/usage": {"get": admin_openapi.own_usage(plugin, _responses)},
    }
    for path, operations in list(paths.items()):
        alias = deepcopy(operations)
        for operation in alias.values():
            operation["operationId"] += "V1"
            operation["tags"] = ["under /v1"]
        paths[f"/v1{path}"] = alias
    return {
        **paths,
        "/v1/models": {"get": _openai_models()},
        "/v1/models/{model}": {"get": _openai_model()},
        **admin_openapi.paths(plugin, _responses),
        "/upstream/{channel}/{token}": {"post": _upstream()},
        "/upstream/{channel}": {"post": _account_upstream()},
        "/healthz": {"get": _health("isAlive", "Is the process alive", ())},
        "/readyz": {"get": _health("isReady", "Is the database ready", (503,))},
    }


def _submit() -> Operation:
    examples = {
        name: {"summary": summary, "value": value}
        for name, (summary, value) in EXAMPLES.items()
    }
    either = {"anyOf": [_ref("AcceptedTask"), _ref("Task"), _ref("DryRun")]}
    return {
        "operationId": "submitTask",
        "tags": ["tasks"],
        "summary": "Send a task",
        "description": "The task is stored before the answer is sent.",
        "parameters": [IDEMPOTENCY_KEY, PREFER, DRY_RUN],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _ref("NewTask"), "examples": examples},
                "multipart/form-data": {"schema": _ref("NewTaskForm")},
            },
        },
        "responses": _responses(
            either,
            {"accepted": ACCEPTED, "waited": FINISHED["image"], "tried": TRIED},
            (400, 401, 402, 403, 409, 413, 415, 422, 429),
            headers=(
                *("Location", "Idempotent-Replayed", "Preference-Applied"),
                *RATE_HEADERS,
            ),
        ),
    }


def _list(query: Sequence[Mapping[str, Any]]) -> Operation:
    page = {"tasks": [FINISHED["image"]], "next_cursor": None}
    return {
        "operationId": "listTasks",
        "tags": ["tasks"],
        "summary": "List tasks",
        "description": "The newest first.",
        "parameters": list(query),
        "responses": _responses(_ref("TaskPage"), {"page": page}, (400, 401, 403)),
    }


def _read() -> Operation:
    return {
        "operationId": "readTask",
        "tags": ["tasks"],
        "summary": "Read a task",
        "parameters": [PATH_TASK_ID, WAIT],
        "responses": _responses(_ref("Task"), FINISHED, (400, 401, 403, 404)),
    }


def _cancel() -> Operation:
    cancelled = {
        **FINISHED["image"],
        "status": "cancelled",
        "progress": "0%",
        "result_urls": [],
        "results": [],
        "submit_time": None,
        "start_time": None,
    }
    return {
        "operationId": "cancelTask",
        "tags": ["tasks"],
        "summary": "Cancel a task",
        "description": "What it has cost by then stays spent.",
        "parameters": [PATH_TASK_ID],
        "responses": _responses(
            _ref("Task"), {"cancelled": cancelled}, (401, 403, 404, 409)
        ),
    }


def _models(query: Sequence[Mapping[str, Any]]) -> Operation:
    return {
        "operationId": "listModels",
        "tags": ["models"],
        "summary": "List models",
        "description": "Those that this key may use, A to Z.",
        "parameters": list(query),
        "responses": _responses(
            _ref("ModelList"), {"models": {"models": [MODEL]}}, (400, 401, 403)
        ),
    }


def _model() -> Operation:
    return {
        "operationId": "readModel",
        "tags": ["models"],
        "summary": "Read a model",
        "description": "Also one that is served without being listed.",
        "parameters": [PATH_MODEL],
        "responses": _responses(_ref("Model"), {"model": MODEL}, (400, 401, 403, 404)),
    }


def _openai_models() -> Operation:
    return _plain(
        "listModelsAsOpenAI",
        "List models, for OpenAI's clients",
        "OpenAIModelList",
        {"object": "list", "data": [OPENAI_MODEL]},
        (401, 403),
    )


def _openai_model() -> Operation:
    described = _plain(
        "readModelAsOpenAI",
        "Read a model, for OpenAI's clients",
        "OpenAIModel",
        OPENAI_MODEL,
        (400, 401, 403, 404),
    )
    return {**described, "parameters": [PATH_MODEL]}


def _plain(
    operation_id: str,
    summary: str,
    schema: str,
    example: Mapping[str, Any],
    refusals: Sequence[int],
) -> Operation:
    """An answer without the envelope, as clients of another API read it."""
    return {
        "operationId": operation_id,
        "tags": ["models"],
        "summary": summary,
        "responses": {
            "200": {
                "description": "success",
                "headers": _headers(("X-Request-Id",)),
                "content": {
                    "application/json": {"schema": _ref(schema), "example": example}
                },
            },
            **_refusals(refusals),
        },
    }


def _result() -> Operation:
    file = {"schema": {"type": "string", "contentMediaType": "*/*"}}
    files = {
        "*/*": file,
    }
    headers = _headers(("ETag", "Accept-Ranges"))
    return {
        "operationId": "readResult",
        "tags": ["results"],
        "summary": "Fetch a result file",
        "description": "With the owner's API key, or by the signed link of the task, "
        "which needs none.",
        "security": [{"apiKey": []}, {}],
        "parameters": [
            PATH_TASK_ID,
            {
                "name": "n",
                "in": "path",
                "required": True,
                "description": "Which result, counted from 0.",
                "schema": {"type": "integer", "minimum": 0, "maximum": 9999},
            },
            {
                "name": "expires",
                "in": "query",
                "description": "Of a signed link.",
                "schema": {"type": "integer", "minimum": 0},
            },
            {
                "name": "signature",
                "in": "query",
                "description": "Of a signed link.",
                "schema": {"type": "string"},
            },
            {
                "name": "Range",
                "in": "header",
                "description": "One range of bytes.",
                "schema": {"type": "string"},
                "example": "bytes=0-1023",
            },
        ],
        "responses": {
            "200": {"description": "the file", "headers": headers, "content": files},
            "206": {
                "description": "a part of the file",
                "headers": {**headers, **_headers(("Content-Range",))},
                "content": files,
            },
            "302": {
                "description": "the upstream's own link",
                "headers": _headers(("Location",)),
            },
            "304": {"description": "the file you have", "headers": headers},
            **_refusals((401, 403, 404, 416)),
        },
    }


def _input() -> Operation:
    described = _result()
    parameters = [p for p in described["parameters"] if p["name"] != "n"]
    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "Which input, counted from 0, with its ending.",
        "schema": {"type": "string"},
        "example": "0.png",
    }
    answers = dict(described["responses"])
    del answers["302"]
    return {
        **described,
        "operationId": "readInput",
        "tags": ["operation"],
        "summary": "Fetch an uploaded input",
        "description": "For providers that take input images as URLs only; by a "
        "signed link, good for a day.",
        "security": [],
        "parameters": [parameters[0], name, *parameters[1:]],
        "responses": answers,
    }


def _upstream() -> Operation:
    return {
        "operationId": "receiveCallback",
        "summary": "Take a provider's callback",
        "description": "For providers. The address is secret and made for one "
        "submission; the gateway then asks the provider itself. A provider that first "
        "sends a challenge gets it back, and one that wants a word is answered with "
        "that word, without the envelope.",
        **_callback(("channel", "token"), (400, 401, 404, 413)),
    }


def _account_upstream() -> Operation:
    return {
        "operationId": "receiveAccountCallback",
        "summary": "Take a callback for a provider's whole account",
        "description": "For providers whose console takes one address. The callback "
        "must be signed with the channel's webhook secret; all else is a 401 that does "
        "not say why. The gateway then asks the provider about the jobs that it knows; "
        "the answer is the same for others. A provider that wants a word is answered "
        "with that word, without the envelope.",
        **_callback(("channel",), (401, 404, 413)),
    }


def _callback(names: Sequence[str], refusals: Sequence[int]) -> Operation:
    return {
        "tags": ["operation"],
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
            }
            for name in names
        ],
        "requestBody": {"content": {"application/json": {"schema": {}}}},
        "responses": _responses(
            _ref("Received"), {"received": {"received": True}}, refusals
        ),
    }


def _health(operation_id: str, summary: str, refusals: Sequence[int]) -> Operation:
    word = "alive" if operation_id == "isAlive" else "ready"
    example = {word: {"status": word}}
    return {
        "operationId": operation_id,
        "tags": ["operation"],
        "summary": summary,
        "security": [],
        "responses": _responses(_ref("Status"), example, refusals),
    }


def _responses(
    data: Mapping[str, Any],
    examples: Mapping[str, Any],
    refusals: Sequence[int],
    headers: Sequence[str] = (),
) -> dict[str, Any]:
    envelope = {
        "type": "object",
        "required": ["code", "message", "data"],
        "properties": {
            "code": {"type": "string", "const": "success"},
            "message": {"type": "string"},
            "data": dict(data),
        },
    }
    shown = {
        name: {"value": {"code": "success", "message": "", "data": value}}
        for name, value in examples.items()
    }
    return {
        "200": {
            "description": "success",
            "headers": _headers(("X-Request-Id", *headers)),
            "content": {"application/json": {"schema": envelope, "examples": shown}},
        },
        **_refusals(refusals),
    }


def _refusals(statuses: Sequence[int]) -> dict[str, Any]:
    every = sorted({*statuses, 405, 500, 503})
    return {str(s): {"$ref": f"#/components/responses/Refusal{s}"} for s in every}


def _refusal(status: int, text: str, codes: Sequence[str]) -> dict[str, Any]:
    example: dict[str, Any] = {"code": codes[0], "message": text, "data": None}
    if status == 400:
        wrong = "must be 1 to 16"
        example = {
            **example,
            "message": f"n {wrong}",
            "errors": {"n": [wrong]},
        }
    return {
        "description": f"{text} (`{'`, `'.join(codes)}`)",
        "headers": _headers(("X-Request-Id", *REFUSAL_HEADERS.get(status, ()))),
        "content": {
            "application/json": {"schema": _ref("Refusal"), "example": example}
        },
    }


def _headers(names: Sequence[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _complete_new_task(schema: dict[str, Any]) -> None:
    """Say what the schema's code says: unknown fields, prompt or input."""
    schema["description"] = NewTaskSchema.__doc__ or ""
    schema["additionalProperties"] = False
    schema["anyOf"] = [{"required": ["prompt"]}, {"required": ["input"]}]
    for name in ABOVE_ZERO:
        schema["properties"][name]["exclusiveMinimum"] = 0
        del schema["properties"][name]["minimum"]
    for name in IMAGE_FIELDS:
        schema["properties"][name]["type"] = ["string", "null"]
    for name in IMAGE_LIST_FIELDS:
        schema["properties"][name]["items"] = {"type": "string", "minLength": 1}
    words = schema["properties"]["response_format"]
    if None not in words["enum"]:
        words["enum"] = [*words["enum"], None]


def _form_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields as parts of a form: no nulls, and images may be files."""
    form = deepcopy(dict(schema))
    form["description"] = (
        "The same as NewTask. Numbers are text, lists are repeated parts or one JSON "
        "list, metadata is JSON text; images are files or text."
    )
    for field in form["properties"].values():
        _without_null(field)
    for name in IMAGE_FIELDS:
        form["properties"][name]["contentMediaType"] = "application/octet-stream"
    for name in IMAGE_LIST_FIELDS:
        form["properties"][name]["items"] = {
            "type": "string",
            "contentMediaType": "application/octet-stream",
        }
    return form


def _without_null(schema: dict[str, Any]) -> None:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        rest = [kind for kind in kinds if kind != "null"]
        schema["type"] = rest[0] if len(rest) == 1 else rest
    if "enum" in schema:
        schema["enum"] = [word for word in schema["enum"] if word is not None]
