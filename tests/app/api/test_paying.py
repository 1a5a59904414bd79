"""What a client may send: its money and its own limits, as it is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.store import clients, ledger
from app.store.ledger import Account, Price, Unit
from app.store.models import entries, gates
from tests.app.api.gateways import Gateway, data

BODY = {"model": "lumen-free", "prompt": "a pier"}


def price(gateway: Gateway, amount: str, *, topup: str | None = None) -> None:
    with gateway.rt.transaction() as tx:
        ledger.set_price(tx, Price("lumen-free", "", Unit.CALL, Decimal(amount)))
        if topup is not None:
            ledger.top_up(tx, gateway.client_id, Decimal(topup))


def limit(gateway: Gateway, **limits: float) -> None:
    with gateway.rt.transaction() as tx:
        clients.change(tx, gateway.client_id, limits=limits)


def account(gateway: Gateway) -> Account:
    with gateway.rt.reading() as tx:
        return ledger.get_account(tx, gateway.client_id)


def kinds(gateway: Gateway) -> Counter[str]:
    with gateway.rt.reading() as tx:
        return Counter(tx.execute(select(entries.c.kind)).scalars())


def post_side_by_side(
    gateway: Gateway, count: int, body: dict[str, Any], **headers: str
) -> Counter[tuple[int, str]]:
    """Status and code of that many requests from sixteen threads."""

    def post(_: int) -> tuple[int, str]:
        answer = gateway.post(body, **headers)
        assert answer.json
        return answer.status_code, answer.json["code"]

    with ThreadPoolExecutor(16) as pool:
        return Counter(pool.map(post, range(count)))


def limits_of(answer: TestResponse) -> dict[str, int]:
    return {
        name.removeprefix("RateLimit-"): int(text)
        for name, text in answer.headers
        if name.startswith("RateLimit-")
    }


def test_task_over_the_balance_is_refused(gateway: Gateway) -> None:
    price(gateway, "0.3", topup="0.5")
    data(gateway.post(BODY))
    answer = gateway.post(BODY)
    assert answer.json
    assert (answer.status_code, answer.json["code"]) == (402, "insufficient_balance")
    assert "0.3" in answer.json["message"]
    assert gateway.task_count() == 1
    assert account(gateway).balance == Decimal("0.2")
    assert len(gateway.rung) == 1


def test_task_over_the_budget_is_refused(gateway: Gateway) -> None:
    price(gateway, "0.3")
    with gateway.rt.transaction() as tx:
        ledger.set_budget(tx, gateway.client_id, Decimal("0.5"))
    data(gateway.post(BODY))
    assert gateway.post(BODY).status_code == 402
    assert account(gateway) == Account(None, Decimal("0.5"), Decimal("0.3"))


def test_cancelled_task_gives_its_hold_back(gateway: Gateway) -> None:
    price(gateway, "0.3", topup="0.5")
    task_id = gateway.submitted()
    path = f"/generation/tasks/{task_id}/cancel"
    assert gateway.http.post(path, headers=gateway.headers).status_code == 200
    assert account(gateway).balance == Decimal("0.5")
    assert gateway.http.post(path, headers=gateway.headers).status_code == 409
    assert account(gateway).balance == Decimal("0.5")


def test_two_hundred_side_by_side_spend_a_balance_for_ten(
    any_gateway: Gateway,
) -> None:
    price(any_gateway, "0.1", topup="1")
    answers = post_side_by_side(any_gateway, 200, BODY)
    assert answers == {(200, "success"): 10, (402, "insufficient_balance"): 190}
    assert any_gateway.task_count() == 10
    assert account(any_gateway).balance == 0
    assert kinds(any_gateway) == {"topup": 1, "hold": 10}


def test_one_idempotency_key_holds_once_however_many_race(
    any_gateway: Gateway,
) -> None:
    price(any_gateway, "0.1", topup="1")
    answers = post_side_by_side(any_gateway, 24, BODY, Idempotency_Key="k")
    assert set(answers) <= {(200, "success"), (409, "idempotency_conflict")}
    assert any_gateway.task_count() == 1
    assert account(any_gateway).balance == Decimal("0.9")
    assert kinds(any_gateway) == {"topup": 1, "hold": 1}


def test_hold_of_a_lost_race_is_undone(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    price(gateway, "0.1", topup="1")
    data(gateway.post(BODY, Idempotency_Key="k"))
    # The other request was not there yet when this one looked.
    monkeypatch.setattr("app.api.tasks._find_first_answer", lambda key, body: None)
    answer = gateway.post(BODY, Idempotency_Key="k")
    assert answer.json
    assert (answer.status_code, answer.json["code"]) == (409, "idempotency_conflict")
    assert gateway.task_count() == 1
    assert account(gateway).balance == Decimal("0.9")
    assert kinds(gateway) == {"topup": 1, "hold": 1}


def test_fifty_side_by_side_fill_five_places(any_gateway: Gateway) -> None:
    limit(any_gateway, in_flight=5)
    answers = post_side_by_side(any_gateway, 50, BODY)
    assert answers == {(200, "success"): 5, (429, "in_flight_limit_reached"): 45}
    assert any_gateway.task_count() == 5


@pytest.mark.parametrize("name", ["in_flight", "queued", "daily"])
def test_refused_place_says_when_to_come_back(gateway: Gateway, name: str) -> None:
    limit(gateway, **{name: 2})
    for _ in range(2):
        assert limits_of(gateway.post(BODY)) == {}
    answer = gateway.post(BODY)
    assert answer.json
    assert (answer.status_code, answer.json["code"]) == (429, f"{name}_limit_reached")
    seconds = int(answer.headers["Retry-After"])
    assert limits_of(answer) == {"Limit": 2, "Remaining": 0, "Reset": seconds}
    if name == "daily":
        assert seconds == 86_400 - int(gateway.clock()) % 86_400 + 1
    else:
        assert seconds == 5
    assert gateway.task_count() == 2


def test_rate_is_told_with_every_answer(gateway: Gateway) -> None:
    limit(gateway, requests_per_s=3)
    told = [limits_of(gateway.post(BODY)) for _ in range(3)]
    assert [t["Limit"] for t in told] == [3, 3, 3]
    assert [t["Remaining"] for t in told] == [2, 1, 0]
    assert [t["Reset"] for t in told] == [1, 1, 2]
    answer = gateway.post(BODY)
    assert answer.json
    assert (answer.status_code, answer.json["code"]) == (429, "rate_limited")
    assert answer.headers["Retry-After"] == "1"
    assert limits_of(answer) == {"Limit": 3, "Remaining": 0, "Reset": 1}
    gateway.clock.now += 1
    assert gateway.post(BODY).status_code == 200


def test_rate_holds_for_requests_side_by_side(any_gateway: Gateway) -> None:
    limit(any_gateway, requests_per_s=0.001)
    answers = post_side_by_side(any_gateway, 20, BODY)
    assert answers == {(200, "success"): 1, (429, "rate_limited"): 19}


def test_refused_requests_do_not_put_off_the_next_turn(gateway: Gateway) -> None:
    limit(gateway, requests_per_s=1)
    data(gateway.post(BODY))
    with gateway.rt.reading() as tx:
        before = tx.execute(select(gates.c.free_at)).scalar_one()
    for _ in range(5):
        assert gateway.post(BODY).status_code == 429
    with gateway.rt.reading() as tx:
        assert tx.execute(select(gates.c.free_at)).scalar_one() == before


def test_prices_are_not_asked_for_inside_a_transaction(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take a second connection, and many at once would wait for ever."""
    open_now: list[int] = []
    transaction, reading = gateway.rt.database.transaction, gateway.rt.database.reading

    @contextmanager
    def noted_transaction() -> Iterator[Any]:
        with transaction() as tx:
            open_now.append(1)
            try:
                yield tx
            finally:
                open_now.pop()

    @contextmanager
    def noted_reading() -> Iterator[Any]:
        assert not open_now, "a second connection inside a transaction"
        with reading() as tx:
            yield tx

    monkeypatch.setattr(gateway.rt.database, "transaction", noted_transaction)
    monkeypatch.setattr(gateway.rt.database, "reading", noted_reading)
    for n in range(3):
        gateway.web.price_memory._values.clear()
        gateway.web.channel_memory._values.clear()
        answer = gateway.post(
            {"model": "lumen-free", "prompt": "x"}, Idempotency_Key=f"key-{n}"
        )
        assert answer.status_code == 200, answer.text
