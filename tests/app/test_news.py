"""News of tasks: among threads, and among processes by Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import redis

from app.lifecycle import State
from app.news import CHANNEL, News, RedisNews, open_news


def until(is_true: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    ends_at = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < ends_at
        time.sleep(0.005)


def test_what_is_told_in_a_process_is_heard_there() -> None:
    news, heard = News(), dict[str, State]()
    news.listen(heard.update)

    news.tell({"a": State.FAILED})

    assert heard == {"a": State.FAILED}


def test_only_a_process_that_does_everything_hears_every_change() -> None:
    assert open_news(None, alone=True).is_live
    assert not open_news(None).is_live


def test_another_process_hears_what_is_told(redis_url: str) -> None:
    ours, theirs, heard = RedisNews(redis_url), RedisNews(redis_url), {}
    ours.listen(heard.update)
    until(lambda: ours.is_live)

    theirs.tell({"a": State.PROCESSING, "b": State.SUCCEEDED})

    until(lambda: len(heard) == 2)
    assert heard == {"a": State.PROCESSING, "b": State.SUCCEEDED}
    ours.close()
    theirs.close()
    assert not ours.is_live


def test_the_last_news_of_a_process_are_told_before_it_ends(redis_url: str) -> None:
    ours, theirs, heard = RedisNews(redis_url), RedisNews(redis_url), {}
    ours.listen(heard.update)
    until(lambda: ours.is_live)

    theirs.tell({"a": State.CANCELLED})
    theirs.close()

    until(lambda: heard == {"a": State.CANCELLED})
    ours.close()


def test_what_nobody_understands_is_passed_over(redis_url: str) -> None:
    news, heard = RedisNews(redis_url), dict[str, State]()
    news.listen(heard.update)
    until(lambda: news.is_live)
    with redis.Redis.from_url(redis_url) as server:
        server.publish(CHANNEL, "a resting")
        server.publish(CHANNEL, "without a state")

    news.tell({"b": State.FAILED})
    with redis.Redis.from_url(redis_url) as server:
        server.publish(CHANNEL, "c cancelled")

    until(lambda: "c" in heard)
    assert heard == {"b": State.FAILED, "c": State.CANCELLED}
    news.close()


def test_a_redis_that_is_away_neither_fails_nor_delays() -> None:
    news = RedisNews("redis://127.0.0.1:9/0")
    news.listen(lambda changes: None)
    started = time.monotonic()

    news.tell({"a": State.FAILED})

    assert time.monotonic() - started < 0.5
    assert not news.is_live
    news.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("news")]
