"""What every test may use: real servers, and pytest on small suites of its own."""

from hypothesis import settings

pytest_plugins = ("tests.services", "tests.fail_on_skip", "pytester")

# Machines that run tests are slow and busy: an example that takes long is no failure.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

NAMED_CHARS = 60


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long texts and bytes by their argument: processes must agree on names.

    What is made at import (an archive, a token) holds the time, and differs between
    two processes that collect the same tests a second apart.
    """
    if isinstance(val, str | bytes) and len(val) > NAMED_CHARS:
        return argname
    return None
