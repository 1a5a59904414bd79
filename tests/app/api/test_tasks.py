"""Read, list, cancel; wait for a change."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import update

from app.bells import Bell
from app.lifecycle import Event, State
from app.store import tasks
from app.store.models import tasks as tasks_table
from app.store.tasks import Result
from tests.app.api.gateways import Gateway, add_client, data

UNKNOWN = "task_" + "0" * 32


def set_state(gateway: Gateway, task_id: str, state: State) -> None:
    with gateway.rt.transaction() as tx:
        tx.execute(
            update(tasks_table)
            .where(tasks_table.c.id == task_id)
            .values(state=state.value)
        )


def finish(gateway: Gateway, task_id: str, **result: Any) -> None:
    with gateway.rt.transaction() as tx:
        tx.execute(
            update(tasks_table)
            .where(tasks_table.c.id == task_id)
            .values(state=State.PROCESSING.value)
        )
        tasks.add_results(tx, task_id, [Result(n=0, **result)])
        tasks.advance(tx, task_id, Event.FINISH)


@pytest.fixture
def other(gateway: Gateway) -> dict[str, str]:
    """Headers of another client."""
    key, _ = add_client(gateway.rt, "other")
    return {"Authorization": f"Bearer {key}"}


def test_a_new_task_has_no_times_yet(gateway: Gateway) -> None:
    task = data(gateway.get(f"/generation/tasks/{gateway.submitted()}"))

    assert task["progress"] == "0%"
    assert task["error"] == ""
    assert task["result_urls"] == []
    assert task["created_at"] == int(gateway.clock())
    assert {task[k] for k in ("submit_time", "start_time", "finish_time")} == {None}


def test_links_lead_where_the_client_reached_us(gateway: Gateway) -> None:
    task_id = gateway.submitted()
    finish(gateway, task_id, storage_key="results/a.png", content_type="image/png")

    task = data(gateway.get(f"/generation/tasks/{task_id}", Host="gw.example.com:81"))

    assert task["result_urls"][0].startswith("http://gw.example.com:81/generation/")


@pytest.mark.parametrize(
    "path",
    [
        UNKNOWN,
        "task_1",
        "x",
        "%00",
        "task_" + "f" * 200,
        "%ED%A0%80",
        UNKNOWN + "%0A",
    ],
)
@pytest.mark.parametrize("suffix", ["", "/results/0"])
def test_an_unknown_id_is_not_found(gateway: Gateway, path: str, suffix: str) -> None:
    answer = gateway.get(f"/generation/tasks/{path}{suffix}")

    assert (answer.status_code, answer.json["code"]) == (404, "task_not_found")


def test_anothers_task_reads_like_an_unknown_one(
    gateway: Gateway, other: dict[str, str]
) -> None:
    task_id = gateway.submitted()
    for method, suffix in (("get", ""), ("post", "/cancel"), ("get", "/results/0")):
        send = getattr(gateway.http, method)
        foreign = send(f"/generation/tasks/{task_id}{suffix}", headers=other)
        unknown = send(f"/generation/tasks/{UNKNOWN}{suffix}", headers=other)

        assert foreign.status_code == unknown.status_code == 404
        assert foreign.text.replace(task_id, "X") == unknown.text.replace(UNKNOWN, "X")
        assert set(foreign.headers.keys()) == set(unknown.headers.keys())


# List


def ids(answer: Any) -> list[str]:
    return [task["task_id"] for task in data(answer)["tasks"]]


def test_the_list_has_the_newest_first_page_by_page(any_gateway: Gateway) -> None:
    made = []
    for second in range(5):
        made.append(any_gateway.submitted())
        any_gateway.clock.now += second % 2  # some share their millisecond

    found, cursor = [], ""
    while True:
        query = f"?limit=2&cursor={cursor}" if cursor else "?limit=2"
        page = data(any_gateway.get(f"/generation/tasks{query}"))
        found += [task["task_id"] for task in page["tasks"]]
        if not (cursor := page["next_cursor"]):
            break

    assert sorted(found) == sorted(made)
    assert len(found) == 5
    if any_gateway.rt.database.is_sqlite:  # its clock is ours
        times = [
            data(any_gateway.get(f"/generation/tasks/{each}"))["created_at"]
            for each in found
        ]
        assert times == sorted(times, reverse=True)


def test_the_list_is_filtered(gateway: Gateway) -> None:
    image = gateway.submitted()
    video = gateway.submitted(model="lumen-video")
    handed_over = gateway.submitted(model="lumen-1")
    set_state(gateway, handed_over, State.SUBMITTING)

    path = "/generation/tasks?"
    assert ids(gateway.get(path + "media_type=video")) == [video]
    assert ids(gateway.get(path + "model=lumen-free")) == [image]
    assert ids(gateway.get(path + "status=processing")) == [handed_over]
    assert set(ids(gateway.get(path + "status=queued"))) == {image, video}
    assert ids(gateway.get(path + "status=queued&media_type=audio")) == []


def test_the_list_has_only_the_clients_own(
    gateway: Gateway, other: dict[str, str]
) -> None:
    gateway.submitted()

    assert ids(gateway.http.get("/generation/tasks", headers=other)) == []


def test_the_list_shows_what_get_shows(gateway: Gateway) -> None:
    task_id = gateway.submitted(callback_url="https://203.0.113.7/h")
    finish(gateway, task_id, url="https://cdn.example.com/a.png", width=8)

    [listed] = data(gateway.get("/generation/tasks"))["tasks"]

    assert listed == data(gateway.get(f"/generation/tasks/{task_id}"))
    assert listed["callback"]["state"] == "pending"


def test_the_list_holds_no_files(gateway: Gateway) -> None:
    task_id = gateway.submitted(response_format="b64_json")
    gateway.rt.storage.put("results/a.png", b"png")
    finish(gateway, task_id, storage_key="results/a.png")

    [listed] = data(gateway.get("/generation/tasks"))["tasks"]
    one = data(gateway.get(f"/generation/tasks/{task_id}"))

    assert "b64_json" not in listed["results"][0]
    assert one["results"][0]["b64_json"] == "cG5n"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=done", "status"),
        ("status=submitting", "status"),
        ("media_type=text", "media_type"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("model=", "model"),
        ("model=%00", "model"),
        ("cursor=abc", "cursor"),
        ("cursor=%C3%A4", "cursor"),
        ("page=2", "page"),
    ],
)
def test_a_wrong_query_is_named(gateway: Gateway, query: str, named: str) -> None:
    answer = gateway.get(f"/generation/tasks?{query}")

    assert answer.status_code == 400
    assert named in answer.json["errors"]


def test_a_cursor_is_of_no_use_to_another_client(
    gateway: Gateway, other: dict[str, str]
) -> None:
    gateway.submitted()
    gateway.submitted()
    cursor = data(gateway.get("/generation/tasks?limit=1"))["next_cursor"]

    path = f"/generation/tasks?cursor={cursor}"
    assert len(ids(gateway.get(path))) == 1
    assert gateway.http.get(path, headers=other).status_code == 400


# Cancel


def test_a_queued_task_is_cancelled_at_once(gateway: Gateway) -> None:
    task_id = gateway.submitted()

    task = data(
        gateway.http.post(
            f"/generation/tasks/{task_id}/cancel", headers=gateway.headers
        )
    )

    assert task["status"] == "cancelled"
    assert task["finish_time"] == int(gateway.clock())


def test_a_processing_task_is_cancelled(gateway: Gateway) -> None:
    task_id = gateway.submitted()
    set_state(gateway, task_id, State.PROCESSING)

    answer = gateway.http.post(
        f"/v1/generation/tasks/{task_id}/cancel", headers=gateway.headers
    )

    assert data(answer)["status"] == "cancelled"


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_an_ended_task_is_not_cancelled(gateway: Gateway, state: State) -> None:
    task_id = gateway.submitted()
    set_state(gateway, task_id, state)

    answer = gateway.http.post(
        f"/generation/tasks/{task_id}/cancel", headers=gateway.headers
    )

    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert state.value in answer.json["message"]


def test_a_task_being_handed_over_is_cancelled_later(gateway: Gateway) -> None:
    task_id = gateway.submitted()
    set_state(gateway, task_id, State.SUBMITTING)

    answer = gateway.http.post(
        f"/generation/tasks/{task_id}/cancel", headers=gateway.headers
    )

    assert (answer.status_code, answer.json["code"]) == (409, "task_busy")
    assert answer.headers["Retry-After"] == "1"


def test_cancelling_rings_for_the_callback_it_owes(gateway: Gateway) -> None:
    task_id = gateway.submitted(callback_url="https://203.0.113.7/h")
    gateway.http.post(f"/generation/tasks/{task_id}/cancel", headers=gateway.headers)

    assert gateway.rung[0] is Bell.SUBMIT
    assert Bell.DELIVER in gateway.rung[1:]


# Wait


def in_a_moment(do: Any, *args: Any) -> threading.Thread:
    """Do it beside, once somebody waits."""
    gateway = args[0]

    def later() -> None:
        while not gateway.web.waiting._waiters:
            time.sleep(0.005)
        do(*args)

    thread = threading.Thread(target=later)
    thread.start()
    return thread


def test_get_waits_for_the_next_change_of_status(gateway: Gateway) -> None:
    task_id = gateway.submitted()
    changing = in_a_moment(set_state, gateway, task_id, State.PROCESSING)

    started = time.monotonic()
    task = data(gateway.get(f"/generation/tasks/{task_id}?wait=30"))
    changing.join()

    assert task["status"] == "processing"
    assert time.monotonic() - started < 20


def test_handing_over_is_the_same_status_to_a_client(gateway: Gateway) -> None:
    task_id = gateway.submitted()
    set_state(gateway, task_id, State.SUBMITTING)
    changing = in_a_moment(set_state, gateway, task_id, State.PROCESSING)

    started = time.monotonic()
    gateway.get(f"/generation/tasks/{task_id}?wait=1")
    changing.join()

    assert time.monotonic() - started >= 1


def test_get_of_an_ended_task_does_not_wait(gateway: Gateway) -> None:
    task_id = gateway.submitted()
    set_state(gateway, task_id, State.FAILED)

    started = time.monotonic()
    gateway.get(f"/generation/tasks/{task_id}?wait=30")

    assert time.monotonic() - started < 20


@pytest.mark.parametrize("wait", ["61", "-1", "1.5", "x", "", "9" * 5000])
def test_a_wrong_wait_is_named(gateway: Gateway, wait: str) -> None:
    answer = gateway.get(f"/generation/tasks/{gateway.submitted()}?wait={wait}")

    assert answer.status_code == 400
    assert "wait" in answer.json["errors"]


def test_a_submit_that_prefers_to_wait_gets_the_ended_task(gateway: Gateway) -> None:
    def end() -> None:
        while not gateway.web.waiting._waiters:
            time.sleep(0.005)
        [waiter] = gateway.web.waiting._waiters
        set_state(gateway, waiter.task_id, State.PROCESSING)
        finish(gateway, waiter.task_id, text="la la la")

    thread = threading.Thread(target=end)
    thread.start()
    answer = gateway.post(
        {"model": "lumen-free", "prompt": "a"}, Prefer="respond-async, wait=30"
    )
    thread.join()

    assert answer.headers["Preference-Applied"] == "wait=30"
    assert data(answer)["status"] == "succeeded"
    assert data(answer)["results"][0]["text"] == "la la la"


def test_a_wait_that_runs_out_answers_with_the_task(gateway: Gateway) -> None:
    answer = gateway.post({"model": "lumen-free", "prompt": "a"}, Prefer="wait=1")

    assert data(answer)["status"] == "queued"
    assert answer.headers["Preference-Applied"] == "wait=1"


def test_preferences_that_are_not_understood_are_ignored(gateway: Gateway) -> None:
    for preference in ("wait=x", "wait", "handling=lenient", "wait=-1", ",,;"):
        answer = gateway.post({"model": "lumen-free", "prompt": "a"}, Prefer=preference)

        assert answer.status_code == 200
        assert "Preference-Applied" not in answer.headers
