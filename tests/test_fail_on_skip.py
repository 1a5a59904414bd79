import pytest

SUITE = {
    "test_one": "def test_passes(): pass",
    "test_two": "import pytest\ndef test_skips(): pytest.skip('no server')",
    "test_three": "import pytest\npytest.skip('no module', allow_module_level=True)",
    "test_four": "import pytest\n@pytest.mark.xfail\ndef test_known(): assert False",
}


def run(
    pytester: pytest.Pytester, *arguments: str, files: str = "one two three four"
) -> pytest.RunResult:
    names = {f"test_{name}" for name in files.split()}
    pytester.makepyfile(**{name: code for name, code in SUITE.items() if name in names})
    return pytester.runpytest_inprocess("-p", "tests.fail_on_skip", *arguments)


@pytest.mark.parametrize("skipping", ["two", "three"])
def test_one_skip_fails_the_run(pytester: pytest.Pytester, skipping: str) -> None:
    result = run(pytester, "--fail-on-skip", files=f"one {skipping} four")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"test_{skipping}*: Skipped: no *"])


def test_skips_in_other_processes_are_seen(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--fail-on-skip", "-n", "1")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        ["test_two*: Skipped: no server", "test_three*: Skipped: no module"]
    )


def test_a_skip_is_no_failure_unless_asked_for(pytester: pytest.Pytester) -> None:
    assert run(pytester).ret == pytest.ExitCode.OK


def test_a_run_without_skips_passes(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--fail-on-skip", files="one four")

    assert result.ret == pytest.ExitCode.OK
