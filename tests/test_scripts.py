"""scripts/up and scripts/test with interpreters that only pretend to install."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = (
    *("cat", "chmod", "cksum", "dirname", "env", "grep"),
    *("mkdir", "mv", "rm", "sh", "sleep", "tail"),
)
WAIT_S = 20

OLD = "sys.version_info = (3, 9, 2)"
NEW = "sys.version_info = (3, 12, 1)"
WITHOUT_VENV = NEW + "; sys.modules['ensurepip'] = None"

# Answers as what `pretend` makes it, logs what it is asked to do, and makes what the
# real one would make, as far as the scripts look at it.
INTERPRETER = """#!/bin/sh
log() {{ echo "$*" >>{log}; }}
case "$1 $2" in
    "-c "*version_info*) exec {real} -c "import sys; {pretend}
$2" ;;
    "-c "*) exec {real} "$@" ;;
    "-m venv")
        log venv
        mkdir -p "$3/bin" && : >"$3/pyvenv.cfg" && cat "$0" >"$3/bin/python"
        chmod +x "$3/bin/python" ;;
    "-m pip")
        if [ "$3" = --version ]; then exit; fi
        log "$@"
        {pip}
        genrelay=${{0%/python}}/genrelay
        cat {genrelay} >"$genrelay" && chmod +x "$genrelay" ;;
    *) shift; log "$@"; case $1 in "$FAILING") exit 1 ;; esac ;;
esac
"""

GENRELAY = """#!/bin/sh
printf 'pid %s\\n' $$
printf 'data %s\\n' "$GENRELAY_DATA"
printf 'path %s\\n' "${PYTHONPATH-none}"
printf 'argument %s\\n' "$@"
exit 7
"""


@dataclass
class Project:
    """A copy of the scripts in a folder of its own, with its own PATH."""

    root: Path
    bin: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def log(self) -> list[str]:
        """What the interpreters were asked to do."""
        file = self.bin / "log"
        return file.read_text().splitlines() if file.exists() else []

    def forget(self) -> None:
        (self.bin / "log").unlink()

    def python(self, name: str, pretend: str = "", pip: str = ":") -> Path:
        """Put an interpreter on PATH that does `pretend` before it answers."""
        path = self.bin / name
        path.write_text(
            INTERPRETER.format(
                log=shlex.quote(str(self.bin / "log")),
                genrelay=shlex.quote(str(self.bin / "genrelay.sh")),
                real=shlex.quote(sys.executable),
                pretend=pretend,
                pip=pip,
            )
        )
        path.chmod(0o755)
        return path

    def start(self, script: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "scripts" / script), *arguments],
            cwd=self.bin,
            env={"PATH": str(self.bin), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, *arguments: str, **env: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of a script."""
        process = self.start(script, *arguments, **env)
        out, err = process.communicate(timeout=WAIT_S)
        return process.returncode, out, err

    def wait_for_log(self, beginning: str) -> None:
        """Return when an interpreter was asked for what begins so."""
        give_up_at = time.monotonic() + WAIT_S
        while not any(line.startswith(beginning) for line in self.log):
            assert time.monotonic() < give_up_at, f"no {beginning} in {self.log}"
            time.sleep(0.01)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root, tools = tmp_path / "gen relay", tmp_path / "bin"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(str(shutil.which(tool)))
    (tools / "genrelay.sh").write_text(GENRELAY)
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    return Project(root, tools)


# scripts/up


def test_up_installs_once_and_becomes_genrelay_up(project: Project) -> None:
    project.python("python3")
    process = project.start("up", "--port", "0", "--data", "a b")
    out, err = process.communicate(timeout=WAIT_S)

    assert project.log[0] == "venv"
    assert project.log[1].endswith(f"--editable {project.root}")
    assert len(project.log) == 2
    # Standard output is genrelay's alone, and the script has become genrelay.
    assert out.splitlines() == [
        f"pid {process.pid}",
        f"data {project.root}/data",
        "path none",
        *("argument up", "argument --port", "argument 0"),
        *("argument --data", "argument a b"),
    ]
    assert process.returncode == 7
    assert err == "genrelay: installing packages into .venv (a minute or two, once)\n"


def test_a_second_up_installs_nothing_and_says_nothing(project: Project) -> None:
    project.python("python3")
    project.run("up")
    project.forget()
    _, _, err = project.run("up")

    assert (project.log, err) == ([], "")


def test_up_keeps_the_data_folder_that_the_environment_names(project: Project) -> None:
    project.python("python3")
    _, out, _ = project.run("up", GENRELAY_DATA="/srv/data")

    assert "data /srv/data\n" in out


def test_up_is_not_led_astray_by_python_path(project: Project) -> None:
    project.python("python3")
    _, out, _ = project.run("up", PYTHONPATH="/elsewhere", PYTHONHOME="/elsewhere")

    assert "path none\n" in out


def test_changed_requirements_are_installed_into_the_same_venv(
    project: Project,
) -> None:
    project.python("python3")
    project.run("up")
    project.forget()
    with (project.root / "setup.cfg").open("a") as file:
        file.write("# a new requirement\n")
    project.run("up")

    assert [line.split()[:3] for line in project.log] == [["-m", "pip", "install"]]


def test_a_moved_project_is_installed_again(project: Project) -> None:
    project.python("python3")
    project.run("up")
    project.forget()
    project.root = project.root.rename(project.root.parent / "moved")
    project.run("up")

    assert project.log[0].endswith(f"--editable {project.root}")


# Interpreters


def test_a_name_on_path_that_does_not_run_is_passed_over(project: Project) -> None:
    shim = project.bin / "python3.13"
    shim.write_text("#!/bin/sh\necho ok 3.13\nexit 127\n")
    shim.chmod(0o755)
    project.python("python3")

    assert project.run("up")[0] == 7
    assert project.log[0] == "venv"


def test_an_interpreter_that_can_make_a_venv_is_preferred(project: Project) -> None:
    project.python("python3.12", WITHOUT_VENV)
    project.python("python3.11", OLD)
    project.python("python3")

    assert project.run("up")[0] == 7


@pytest.mark.parametrize("script", ["up", "test"])
@pytest.mark.parametrize(
    ("pretend", "said"),
    [
        (OLD, "Python 3.9.2 is too old: install Python 3.11 or newer"),
        (WITHOUT_VENV, "apt-get install python3.12-venv"),
        (f"{NEW}; sys.modules['ssl'] = None", "Python 3.12 lacks its module 'ssl'"),
        ("sys.exit(1)", "no Python that runs: install Python 3.11 or newer"),
    ],
)
def test_an_unfit_interpreter_is_one_line_that_says_what_to_install(
    project: Project, script: str, pretend: str, said: str
) -> None:
    project.python("python3", pretend)
    status, out, err = project.run(script)

    assert (status, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1
    assert not project.venv.exists()


def test_no_interpreter_at_all_is_one_line(project: Project) -> None:
    status, _, err = project.run("up")

    assert status == 1
    assert "no Python that runs: install Python 3.11 or newer" in err
    assert err.count("\n") == 1


def test_python_names_the_interpreter(project: Project) -> None:
    project.python("python3", OLD)
    mine = project.python("my python")

    assert project.run("up", PYTHON=str(mine))[0] == 7


def test_an_unfit_interpreter_that_was_named_is_not_replaced(project: Project) -> None:
    project.python("python3")
    mine = project.python("mine", OLD)
    status, _, err = project.run("up", PYTHON=str(mine))

    assert status == 1
    assert f"Python 3.9.2 (PYTHON={mine}) is too old" in err
    assert project.log == []


# Installs that do not end well


def test_a_failed_install_shows_the_words_of_pip_and_passes_for_nothing(
    project: Project,
) -> None:
    project.python("python3", pip="echo no compiler; exit 1")
    status, out, err = project.run("up")

    assert (status, out) == (1, "")
    assert "no compiler\n" in err
    assert "packages could not be installed" in err

    project.python("python3")
    assert project.run("up")[0] == 7
    assert project.log.count("venv") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Temporary failure in name resolution", "a network is needed"),
        ("(from versions: none)", "a network is needed"),
        ("[Errno 28] No space left on device", "the disk is full"),
    ],
)
def test_a_known_trouble_of_pip_is_one_line(
    project: Project, words: str, said: str
) -> None:
    project.python("python3", pip=f"echo '{words}'; exit 1")
    status, _, err = project.run("up")

    _, line = err.splitlines()
    assert status == 1
    assert said in line


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_an_interrupted_install_ends_at_once_and_passes_for_nothing(
    project: Project, number: signal.Signals, status: int
) -> None:
    project.python("python3", pip="exec sleep 60")
    process = project.start("up")
    project.wait_for_log("-m pip")
    process.send_signal(number)
    _, err = process.communicate(timeout=WAIT_S)

    assert process.returncode == status
    assert "the next run makes it anew" in err

    project.python("python3")
    assert project.run("up")[0] == 7
    assert project.log.count("venv") == 2


def test_a_killed_install_passes_for_nothing(project: Project) -> None:
    project.python("python3", pip="echo $$ >$0.pid; exec sleep 60")
    process = project.start("up")
    project.wait_for_log("-m pip")
    process.kill()
    process.communicate(timeout=WAIT_S)
    pip = int((project.venv / "bin/python.pid").read_text())
    os.kill(pip, signal.SIGKILL)

    project.python("python3")
    assert project.run("up")[0] == 7
    assert project.log.count("venv") == 2


def test_an_interrupted_update_passes_for_nothing(project: Project) -> None:
    project.python("python3")
    project.run("up")
    requirements = project.root / "pyproject.toml"
    before = requirements.read_text()
    requirements.write_text("# changed")
    working = project.venv / "bin/python"
    working.write_text(working.read_text().replace('log "$@"\n', "exit 1\n", 1))
    assert project.run("up")[0] == 1

    # Also when the change is taken back.
    requirements.write_text(before)
    assert project.run("up")[0] == 7
    assert project.log.count("venv") == 2


def test_an_empty_venv_folder_is_replaced(project: Project) -> None:
    project.python("python3")
    project.venv.mkdir()
    status, _, err = project.run("up")

    assert status == 7
    assert "making .venv anew" in err


def test_a_whole_venv_of_other_origin_is_used(project: Project) -> None:
    project.python("python3")
    project.run("up")
    project.forget()
    (project.venv / "stamp").unlink()

    assert project.run("up")[0] == 7
    assert "venv" not in project.log


def test_two_runs_at_once_install_once(project: Project) -> None:
    # It waits for us, and ends by itself when the test has failed and gone.
    wait = (
        'i=0; while [ ! -e "${0%/*}/go" ] && [ $i -lt 600 ]; '
        "do sleep 0.05; i=$((i+1)); done"
    )
    project.python("python3", pip=wait)
    first = project.start("up")
    project.wait_for_log("-m pip")
    second = project.start("up")
    assert second.stderr is not None
    assert "waiting for another run" in second.stderr.readline()
    (project.venv / "bin/go").touch()

    first.communicate(timeout=WAIT_S)
    second.communicate(timeout=WAIT_S)
    assert (first.returncode, second.returncode) == (7, 7)
    assert len(project.log) == 2


# scripts/test


def test_test_runs_linters_types_and_tests(project: Project) -> None:
    project.python("python3")
    status, _, _ = project.run("test")

    assert project.log[1].endswith(f"--editable {project.root}[test]")
    assert project.log[2:] == [
        "ruff check --quiet",
        "ruff format --check --quiet",
        "mypy --no-error-summary",
        "pytest -n 3 --dist loadfile",
    ]
    assert status == 0


def test_test_with_arguments_runs_just_those_tests(project: Project) -> None:
    project.python("python3")
    project.run("test", "-k", "a or b", TEST_WORKERS="4")

    assert project.log[2:] == ["pytest -n 4 --dist loadfile -k a or b"]


@pytest.mark.parametrize("failing", ["ruff", "mypy", "pytest"])
def test_one_failed_check_fails_test_but_stops_no_other(
    project: Project, failing: str
) -> None:
    project.python("python3")
    status, _, err = project.run("test", FAILING=failing)

    assert status == 1
    assert len(project.log) == 6
    assert f"failed: {failing}" in err


def test_test_adds_its_extra_to_the_venv_of_up_and_up_keeps_it(
    project: Project,
) -> None:
    project.python("python3")
    project.run("up")
    project.run("test")
    project.forget()
    project.run("up")
    assert project.log == []

    (project.root / "pyproject.toml").write_text("# changed\n")
    project.run("up")
    assert project.log[0].endswith("[test]")
