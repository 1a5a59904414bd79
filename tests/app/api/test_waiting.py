"""One thread looks for all who wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

import pytest

from app.api.waiting import Waiting, read_preference
from app.lifecycle import FINAL, State
from app.news import News


class Store:
    """States that are looked for, and who asked."""

    def __init__(self) -> None:
        self.states = {"a": State.QUEUED, "b": State.QUEUED}
        self.asked: list[tuple[str, set[str]]] = []
        self.failures = 0

    def find_states(self, ids: Collection[str]) -> Mapping[str, State]:
        self.asked.append((threading.current_thread().name, set(ids)))
        if self.failures:
            self.failures -= 1
            raise RuntimeError("nobody foresaw this")
        return {id: self.states[id] for id in ids if id in self.states}


def until(is_true: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    ends_at = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < ends_at
        time.sleep(0.002)


def waiting_thread(
    waiting: Waiting, task_id: str, done: list[str], timeout_s: float = 30
) -> threading.Thread:
    def wait() -> None:
        if waiting.wait(task_id, FINAL.__contains__, timeout_s):
            done.append(task_id)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_those_whose_task_changed_are_woken_and_no_others() -> None:
    store, done = Store(), list[str]()
    waiting = Waiting(store.find_states, web_threads=64, look_every_s=0.005)
    threads = [waiting_thread(waiting, each, done) for each in ("a", "a", "b")]
    until(lambda: len(waiting._waiters) == 3)

    store.states["a"] = State.SUCCEEDED
    until(lambda: len(done) == 2)
    assert done == ["a", "a"]

    waiting.close()
    for thread in threads:
        thread.join()
    assert done == ["a", "a", "b"]


def test_one_thread_asks_for_all_and_for_nobody_when_nobody_waits() -> None:
    store, done = Store(), list[str]()
    waiting = Waiting(store.find_states, web_threads=64, look_every_s=0.005)
    threads = [waiting_thread(waiting, each, done) for each in ("a", "b")]
    until(lambda: any(ids == {"a", "b"} for _, ids in store.asked))
    store.states = dict.fromkeys(store.states, State.FAILED)
    for thread in threads:
        thread.join()

    until(lambda: not waiting._waiters)
    time.sleep(0.05)
    count = len(store.asked)
    time.sleep(0.05)

    assert len(store.asked) == count
    assert {name for name, _ in store.asked} == {"waiting"}
    waiting.close()


def test_news_wake_those_whose_task_changed() -> None:
    store, done, news = Store(), list[str](), News(is_whole=True)
    waiting = Waiting(store.find_states, web_threads=64, look_every_s=0.005, news=news)
    threads = [waiting_thread(waiting, each, done) for each in ("a", "b")]
    until(lambda: sum("b" in ids for _, ids in store.asked) > 0)

    news.tell({"a": State.PROCESSING, "b": State.SUCCEEDED})

    until(lambda: done == ["b"])
    waiting.close()
    for thread in threads:
        thread.join()


def test_where_news_come_the_store_is_asked_seldom() -> None:
    store, done = Store(), list[str]()
    waiting = Waiting(
        store.find_states,
        web_threads=64,
        look_every_s=0.001,
        look_anyway_s=30,
        news=News(is_whole=True),
    )
    thread = waiting_thread(waiting, "a", done, timeout_s=0.3)
    thread.join()

    # Once to know what it may have missed, once when news began to come.
    assert len(store.asked) <= 2
    waiting.close()


def test_news_that_were_lost_cost_only_time() -> None:
    store, done = Store(), list[str]()
    waiting = Waiting(
        store.find_states,
        web_threads=64,
        look_every_s=0.001,
        look_anyway_s=0.05,
        news=News(is_whole=True),
    )
    thread = waiting_thread(waiting, "a", done)
    until(lambda: len(store.asked) >= 2)

    store.states["a"] = State.SUCCEEDED
    thread.join(10)

    assert done == ["a"]
    waiting.close()


def test_a_server_that_lends_threads_lets_many_wait() -> None:
    waiting = Waiting(Store().find_states, web_threads=1)
    lent = list[bool]()

    def lend(wait: Callable[[], object]) -> None:
        lent.append(True)
        wait()

    waiting.use(lend)

    assert waiting.wait("a", FINAL.__contains__, 0.01)
    assert lent == [True]
    waiting.close()


def test_a_task_that_is_gone_ends_the_wait() -> None:
    waiting = Waiting(Store().find_states, web_threads=64, look_every_s=0.005)

    assert waiting.wait("gone", FINAL.__contains__, 30)
    waiting.close()


@pytest.mark.parametrize(
    ("web_threads", "capacity"), [(64, 56), (16, 8), (8, 4), (2, 1), (1, 0)]
)
def test_waiting_leaves_threads_for_others(web_threads: int, capacity: int) -> None:
    waiting = Waiting(Store().find_states, web_threads=web_threads, look_every_s=0.005)
    done: list[str] = []
    threads = [waiting_thread(waiting, "a", done) for _ in range(capacity)]
    until(lambda: len(waiting._waiters) == capacity)

    assert not waiting.wait("a", FINAL.__contains__, 30)

    waiting.close()
    for thread in threads:
        thread.join()
    assert len(done) == capacity


def test_a_look_that_fails_does_not_end_the_looking() -> None:
    store, done = Store(), list[str]()
    store.failures = 2
    store.states["a"] = State.FAILED
    waiting = Waiting(store.find_states, web_threads=64, look_every_s=0.005)

    waiting_thread(waiting, "a", done).join()

    assert done == ["a"]
    waiting.close()


def test_nobody_waits_after_the_close() -> None:
    waiting = Waiting(Store().find_states, web_threads=64)
    waiting.close()

    assert not waiting.wait("a", FINAL.__contains__, 30)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ("WAIT = 10", 10),
        ('wait="7"', 7),
        ("wait=5; x=y", 5),
        ("wait=90", 60),
        ("wait=0", 0),
        ("wait=x", None),
        ("", None),
        ("nowait=5", None),
    ],
)
def test_the_preference_is_read_as_rfc_7240_writes_it(
    header: str, seconds: int | None
) -> None:
    assert read_preference(header) == seconds
