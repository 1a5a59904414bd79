"""What operators do over HTTP: who may, what is answered, and as it is described."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from app.api.openapi import describe
from app.bells import Bell
from app.lifecycle import Event
from app.store import ledger, tasks
from app.store.models import tasks as tasks_table
from app.store.tasks import Result
from tests.app.api.gateways import Gateway, add_client, data

NO_TASK = "task_" + "0" * 32
NO_DELIVERY = "msg_" + "0" * 32
DESCRIPTION = describe()

Call = Callable[..., TestResponse]


@pytest.fixture
def call(gateway: Gateway) -> Call:
    """A call with an operator's key; its answer is as described, whatever it says."""
    key, _ = add_client(gateway.rt, "operator", ["admin"])

    def send(method: str, path: str, body: Any = None, **values: str) -> TestResponse:
        answer = gateway.http.open(
            path.format(**values),
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {key}"},
        )
        operation = DESCRIPTION["paths"][path.partition("?")[0]][method.lower()]
        described = operation["responses"][str(answer.status_code)]
        if "$ref" in described:
            name = described["$ref"].rpartition("/")[2]
            described = DESCRIPTION["components"]["responses"][name]
        schema = described["content"]["application/json"]["schema"]
        whole = {**DESCRIPTION, **schema}
        jsonschema.Draft202012Validator(whole).validate(answer.json)
        return answer

    return send


def fail(gateway: Gateway, task_id: str) -> None:
    with gateway.rt.transaction() as tx:
        assert tasks.advance(
            tx, task_id, Event.FAIL, error_code="x", error="by sk-abcdefgh"
        )


def parked(gateway: Gateway) -> str:
    """The task of a submission whose outcome is unknown."""
    submission_id = gateway.a_submission("unknown")
    with gateway.rt.reading() as tx:
        found = tx.exec_driver_sql(
            f"SELECT task_id FROM submissions WHERE id = '{submission_id}'"
        )
        return str(found.scalar_one())


def test_every_route_of_operators_needs_the_scope(gateway: Gateway) -> None:
    seen = 0
    for path, operations in DESCRIPTION["paths"].items():
        if not path.startswith("/admin/"):
            continue
        for method in operations:
            with_key = gateway.http.open(path, method=method, headers=gateway.headers)
            without = gateway.http.open(path, method=method)
            assert (with_key.status_code, without.status_code) == (403, 401), path
            seen += 1
    assert seen == 21


def test_a_clients_key_with_every_scope_is_no_operators(gateway: Gateway) -> None:
    key, _ = add_client(gateway.rt, "wide", ["*"])

    answer = gateway.http.get("/admin/keys", headers={"Authorization": f"Bearer {key}"})

    assert answer.status_code == 403


def test_tasks_of_every_client_are_listed_page_by_page(
    gateway: Gateway, call: Call
) -> None:
    made = {gateway.submitted() for _ in range(3)}

    first = data(call("GET", "/admin/tasks?limit=2&client=first&since=1h"))
    second = data(
        call("GET", f"/admin/tasks?limit=2&before={first['next_before']}&status=queued")
    )

    ids = [task["id"] for task in first["tasks"] + second["tasks"]]
    assert ids == sorted(made, reverse=True)
    assert second["next_before"] is None
    assert data(call("GET", "/admin/tasks?status=failed"))["tasks"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=lost", "status"),
        ("since=soon", "since"),
        ("limit=0", "limit"),
        ("owner=x", "owner"),
        ("model=a&model=b", "model"),
    ],
)
def test_a_wrong_filter_is_named(call: Call, query: str, field: str) -> None:
    answer = call("GET", f"/admin/tasks?{query}")

    assert answer.status_code == 400
    assert answer.json is not None
    assert list(answer.json["errors"]) == [field]


def test_a_task_is_shown_cancelled_and_tried_again(
    gateway: Gateway, call: Call
) -> None:
    task_id = gateway.submitted(callback_url="https://203.0.113.7/h")
    fail(gateway, task_id)
    gateway.rung.clear()

    shown = data(call("GET", "/admin/tasks/{task_id}", task_id=task_id))
    assert shown["error"] == "by sk-***"
    assert shown["deliveries"][0]["state"] == "pending"
    assert call("POST", "/admin/tasks/{task_id}/cancel", task_id=task_id).json
    again = data(call("POST", "/admin/tasks/{task_id}/retry", task_id=task_id))

    assert again["retry_of"] == task_id
    assert Bell.SUBMIT in gateway.rung
    ended = data(
        call("POST", "/admin/tasks/{task_id}/cancel", {}, task_id=again["task_id"])
    )
    assert ended["state"] == "cancelled"
    second = call("POST", "/admin/tasks/{task_id}/cancel", task_id=again["task_id"])
    assert (second.status_code, second.json and second.json["code"]) == (
        409,
        "conflict",
    )


def test_a_retry_that_cannot_be_paid_is_a_402(gateway: Gateway, call: Call) -> None:
    task_id = gateway.submitted()
    fail(gateway, task_id)
    price = {"model": "lumen-free", "unit": "call", "amount": "3"}
    assert data(call("POST", "/admin/prices", price))["amount"] == "3"
    call("POST", "/admin/keys/{name}/topup", {"amount": "2.5"}, name="first")

    answer = call("POST", "/admin/tasks/{task_id}/retry", task_id=task_id)

    assert answer.status_code == 402


def test_unknown_outcomes_are_settled(gateway: Gateway, call: Call) -> None:
    lost, found = parked(gateway), parked(gateway)
    listed = data(call("GET", "/admin/unknown"))["unknown"]
    assert {row["task_id"] for row in listed} == {lost, found}

    again = data(call("POST", "/admin/tasks/{task_id}/assume-lost", task_id=lost))
    adopted = data(
        call(
            "POST",
            "/admin/tasks/{task_id}/adopt",
            {"remote_id": "j-1", "links": {"a": "b"}},
            task_id=found,
        )
    )

    assert (again["state"], adopted["state"]) == ("queued", "processing")
    assert again["submissions"][0]["verdict"] == "assumed_lost"
    assert adopted["submissions"][0]["remote_id"] == "j-1"
    assert data(call("GET", "/admin/unknown"))["unknown"] == []
    assert {Bell.SUBMIT, Bell.POLL} <= set(gateway.rung)


def test_a_channel_is_paused_drained_and_resumed(gateway: Gateway, call: Call) -> None:
    paused = data(
        call(
            "POST",
            "/admin/channels/{name}/pause",
            {"for_s": 60, "reason": "invoice"},
            name="main",
        )
    )
    assert paused["pause_reason"] == "by an operator: invoice"
    drained = data(call("POST", "/admin/channels/{name}/drain", name="main"))
    assert (drained["enabled"], drained["keys"][0]["name"]) == (False, "key-1")
    resumed = data(call("POST", "/admin/channels/{name}/resume", name="main"))
    assert (resumed["enabled"], resumed["paused_until"]) == (True, None)
    listed = data(call("GET", "/admin/channels"))["channels"]
    assert [channel["name"] for channel in listed] == ["main", "second"]


def test_callbacks_are_listed_and_sent_again(gateway: Gateway, call: Call) -> None:
    fail(gateway, gateway.submitted(callback_url="https://203.0.113.7/h"))
    query = "?state=pending&host=203.0.113.7&limit=1"

    page = data(call("GET", "/admin/deliveries" + query))
    (owed,) = page["deliveries"]
    one = call(
        "POST", "/admin/deliveries/{delivery_id}/redeliver", delivery_id=owed["id"]
    )
    many = call("POST", "/admin/redeliver", {"since": "1h"})

    assert page["next_before"] == owed["id"]
    assert data(one) == data(many) == {"redelivered": 1}
    assert call("POST", "/admin/redeliver", {}).status_code == 400


def test_a_key_is_changed_and_topped_up(call: Call) -> None:
    change = {"group": "gold", "limits": {"daily": 9}, "budget": "7"}
    call("POST", "/admin/keys/{name}/change", change, name="first")
    changed = data(
        call(
            "POST",
            "/admin/keys/{name}/change",
            {"limits": {"daily": None, "queued": 2}},
            name="first",
        )
    )
    assert (changed["group"], changed["budget"]) == ("gold", "7")
    assert changed["limits"] == {"queued": 2}

    topup = {"amount": "0.30", "reference": "invoice-7"}
    for _ in range(2):
        paid = data(call("POST", "/admin/keys/{name}/topup", topup, name="first"))

    assert paid["balance"] == "0.3"
    names = [key["name"] for key in data(call("GET", "/admin/keys"))["keys"]]
    assert names == ["first", "operator"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/admin/keys/{name}/topup", {"amount": 3}, 400),
        ("/admin/keys/{name}/topup", {"amount": "1", "reference": ""}, 400),
        ("/admin/keys/{name}/topup", {"amount": "1", "reference": 7}, 400),
        ("/admin/keys/{name}/topup", {"amount": "1e3"}, 400),
        ("/admin/keys/{name}/topup", None, 400),
        ("/admin/keys/{name}/topup", [], 400),
        ("/admin/keys/{name}/change", {"limits": {"weekly": 3}}, 400),
        ("/admin/keys/{name}/change", {"limits": {"daily": "many"}}, 400),
        ("/admin/keys/{name}/change", {"limits": {"daily": -1}}, 400),
        ("/admin/keys/{name}/change", {"limits": []}, 400),
        ("/admin/keys/{name}/change", {"name": "x"}, 400),
        ("/admin/channels/{name}/pause", {"for_s": 0}, 400),
        ("/admin/channels/{name}/pause", {}, 404),
        ("/admin/prices", {"model": "m", "unit": "year", "amount": "1"}, 400),
        ("/admin/prices/remove", {"model": "m"}, 404),
    ],
)
def test_a_wrong_body_is_refused(call: Call, path: str, body: Any, status: int) -> None:
    assert call("POST", path, body, name="first").status_code == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/tasks/{task_id}"),
        ("POST", "/admin/tasks/{task_id}/retry"),
        ("POST", "/admin/deliveries/{delivery_id}/redeliver"),
        ("POST", "/admin/channels/{name}/drain"),
        ("POST", "/admin/keys/{name}/change"),
    ],
)
@pytest.mark.parametrize("unknown", ["", "%00", "%ED%A0%80"])
def test_what_is_not_there_is_a_404(
    call: Call, method: str, path: str, unknown: str
) -> None:
    values: Mapping[str, str] = {
        "task_id": unknown or NO_TASK,
        "delivery_id": unknown or NO_DELIVERY,
        "name": unknown or "gone",
    }

    assert call(method, path, **values).status_code == 404


def test_a_body_that_is_no_json_is_a_415(gateway: Gateway) -> None:
    key, _ = add_client(gateway.rt, "operator", ["admin"])

    answer = gateway.http.post(
        "/admin/redeliver",
        data={"state": "failed"},
        headers={"Authorization": f"Bearer {key}"},
    )

    assert answer.status_code == 415


def test_a_client_reads_its_own_usage_and_nobody_elses(
    any_gateway: Gateway,
) -> None:
    gateway = any_gateway
    _, other = add_client(gateway.rt, "other")
    with gateway.rt.transaction() as tx:
        ledger.set_price(
            tx, ledger.Price("lumen-free", "", ledger.Unit.IMAGE, Decimal("0.1"))
        )
        for client_id in (gateway.client_id, other):
            ledger.top_up(tx, client_id, Decimal(1))
    for _ in range(3):
        task_id = gateway.submitted()
        with gateway.rt.transaction() as tx:
            tx.execute(
                update(tasks_table)
                .where(tasks_table.c.id == task_id)
                .values(state="processing")
            )
            made = [Result(n=0, url="https://cdn.example/a.png")]
            assert tasks.advance(tx, task_id, Event.FINISH, results=made)
    key, _ = add_client(gateway.rt, "third")

    own = data(gateway.get("/v1/generation/usage?since=2d"))
    others = gateway.http.get(
        "/generation/usage", headers={"Authorization": f"Bearer {key}"}
    )

    assert (own["balance"], own["budget"], own["spent"]) == ("0.7", None, "0.3")
    (row,) = own["rows"]
    del row["day"]
    assert row == {
        "model": "lumen-free",
        "tasks": 3,
        "amount": "0.3",
        "quantity": "3",
    }
    assert data(others) == {"balance": None, "budget": None, "spent": "0", "rows": []}


def test_usage_is_added_up_as_asked(call: Call) -> None:
    assert data(call("GET", "/admin/usage?by=key,channel")) == {"rows": []}
    assert data(call("GET", "/admin/prices")) == {"prices": []}
    assert call("GET", "/admin/usage?by=week").status_code == 400
