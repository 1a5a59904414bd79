"""The description is valid, complete, and what really happens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.api.openapi import EXAMPLES, describe
from app.api.schemas import NewTaskSchema
from app.lifecycle import State
from tests.app.api.gateways import Gateway, make_gateway
from tests.app.api.test_tasks import finish, set_state

# Pages for people and the description itself.
NOT_DESCRIBED = {"/docs", "/docs/{name}", "/openapi.json"}
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


def test_the_description_is_valid() -> None:
    validate(describe())


def test_every_route_is_described_and_no_other(gateway: Gateway) -> None:
    routes = set()
    for rule in gateway.flask_app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        routes |= {(path, method) for method in methods if path not in NOT_DESCRIBED}

    described = {
        (path, method.upper())
        for path, operations in describe()["paths"].items()
        for method in operations
    }
    assert routes == described


def test_every_field_is_described_for_json_and_forms() -> None:
    schemas = describe()["components"]["schemas"]

    for name in ("NewTask", "NewTaskForm"):
        assert set(schemas[name]["properties"]) == set(NewTaskSchema().fields)
        for field, about in schemas[name]["properties"].items():
            assert about["description"], field
            assert about.get("type") or about.get("items"), field


def test_examples_fit_their_schemas() -> None:
    description = describe()

    def check(schema: Any, value: Any) -> None:
        # References lead into the whole description.
        whole = {**description, **schema}
        jsonschema.Draft202012Validator(whole).validate(value)

    for operations in description["paths"].values():
        for operation in operations.values():
            contents = [operation.get("requestBody", {}).get("content", {})]
            contents += [r.get("content", {}) for r in operation["responses"].values()]
            for content in contents:
                for media in content.values():
                    for example in media.get("examples", {}).values():
                        check(media["schema"], example["value"])


def test_examples_are_read_as_they_are_written() -> None:
    for _, body in EXAMPLES.values():
        NewTaskSchema().load(body)


@pytest.mark.parametrize("state", list(State))
def test_real_tasks_fit_the_description(gateway: Gateway, state: State) -> None:
    description = describe()
    task_id = gateway.submitted(
        callback_url="https://203.0.113.7/h", response_format="b64_json"
    )
    if state is State.SUCCEEDED:
        gateway.rt.storage.put("results/a.png", b"png")
        finish(gateway, task_id, storage_key="results/a.png")
    else:
        set_state(gateway, task_id, state)

    task = gateway.get(f"/generation/tasks/{task_id}").json["data"]

    schema = {**description, "$ref": "#/components/schemas/Task"}
    jsonschema.Draft202012Validator(schema).validate(task)


def test_the_page_loads_nothing_from_elsewhere(gateway: Gateway) -> None:
    page = gateway.http.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]

    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(linked) >= 5
    for path in linked:
        assert path.startswith("/")
        answer = gateway.http.get(path)
        assert answer.status_code == 200, path
        assert answer.data
    description = gateway.http.get("/openapi.json")
    assert json.loads(description.data)["openapi"] == "3.1.0"


# Invented requests

FOLDER = TemporaryDirectory(prefix="genrelay-schemathesis-")


@cache
def shared_gateway() -> Gateway:
    return make_gateway(Path(FOLDER.name))


@cache
def known_task() -> str:
    return shared_gateway().submitted()


@pytest.fixture(scope="module", autouse=True)
def clean_up() -> Iterator[None]:
    yield
    if shared_gateway.cache_info().currsize:
        shared_gateway().web.close()
        shared_gateway().rt.database.close()
    FOLDER.cleanup()


api = schemathesis.openapi.from_dict(describe()).exclude(path_regex="^/v1/")


@api.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
def test_invented_requests_break_nothing(case: schemathesis.Case) -> None:
    gateway = shared_gateway()
    if isinstance(case.body, dict) and "model" in case.body:
        case.body["model"] = "lumen-free"
    case.headers.pop("Prefer", None)
    if case.query:
        case.query.pop("wait", None)
    given = (case.path_parameters or {}).get("task_id")
    if isinstance(given, str) and len(given) % 2:
        case.path_parameters["task_id"] = known_task()
    case.call_and_validate(
        base_url="http://localhost",
        app=gateway.flask_app,
        headers=gateway.headers,
        checks=list(CHECKS),
    )
