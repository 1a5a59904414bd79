"""Money: what is held, charged and given back, and that it adds up."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text, update

from app.errors import PaymentRequired
from app.lifecycle import Event, State, SubmissionState
from app.store import channels, ledger, submissions, tasks
from app.store.ledger import Price, Unit
from app.store.models import channels as channels_table
from app.store.models import clients as clients_table
from app.store.models import entries
from app.store.models import submissions as submissions_table
from app.store.models import tasks as tasks_table
from app.store.session import db_now, open_database
from app.store.tasks import Result
from tests.app.store.stores import (
    Store,
    add_channel,
    add_client,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    sqlite_url,
    store,
    unsafe,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

IMAGE = Price("lumen-1", "", Unit.IMAGE, Decimal("0.5"))
OCTOBER = 1_792_800_000.0  # the 23rd, 2026
DAY_S = 86_400.0


def price(store: Store, *prices: Price) -> None:
    with store.transaction() as tx:
        for each in prices:
            ledger.set_price(tx, each)


def top_up(store: Store, amount: str, client_id: str = "client_1") -> Decimal:
    with store.transaction() as tx:
        return ledger.top_up(tx, client_id, Decimal(amount))


def budget(store: Store, amount: str | None) -> None:
    with store.transaction() as tx:
        ledger.set_budget(tx, "client_1", None if amount is None else Decimal(amount))


def a_held_task(
    store: Store, *, channels: Sequence[str] = ("ch_1",), **inputs: Any
) -> str:
    """A queued task whose cost is held."""
    wanted = {"prompt": "a lighthouse", "n": 1, **inputs}
    task_id = store.a_task(inputs=wanted)
    with store.transaction() as tx:
        ledger.hold(tx, "client_1", task_id, "lumen-1", channels, wanted)
    return task_id


def finish(
    store: Store,
    task_id: str,
    *durations: float | None,
    channel_id: str = "ch_1",
) -> None:
    """The task succeeds on a channel with one result for each duration."""
    with store.transaction() as tx:
        tx.execute(
            update(tasks_table)
            .where(tasks_table.c.id == task_id)
            .values(state=State.SUBMITTING.value, fence=1)
        )
    submission_id = store.a_submission(
        SubmissionState.SENT, task_id=task_id, channel_id=channel_id
    )
    with store.transaction() as tx:
        assert submissions.end_sync(tx, submission_id, verdict="succeeded")
        assert tasks.advance(tx, task_id, Event.ACCEPT)
        results = [Result(n=n, duration_s=d) for n, d in enumerate(durations)]
        assert tasks.advance(tx, task_id, Event.FINISH, results=results)


def advance(store: Store, task_id: str, event: Event) -> bool:
    with store.transaction() as tx:
        return tasks.advance(tx, task_id, event, error_code="x", error="y")


def account(store: Store) -> ledger.Account:
    with store.reading() as tx:
        return ledger.get_account(tx, "client_1")


def book(store: Store, task_id: str) -> list[tuple[str, Decimal]]:
    """The entries of a task, in order."""
    rows = sorted(store.rows(entries), key=lambda row: row["id"])
    return [(r["kind"], r["amount"]) for r in rows if r["task_id"] == task_id]


def unbalanced(store: Store) -> list[str]:
    with store.reading() as tx:
        return ledger.find_unbalanced(tx)


def test_hold_is_taken_off_the_balance(store: Store) -> None:
    price(store, IMAGE)
    assert top_up(store, "10") == 10
    task_id = a_held_task(store, n=3)
    assert account(store).balance == Decimal("8.5")
    assert store.row(tasks_table, id=task_id)["held"] == Decimal("1.5")
    assert book(store, task_id) == [("hold", Decimal("1.5"))]


def test_task_of_a_channel_that_was_removed_costs_what_the_channel_had(
    store: Store,
) -> None:
    price(store, IMAGE, Price("lumen-1", "main", Unit.IMAGE, Decimal("0.2")))
    top_up(store, "10")
    with store.transaction() as tx:
        tx.execute(
            update(channels_table)
            .where(channels_table.c.id == "ch_1")
            .values(name="main")
        )
    task_id = a_held_task(store, channels=["main", "elsewhere"])
    with store.transaction() as tx:
        (channel,) = (c for c in channels.list_all(tx) if c.id == "ch_1")
        channels.remove(tx, channel)
    finish(store, task_id, None)
    assert account(store).balance == Decimal("9.8")


def test_the_same_topup_sent_twice_at_once_counts_once(postgres_store: Store) -> None:
    def send(_: int) -> Decimal:
        with postgres_store.transaction() as tx:
            return ledger.top_up(tx, "client_1", Decimal(5), "invoice-7")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(8))) == {Decimal(5)}
    assert account(postgres_store).balance == 5


def test_task_without_a_price_is_free(store: Store) -> None:
    price(store, Price("lumen-1", "elsewhere", Unit.CALL, Decimal(9)))
    top_up(store, "1")
    task_id = a_held_task(store)
    finish(store, task_id, None)
    assert account(store).balance == 1
    assert book(store, task_id) == []


def test_dearest_offered_channel_is_held_and_the_one_that_made_it_charged(
    store: Store,
) -> None:
    with store.transaction() as tx:
        add_channel(tx, "ch_2")
    price(
        store,
        Price("lumen-1", "", Unit.CALL, Decimal(1)),
        Price("lumen-1", "ch_2", Unit.CALL, Decimal(3)),
        Price("lumen-1", "not_offered", Unit.CALL, Decimal(7)),
    )
    top_up(store, "10")
    task_id = a_held_task(store, channels=("ch_1", "ch_2"))
    assert account(store).balance == 7
    finish(store, task_id, None)
    assert account(store).balance == 9
    assert book(store, task_id) == [("hold", 3), ("settle", 1), ("release", 2)]


def test_channel_that_succeeded_is_charged_not_the_last_one_asked(
    store: Store,
) -> None:
    with store.transaction() as tx:
        add_channel(tx, "ch_2")
    price(
        store,
        Price("lumen-1", "ch_1", Unit.CALL, Decimal(1)),
        Price("lumen-1", "ch_2", Unit.CALL, Decimal(3)),
    )
    top_up(store, "10")
    task_id = a_held_task(store, channels=("ch_1", "ch_2"))
    other = store.a_submission(SubmissionState.OPEN, task_id=task_id, channel_id="ch_2")
    with store.transaction() as tx:
        tx.execute(
            update(submissions_table)
            .where(submissions_table.c.id == other)
            .values(created_at=db_now() + 60_000)
        )
    finish(store, task_id, None, channel_id="ch_1")
    assert book(store, task_id)[1] == ("settle", 1)


@pytest.mark.parametrize(
    ("unit", "inputs", "made", "held", "charged"),
    [
        pytest.param(Unit.CALL, {"n": 4}, [None], "1", "1", id="call"),
        pytest.param(Unit.IMAGE, {"n": 4}, [None] * 3, "4", "3", id="fewer images"),
        pytest.param(Unit.IMAGE, {"n": 1}, [None] * 3, "1", "1", id="more images"),
        pytest.param(Unit.SECOND, {"duration": 10}, [7.5], "10", "7.5", id="seconds"),
        pytest.param(Unit.SECOND, {"duration": 5}, [5.04], "5", "5", id="longer"),
        pytest.param(
            Unit.SECOND, {"duration": 8.5}, [None], "8.5", "8.5", id="unmeasured"
        ),
        pytest.param(Unit.SECOND, {}, [12.25], "30", "12.25", id="no duration"),
        pytest.param(
            Unit.SECOND, {"duration": 5, "n": 2}, [5, 4], "10", "9", id="two clips"
        ),
        pytest.param(
            Unit.CHARACTER, {"input": "héllo"}, [2.0], "5", "5", id="characters"
        ),
    ],
)
def test_charge_is_what_was_made_and_never_more_than_was_held(
    store: Store,
    unit: Unit,
    inputs: dict[str, Any],
    made: list[float | None],
    held: str,
    charged: str,
) -> None:
    price(store, Price("lumen-1", "", unit, Decimal(1)))
    top_up(store, "100")
    task_id = a_held_task(store, **inputs)
    assert account(store).balance == 100 - Decimal(held)
    finish(store, task_id, *made)
    assert account(store).balance == 100 - Decimal(charged)
    assert dict(book(store, task_id))["settle"] == Decimal(charged)
    assert unbalanced(store) == []


def test_sums_are_exact_to_the_last_part(store: Store) -> None:
    price(store, Price("lumen-1", "", Unit.SECOND, Decimal("0.00000001")))
    top_up(store, "1")
    for made in (1.5, 2.5, 0.001, 4.999):
        finish(store, a_held_task(store, duration=5), made)
    assert unbalanced(store) == []
    charged = sum(r["amount"] for r in store.rows(entries) if r["kind"] == "settle")
    assert account(store).balance == 1 - charged


@pytest.mark.parametrize("end", [Event.FAIL, Event.CANCEL])
def test_task_that_made_nothing_gets_everything_back(store: Store, end: Event) -> None:
    price(store, IMAGE)
    top_up(store, "10")
    task_id = a_held_task(store)
    assert advance(store, task_id, end)
    assert account(store) == ledger.Account(Decimal(10), None, Decimal(0))
    assert book(store, task_id) == [
        ("hold", Decimal("0.5")),
        ("release", Decimal("0.5")),
    ]


def test_hold_stays_while_the_outcome_is_unknown_and_is_released_at_the_end(
    store: Store,
) -> None:
    price(store, IMAGE)
    top_up(store, "10")
    task_id = a_held_task(store)
    with store.transaction() as tx:
        tx.execute(update(tasks_table).values(state=State.SUBMITTING.value, fence=1))
    assert advance(store, task_id, Event.PARK)
    assert account(store).balance == Decimal("9.5")
    assert advance(store, task_id, Event.FAIL)
    assert account(store).balance == 10


def test_hold_is_given_back_once_however_often_the_task_is_ended(store: Store) -> None:
    price(store, IMAGE)
    top_up(store, "10")
    task_id = a_held_task(store)
    with ThreadPoolExecutor(8) as pool:
        ended = list(
            pool.map(lambda n: advance(store, task_id, Event.CANCEL), range(8))
        )
    assert ended.count(True) == 1
    assert not advance(store, task_id, Event.FAIL)
    assert account(store).balance == 10
    assert len(book(store, task_id)) == 2


def test_hold_survives_another_try(store: Store) -> None:
    price(store, IMAGE)
    top_up(store, "10")
    task_id = a_held_task(store)
    with store.transaction() as tx:
        tx.execute(update(tasks_table).values(state=State.PROCESSING.value))
    assert advance(store, task_id, Event.REQUEUE)
    assert account(store).balance == Decimal("9.5")
    finish(store, task_id, None)
    assert account(store).balance == Decimal("9.5")
    assert [kind for kind, _ in book(store, task_id)] == ["hold", "settle"]


def test_what_is_more_than_the_balance_is_refused_and_changes_nothing(
    store: Store,
) -> None:
    price(store, IMAGE)
    top_up(store, "0.49")
    task_id = store.a_task()
    with (
        pytest.raises(PaymentRequired, match=r"may cost 0\.5"),
        store.transaction() as tx,
    ):
        ledger.hold(tx, "client_1", task_id, "lumen-1", ["ch_1"], {"n": 1})
    assert account(store).balance == Decimal("0.49")
    assert book(store, task_id) == []


def test_client_without_an_account_spends_without_a_balance(store: Store) -> None:
    price(store, IMAGE)
    task_id = a_held_task(store, n=4)
    finish(store, task_id, None, None)
    assert account(store) == ledger.Account(None, None, Decimal(1))
    assert unbalanced(store) == []


def test_first_top_up_takes_off_what_is_held_already(store: Store) -> None:
    price(store, IMAGE)
    finish(store, a_held_task(store), None)
    task_id = a_held_task(store)
    assert top_up(store, "10") == Decimal("9.5")
    advance(store, task_id, Event.CANCEL)
    assert account(store).balance == 10


def test_price_that_was_taken_away_meanwhile_charges_what_was_held(
    store: Store,
) -> None:
    price(store, IMAGE)
    top_up(store, "10")
    task_id = a_held_task(store, n=2)
    with store.transaction() as tx:
        assert ledger.remove_price(tx, "lumen-1", "")
    finish(store, task_id, None)
    assert account(store).balance == 9
    assert unbalanced(store) == []


def test_price_that_rose_meanwhile_charges_no_more_than_was_held(store: Store) -> None:
    price(store, IMAGE)
    top_up(store, "10")
    task_id = a_held_task(store)
    price(store, replace(IMAGE, amount=Decimal(5)))
    finish(store, task_id, None)
    assert account(store).balance == Decimal("9.5")


def test_budget_counts_what_is_held_and_charged(store: Store) -> None:
    price(store, IMAGE)
    budget(store, "1")
    finish(store, a_held_task(store), None)
    held = a_held_task(store)
    with pytest.raises(PaymentRequired):
        a_held_task(store)
    advance(store, held, Event.CANCEL)
    a_held_task(store)
    assert account(store).spent == 1
    budget(store, None)
    a_held_task(store)


@pytest.fixture
def dated(tmp_path: Path) -> Any:
    """A store whose clock is set by hand, and that clock."""
    clock = [OCTOBER]
    database = unsafe(open_database(sqlite_url(tmp_path), clock=lambda: clock[0]))
    made = Store(database)
    made.fill()
    yield made, clock
    database.close()


def test_budget_begins_anew_with_the_month(dated: tuple[Store, list[float]]) -> None:
    store, clock = dated
    price(store, IMAGE)
    budget(store, "1")
    a_held_task(store, n=2)
    clock[0] += 10 * DAY_S
    assert account(store).spent == 0
    a_held_task(store, n=2)
    with pytest.raises(PaymentRequired):
        a_held_task(store)


def test_what_was_held_last_month_makes_no_room_in_this_one(
    dated: tuple[Store, list[float]],
) -> None:
    store, clock = dated
    price(store, IMAGE)
    top_up(store, "10")
    budget(store, "1")
    old = a_held_task(store, n=2)
    clock[0] += 10 * DAY_S
    a_held_task(store, n=2)
    advance(store, old, Event.FAIL)
    assert account(store) == ledger.Account(Decimal(9), Decimal(1), Decimal(1))
    with pytest.raises(PaymentRequired):
        a_held_task(store)


def test_two_hundred_at_once_cannot_overdraw(store: Store) -> None:
    price(store, IMAGE)
    top_up(store, "5")
    ids = [store.a_task() for _ in range(200)]

    def hold(task_id: str) -> bool:
        try:
            with store.transaction() as tx:
                ledger.hold(tx, "client_1", task_id, "lumen-1", ["ch_1"], {"n": 1})
        except PaymentRequired:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(hold, ids)).count(True) == 10
    assert account(store).balance == 0


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entries WHERE kind = 'settle'",
        "UPDATE entries SET amount = amount - 1 WHERE kind = 'hold'",
    ],
)
def test_broken_ledger_is_found(store: Store, statement: str) -> None:
    price(store, IMAGE)
    task_id = a_held_task(store)
    finish(store, task_id, None)
    a_held_task(store)  # has not ended: nothing is wrong with it
    assert unbalanced(store) == []
    with store.transaction() as tx:
        tx.execute(text(statement).bindparams())
    found = unbalanced(store)
    assert found[0] == task_id


def test_charge_that_is_entered_twice_is_found(store: Store) -> None:
    price(store, IMAGE)
    task_id = a_held_task(store)
    finish(store, task_id, None)
    with store.transaction() as tx:
        tx.execute(
            insert(entries).values(
                client_id="client_1",
                task_id=task_id,
                kind="settle",
                amount=Decimal("0.5"),
                created_at=1,
            )
        )
    assert unbalanced(store) == [task_id]


def test_usage_adds_up_by_day_key_model_and_channel(store: Store) -> None:
    price(store, IMAGE)
    with store.transaction() as tx:
        add_client(tx, "client_2")
    finish(store, a_held_task(store, n=3), None, None)
    finish(store, a_held_task(store), None)
    advance(store, a_held_task(store), Event.CANCEL)
    now = store.now_ms()
    with store.reading() as tx:
        (row,) = ledger.usage(
            tx, since=now - 60_000, until=now + 1, by=["key", "model", "channel"]
        )
        none = ledger.usage(
            tx, client_id="client_2", since=0, until=now + 1, by=["day"]
        )
    assert row.group == ("client_1", "lumen-1", "ch_1")
    assert (row.tasks, row.amount, row.quantity) == (2, Decimal("1.5"), 3)
    assert none == []


def test_prices_are_kept_by_model_and_channel(store: Store) -> None:
    other = replace(IMAGE, channel="ch_1", unit=Unit.CALL)
    price(store, IMAGE, other, replace(IMAGE, model="lumen-2"))
    price(store, replace(other, amount=Decimal("0.00000001")))
    with store.transaction() as tx:
        assert ledger.list_prices(tx, "lumen-1") == [
            IMAGE,
            replace(other, amount=Decimal("0.00000001")),
        ]
        assert ledger.remove_price(tx, "lumen-2", "")
        assert not ledger.remove_price(tx, "lumen-2", "")


def test_balance_of_a_client_is_its_own(store: Store) -> None:
    with store.transaction() as tx:
        add_client(tx, "client_2")
    price(store, IMAGE)
    top_up(store, "10", "client_2")
    a_held_task(store)
    assert store.row(clients_table, id="client_2")["balance"] == 10
