"""Every refusal is the envelope; no page of HTML, no detail of ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from app.storage import StorageError
from tests.app.api.gateways import Gateway, a_png, base64_of

SECRET = "the password is hunter2"


@pytest.mark.parametrize(
    "path",
    [
        "/generation",
        "/generation/",
        "/generation/tasks/",
        "//generation/tasks",
        "/generation//tasks",
        "/generation/tasks/a/b/c",
        "/generation/tasks/a/results",
        "/v2/generation/tasks",
        "/",
        "/docs/",
        "/docs/../wsgi.py",
        "/docs/wsgi.py",
        "/upstream",
        "/%00",
        "/%ff",
    ],
)
def test_an_unknown_address_is_the_envelope(gateway: Gateway, path: str) -> None:
    answer = gateway.get(path)

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert answer.json["data"] is None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/generation/tasks", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("DELETE", "/healthz", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/upstream/a/b", {"OPTIONS", "POST"}),
        ("PATCH", "/generation/tasks/x/results/0", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_another_method_is_told_which_are_allowed(
    gateway: Gateway, method: str, path: str, allowed: set[str]
) -> None:
    answer = gateway.http.open(path, method=method)

    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_options_tells_the_methods_without_a_body(gateway: Gateway) -> None:
    answer = gateway.http.options("/generation/tasks")

    assert (answer.status_code, answer.data) == (204, b"")
    assert "POST" in answer.headers["Allow"]
    assert "Content-Type" not in answer.headers


def test_head_of_a_task_has_no_body(gateway: Gateway) -> None:
    path = f"/generation/tasks/{gateway.submitted()}"

    answer = gateway.http.head(path, headers=gateway.headers)

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["/healthz", "/generation/tasks", "/nowhere", "/docs"])
def test_every_answer_has_a_request_id(gateway: Gateway, path: str) -> None:
    given = gateway.http.get(path, headers={"X-Request-Id": "trace-0123.4"})
    made = {gateway.http.get(path).headers["X-Request-Id"] for _ in range(3)}

    assert given.headers["X-Request-Id"] == "trace-0123.4"
    assert len(made) == 3


@pytest.mark.parametrize("odd", ["a b c d e f", "<script>", "x" * 65, "short"])
def test_an_odd_request_id_is_replaced(gateway: Gateway, odd: str) -> None:
    answer = gateway.http.get("/healthz", headers={"X-Request-Id": odd})

    assert answer.headers["X-Request-Id"] != odd


def breaks(error: Exception) -> Any:
    @contextmanager
    def broken() -> Iterator[Any]:
        raise error
        yield

    return broken


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/generation/tasks"),
        ("GET", "/generation/tasks"),
        ("GET", "/generation/tasks/task_" + "0" * 32),
        ("POST", f"/generation/tasks/task_{'0' * 32}/cancel"),
        ("GET", f"/generation/tasks/task_{'0' * 32}/results/0"),
        ("GET", "/readyz"),
    ],
)
def test_a_store_that_is_away_is_503(gateway: Gateway, method: str, path: str) -> None:
    error = OperationalError("SELECT 1", {}, Exception(SECRET))
    object.__setattr__(gateway.rt.database, "reading", breaks(error))
    object.__setattr__(gateway.rt.database, "transaction", breaks(error))

    answer = gateway.http.open(
        path,
        method=method,
        json={"model": "lumen-free", "prompt": "a"} if method == "POST" else None,
        headers=gateway.headers,
    )

    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert int(answer.headers["Retry-After"]) > 0
    assert SECRET not in answer.text


def test_a_storage_that_is_away_is_503(gateway: Gateway) -> None:
    object.__setattr__(gateway.rt, "storage", BrokenStorage())

    answer = gateway.post(
        {"model": "lumen-free", "prompt": "a", "image": base64_of(a_png())}
    )

    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert gateway.task_count() == 0


class BrokenStorage:
    """A storage whose disk is full."""

    def writer(self, key: str) -> Any:
        raise StorageError("no space left on device")

    def delete(self, key: str) -> None:
        raise StorageError("no space left on device")


def test_a_surprise_is_500_without_details(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    object.__setattr__(gateway.rt.database, "reading", breaks(RuntimeError(SECRET)))

    with caplog.at_level(logging.ERROR):
        answer = gateway.get("/generation/tasks")

    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert SECRET not in answer.text
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.request_id == answer.headers["X-Request-Id"]  # type: ignore[attr-defined]
    assert record.exc_info


def test_answers_are_not_kept_by_caches(gateway: Gateway) -> None:
    assert gateway.get("/generation/tasks").headers["Cache-Control"] == "no-store"


def test_health_asks_the_process_and_readiness_the_database(gateway: Gateway) -> None:
    assert gateway.http.get("/healthz").json["data"] == {"status": "alive"}
    assert gateway.http.get("/readyz").json["data"] == {"status": "ready"}


def test_a_database_without_tables_is_not_ready(any_gateway: Gateway) -> None:
    with any_gateway.rt.transaction() as tx:
        tx.exec_driver_sql("DROP TABLE facts")

    answer = any_gateway.http.get("/readyz")

    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert any_gateway.http.get("/healthz").status_code == 200
