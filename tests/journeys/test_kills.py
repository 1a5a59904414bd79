"""Workers that are killed at the worst moments."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys.gateway import (
    Gateway,
    Process,
    distributed,
    eventually,
    receiving,
)
from tests.services import fresh_postgres, fresh_redis


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        fresh_postgres() as database_url,
        fresh_redis() as broker_url,
        distributed(
            tmp_path_factory.mktemp("kills"),
            database_url=database_url,
            broker_url=broker_url,
            GENRELAY_DEADLINE_S="30",
        ) as made,
    ):
        yield made


@pytest.fixture
def worker(gateway: Gateway) -> Iterator[Process]:
    """The worker that will be killed; whoever follows it ends with the test."""
    before = len(gateway.processes)
    yield gateway.worker()
    for process in gateway.processes[before:]:
        process.stop()


def test_kill_during_the_submit_is_paid_once_and_adopted_by_its_callback(
    gateway: Gateway, worker: Process
) -> None:
    with receiving() as receiver:
        prompt = "a copper kettle [slow answer 3s] [slow 6s]"
        task_id = gateway.post(
            model="fal-ai/flux/dev", prompt=prompt, callback_url=receiver.url
        )
        eventually(lambda: gateway.submits("copper kettle"), 20, "the paid call")
        worker.kill()
        gateway.worker()
        task = gateway.ended(task_id)
        assert task["status"] == "succeeded", task
        assert len(gateway.submits("copper kettle")) == 1
        eventually(lambda: receiver.of(task_id), 20, "the callback")


def test_kill_during_the_submit_is_never_sent_again_without_a_way_to_ask(
    gateway: Gateway, worker: Process
) -> None:
    with receiving() as receiver:
        task_id = gateway.post(
            model="wanx2.1-t2i-turbo",
            prompt="a slate roof [slow answer 3s]",
            callback_url=receiver.url,
        )
        eventually(lambda: gateway.submits("slate roof"), 20, "the paid call")
        worker.kill()
        gateway.worker(GENRELAY_DEADLINE_S="8")
        task = gateway.ended(task_id)
        assert task["error_code"] == "upstream_outcome_unknown", task
        assert len(gateway.submits("slate roof")) == 1
        eventually(lambda: receiver.of(task_id), 20, "the callback")


def test_kill_while_polling_costs_only_time(gateway: Gateway, worker: Process) -> None:
    with receiving() as receiver:
        before = gateway.calls("dashscope", "poll")
        task_id = gateway.post(
            model="wanx2.1-t2i-turbo",
            prompt="a brass compass [slow 3s] [poll hang once]",
            callback_url=receiver.url,
        )
        eventually(
            lambda: gateway.calls("dashscope", "poll") > before,
            20,
            "a look, which is never answered",
        )
        worker.kill()
        gateway.worker()
        assert gateway.ended(task_id)["status"] == "succeeded"
        assert len(gateway.submits("brass compass")) == 1
        eventually(lambda: receiver.of(task_id), 20, "the callback")


def test_kill_while_delivering_delivers_again(
    gateway: Gateway, worker: Process
) -> None:
    with receiving() as receiver:
        receiver.hold.clear()
        task_id = gateway.post(
            model="wanx2.1-t2i-turbo",
            prompt="a paper lantern",
            callback_url=receiver.url,
        )
        assert receiver.arrived.wait(30)
        worker.kill()
        receiver.hold.set()
        first = eventually(lambda: receiver.of(task_id), 10, "the first call")[0]
        gateway.worker()
        again = eventually(
            lambda: receiver.of(task_id)[1:], 30, "the call after the kill"
        )[0]
        assert again.headers["webhook-id"] == first.headers["webhook-id"]
        assert gateway.get(task_id)["status"] == "succeeded"
