"""What every test may use: real servers, and pytest on small suites of its own."""

from hypothesis import settings

pytest_plugins = ("tests.services", "tests.fail_on_skip", "pytester")

# Machines that run tests are slow and busy: an example that takes long is no failure.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
