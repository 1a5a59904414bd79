"""What stands in deploy/ and the Procfile fits the settings and the commands."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import VARIABLES, Settings, SettingsError

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
GATEWAY = {n: s for n, s in COMPOSE["services"].items() if s["image"] == "genrelay"}
QUEUES = {"submit", "poll", "deliver", "sweep"}
SECRETS = {
    "GENRELAY_SECRET_KEY": "kZ3vQ9yT1mX7bL5nR2wP8sD4gH6jF0cA",
    "POSTGRES_PASSWORD": "Vn2kQ8xR4tY6",
}


def substituted(text: str, env: dict[str, str]) -> str:
    """The text as compose reads it: ${NAME:-default} and ${NAME:?demanded}."""

    def value(found: re.Match[str]) -> str:
        name, how, rest = found.groups()
        if not env.get(name) and how == ":?":
            raise LookupError(f"{name}: {rest}")
        return env.get(name) or rest

    return re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", value, text)


def queues_of(command: str) -> set[str]:
    return set(command.partition("--queues ")[2].split(",")) - {""}


@pytest.mark.parametrize("service", GATEWAY)
def test_each_service_starts_in_production_once_secrets_are_given(service: str) -> None:
    given = GATEWAY[service]["environment"]
    env = {name: substituted(value, SECRETS) for name, value in given.items()}

    assert Settings.from_env(env).env == "production"
    assert set(env) <= {variable.name for variable in VARIABLES}


@pytest.mark.parametrize("missing", SECRETS)
def test_no_secret_has_a_default(missing: str) -> None:
    env = {name: value for name, value in SECRETS.items() if name != missing}

    with pytest.raises(LookupError, match=missing):
        substituted((ROOT / "deploy/compose.yaml").read_text(), env)


def test_a_secret_that_compose_lets_pass_empty_would_stop_the_gateway() -> None:
    with pytest.raises(SettingsError, match="GENRELAY_SECRET_KEY is not set"):
        Settings.from_env({"GENRELAY_ENV": "production"})


def test_compose_serves_every_queue() -> None:
    commands = (" ".join(service["command"]) for service in GATEWAY.values())

    assert set().union(*map(queues_of, commands)) == QUEUES


def test_the_procfile_serves_every_queue() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()

    assert set().union(*map(queues_of, lines)) == QUEUES


def test_workers_may_end_their_paid_calls_before_they_are_killed() -> None:
    longest_s = Settings.from_env({}).submit_timeout_s

    for name in ("submit", "poll", "deliver"):
        assert int(GATEWAY[name]["stop_grace_period"].rstrip("s")) > longest_s


def test_what_others_wait_for_has_a_health_check() -> None:
    services = COMPOSE["services"]
    waited_for = {
        name
        for service in services.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }

    assert waited_for == {"postgres", "redis"}
    assert all("healthcheck" in services[name] for name in waited_for | {"web"})


def test_the_web_server_logs_no_query_and_no_token() -> None:
    conf = (ROOT / "deploy/nginx.conf").read_text()
    logged = conf.partition("log_format")[2].partition(";")[0]

    for leak in ("$request ", '$request"', "$request_uri", "$args", "$http_referer"):
        assert leak not in logged
    upstream = conf.partition("location /upstream/ {")[2].partition("}")[0]
    assert "access_log off;" in upstream
