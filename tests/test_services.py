from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from kombu import Connection

from tests import services

SILENT = "127.0.0.1:9"  # the discard port, which nothing serves


def refuse(url: str) -> None:
    raise OSError("no")


def databases_like_ours(url: str) -> list[str]:
    with psycopg.connect(services.libpq_url(url)) as connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
    return [name for (name,) in rows if name.startswith("genrelay_test_")]


def test_a_silent_server_skips_the_test_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TEST_REDIS_URL", raising=False)
    with pytest.raises(pytest.skip.Exception) as skipped:
        services.answering("Redis", "TEST_REDIS_URL", (f"redis://{SILENT}",), refuse)

    assert str(skipped.value) == (
        f"needs Redis: nothing answers at {SILENT}; TEST_REDIS_URL may name one"
    )


def test_a_named_server_that_is_silent_fails_the_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_REDIS_URL", f"redis://{SILENT}")
    with pytest.raises(pytest.fail.Exception, match=f"nothing answers at {SILENT}"):
        services.answering("Redis", "TEST_REDIS_URL", (), refuse)


def test_a_server_that_lets_nobody_in_is_told_from_a_silent_one(
    redis_url: str,
) -> None:
    url, trouble = services.first_answer((redis_url,), refuse)

    assert url == ""
    assert "does not let" in trouble


def test_a_fresh_database_goes_away_though_it_is_in_use(postgres_url: str) -> None:
    with services.fresh_postgres() as url:
        held_open = psycopg.connect(services.libpq_url(url))
        name = urlsplit(url).path[1:]
        assert name in databases_like_ours(postgres_url)

    held_open.close()
    assert url != postgres_url
    assert name not in databases_like_ours(postgres_url)


def test_a_fresh_redis_number_is_no_other_tests_and_empty_again(redis_url: str) -> None:
    with services.fresh_redis() as url, redis.Redis.from_url(url) as numbered:
        numbered.set("mine", 1)

    assert url != redis_url
    with redis.Redis.from_url(url) as numbered:
        assert numbered.dbsize() == 0


def test_a_redis_number_that_holds_data_is_left_alone(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as numbered:
        numbered.delete(services.REDIS_MARK)
        numbered.set("a person's", 1)
        # As if no test held the number.
        number = urlsplit(redis_url).path[1:]
        server = redis_url.removesuffix(f"/{number}") + "/0"
        with redis.Redis.from_url(server) as claims:
            held = claims.getdel(f"genrelay:test:claim:{number}")
            url, claim = services.claim_redis_number(server, claims)
            claims.delete(claim)
            claims.set(f"genrelay:test:claim:{number}", held)

        assert url != redis_url
        assert numbered.get("a person's") == b"1"


def test_rabbitmq_url_carries_messages(rabbitmq_url: str) -> None:
    with Connection(rabbitmq_url, connect_timeout=5) as broker:
        queue = broker.SimpleQueue("genrelay_test")
        queue.put({"rings": 1})
        message = queue.get(timeout=5)
        message.ack()
        queue.close()

    assert message.payload == {"rings": 1}
