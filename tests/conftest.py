"""What every test may use: real servers, and pytest on small suites of its own."""

import gc
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ("tests.services", "tests.fail_on_skip", "pytester")

# Machines that run tests are slow and busy: an example that takes long is no failure.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

NAMED_CHARS = 60

TESTS = Path(__file__).parent
# Files that take long for the few tests they have, the longest first: begun first, none
# of them is left to run alone at the end.
LONG = (
    "workers/test_state_machine.py",
    "journeys/test_kills.py",
    "journeys/test_up.py",
    "journeys/test_lost_answers.py",
    "providers/test_every_provider.py",
    "journeys/test_distributed.py",
    "workers/test_many_workers.py",
    "app/api/test_openapi.py",
    "journeys/test_limits.py",
    "journeys/test_silent_broker.py",
    "workers/test_celery.py",
    "test_fail_on_skip.py",
    "app/test_bells.py",
)
RANKS = {TESTS / name: rank for rank, name in enumerate(LONG)}


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long texts and bytes by their argument: processes must agree on names.

    What is made at import (an archive, a token) holds the time, and differs between
    two processes that collect the same tests a second apart.
    """
    if isinstance(val, str | bytes) and len(val) > NAMED_CHARS:
        return argname
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, then other journeys, which mostly wait."""

    def rank(item: pytest.Item) -> int:
        is_journey = item.path.is_relative_to(TESTS / "journeys")
        return RANKS.get(item.path, len(LONG) + (not is_journey))

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Spare the garbage collector thousands of tests, which live to the end."""
    gc.collect()
    gc.freeze()
