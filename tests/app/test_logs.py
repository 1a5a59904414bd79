import json
import logging
import subprocess
import sys
import threading
import timeit
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logs import TEXT_MAX_CHARS, JsonFormatter, redact, setup_logs

SECRET = "Zx81kQ7mW3vB9nTr"

Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def other_loggers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def logged() -> Logged:
    stream = StringIO()
    setup_logs("INFO", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def human_lines() -> StringIO:
    stream = StringIO()
    setup_logs("INFO", human=True, stream=stream)
    return stream


log = logging.getLogger("app.test")


def test_a_record_is_one_object_with_time_level_logger_and_message(
    logged: Logged,
) -> None:
    log.info("claimed %d tasks", 3)

    (line,) = logged()
    assert datetime.fromisoformat(line.pop("time")).utcoffset() is not None
    assert line == {
        "level": "INFO",
        "logger": "app.test",
        "message": "claimed 3 tasks",
    }


def test_extra_fields_stand_beside_the_message(logged: Logged) -> None:
    extra = {"task_id": "task_1", "count": 2, "seen": {"status": 200, "at": [1.5]}}
    log.info("looked", extra=extra)

    (line,) = logged()
    assert {name: line[name] for name in extra} == extra


def test_an_extra_field_cannot_replace_one_of_ours(logged: Logged) -> None:
    log.info("true", extra={"level": "FAKE", "time": "never"})

    (line,) = logged()
    assert line["level"] == "INFO"
    assert line["time"] != "never"


def test_an_exception_is_one_field_of_the_same_line(logged: Logged) -> None:
    try:
        raise RuntimeError(f"upstream said sk-{SECRET}")
    except RuntimeError:
        log.exception("failed")

    (line,) = logged()
    assert "Traceback" in line["exception"]
    assert "RuntimeError: upstream said sk-***" in line["exception"]


def test_a_line_break_in_a_message_starts_no_new_line(logged: Logged) -> None:
    log.info('a\n{"level": "ERROR"}\u2028b')

    (line,) = logged()
    assert line["message"] == 'a\n{"level": "ERROR"}\u2028b'


def test_arguments_that_do_not_fit_lose_no_record() -> None:
    record = logging.LogRecord("x", 20, "x.py", 1, "claimed %d", ("three",), None)

    assert json.loads(JsonFormatter().format(record))["message"] == "claimed %d"


def test_numbers_that_json_lacks_become_text(logged: Logged) -> None:
    log.info("odd", extra={"ratio": float("nan"), "limit": float("inf")})

    (line,) = logged()
    assert (line["ratio"], line["limit"]) == ("nan", "inf")


def test_a_value_that_holds_itself_ends(logged: Logged) -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    log.info("round", extra={"loop": loop})

    assert len(logged()) == 1


def test_records_below_the_level_are_not_written(logged: Logged) -> None:
    log.debug("small")

    assert logged() == []


def test_a_second_setup_replaces_the_first(logged: Logged) -> None:
    setup_logs("INFO", stream=StringIO())
    log.info("elsewhere")

    assert logged() == []


def test_warnings_are_logged(logged: Logged) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)

    (line,) = logged()
    assert line["logger"] == "py.warnings"
    assert "old way" in line["message"]


def test_libraries_that_print_too_much_stay_quiet_at_debug() -> None:
    stream = StringIO()
    setup_logs("DEBUG", stream=stream)
    logging.getLogger("sqlalchemy.engine.Engine").info("INSERT prompt='a cat'")
    logging.getLogger("urllib3.connectionpool").debug("GET /?sig=1")
    logging.getLogger("celery.app.trace").info("Task genrelay.poll succeeded")

    assert stream.getvalue() == ""


def test_lines_of_many_threads_do_not_mix(logged: Logged) -> None:
    def write() -> None:
        for count in range(50):
            log.info("line %d", count, extra={"filler": "x" * 500})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(logged()) == 200


def test_logs_go_to_standard_error_whatever_the_terminal_can_show() -> None:
    code = (
        "import logging; from app.logs import setup_logs; setup_logs('INFO');"
        "logging.getLogger('x').info('猫 \\udcff')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={"PYTHONIOENCODING": "latin-1", "PYTHONPATH": "."},
        check=True,
    )

    assert done.stdout == b""
    assert json.loads(done.stderr)["message"] == "猫 \udcff"


# Short lines for a terminal


def test_a_person_reads_one_short_line() -> None:
    stream = human_lines()
    log.warning("paused", extra={"channel": "fal", "secret": SECRET})

    (line,) = stream.getvalue().splitlines()
    assert line[8:] == " WARNING paused channel=fal secret=***"


def test_a_terminal_is_not_steered_by_what_is_logged() -> None:
    stream = human_lines()
    try:
        raise RuntimeError("\x1b[2J")
    except RuntimeError:
        log.exception("\x1b]0;owned\x07")

    assert "\x1b" not in stream.getvalue()
    assert "RuntimeError" in stream.getvalue()


# What is never written


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"authorization:Key abc:{SECRET}",
        f"{{'Authorization': 'Bearer {SECRET}', 'x': 1}}",
        f'{{"Authorization": "Key id:{SECRET}"}}',
        f'{{\\"Authorization\\": \\"Token {SECRET}\\"}}',
        f"Authorization: HMAC-SHA256 Credential=a/b, Signature={SECRET}",
        f"Proxy-Authorization: Basic {SECRET}",
        f"sent bearer {SECRET} to it",
        f"curl -H 'x: Key 12:{SECRET}'",
        f"the key sk-{SECRET} is unknown",
        f"sk-proj-a_b-{SECRET}",
        f"whsec_{SECRET}/+{SECRET}==",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
        f"https://h/f.png?Expires=1&Signature={SECRET}",
        f"https://h/f.png?X-Amz-Credential={SECRET}&X-Amz-Date=1",
        f"https://h/f.png?X-Amz-Security-Token={SECRET}",
        f"https://h/f.png?OSSAccessKeyId={SECRET}",
        f"https://h/f.png?se=2026&sig={SECRET}#x",
        f"https://h/v1/models?key={SECRET}",
        f"postgresql+psycopg://u:{SECRET}@h:5432/d",
        f"redis://:{SECRET}/more@h",
        f"connection failed: password={SECRET} host=h",
        f'{{"secret": "two words {SECRET}"}}',
        f"{{'secret_key': '{SECRET}'}}",
        f"x-api-key: {SECRET}",
        f"xi-api-key: {SECRET}",
        f"GENRELAY_SECRET_KEY={SECRET}",
        f'{{"access_token":"{SECRET}"}}',
        f"Cookie: session={SECRET}; a=b",
        f"Set-Cookie: a=b; {SECRET}",
        f"POST /upstream/fal/{SECRET} 200",
        f"https://gw/upstream/3/{SECRET}?x=1",
        f"[SQL: INSERT]\n[parameters: ('{SECRET}',)]",
        f"DETAIL:  Failing row contains (1, a\n{SECRET}, null).",
    ],
)
def test_a_secret_in_running_text_is_left_out(text: str) -> None:
    assert SECRET not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "claimed 3 tasks in 12 ms",
        "task_8sk-12 is risk-free",
        "https://h/f.png?width=10&format=webp",
        "http://127.0.0.1:8000/generation/tasks",
        "usage: max_tokens=5, total_tokens: 7",
        "the channel's key was refused (401)",
        "GENRELAY_LEASE_S=60",
    ],
)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_what_surrounds_a_secret_stays_readable() -> None:
    assert redact(f"GET https://h/f.png?sig={SECRET}&w=1 gave 403") == (
        "GET https://h/f.png?sig=***&w=1 gave 403"
    )
    assert redact(f"redis://u:{SECRET}@cache:6379/0 is silent") == (
        "redis://u:***@cache:6379/0 is silent"
    )


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "api_key", "secret", "webhook_secret", "signature", "token"),
        *("prompt", "negative_prompt", "input", "lyrics", "payload", "body", "image"),
    ],
)
def test_a_field_named_for_a_secret_or_a_prompt_is_left_out(
    logged: Logged, name: str
) -> None:
    log.info("sent", extra={name: "a cat", "call": {name: ["a cat"], "n": 1}})

    (line,) = logged()
    assert line[name] == "***"
    assert line["call"] == {name: "***", "n": 1}


def test_secrets_within_other_fields_are_left_out(logged: Logged) -> None:
    log.info(
        "sent", extra={"urls": [f"https://h/?sig={SECRET}"], "why": OSError(SECRET)}
    )

    (line,) = logged()
    assert line["urls"] == ["https://h/?sig=***"]


def test_a_huge_text_is_cut() -> None:
    text = redact("A" * 1_000_000)

    assert len(text) < TEXT_MAX_CHARS + 50
    assert text.endswith("(1000000 characters)")


@pytest.mark.parametrize("unit", ["://:", "a-", "?", "&a", "key", "sk-", "eyJ", "\\"])
def test_hostile_text_is_read_in_little_time(unit: str) -> None:
    text = unit * (TEXT_MAX_CHARS // len(unit))

    assert min(timeit.repeat(lambda: redact(text), number=1, repeat=3)) < 0.15


@given(st.text(), st.text())
def test_any_text_becomes_one_line_of_json(message: str, value: str) -> None:
    stream = StringIO()
    setup_logs("INFO", stream=stream)
    log.info("%s", message, extra={"value": value})

    assert len(stream.getvalue().splitlines()) == 1
    json.loads(stream.getvalue())
