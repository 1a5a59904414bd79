"""Settings: one frozen value, read from the environment once.

`VARIABLES` is the whole list: the README's table is printed from it, and a wrong value
is one line that names the variable and says what is allowed.
"""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import quote

from app.setting_kinds import (
    BROKER,
    DATABASE,
    DAY_S,
    FOLDER,
    HOST,
    MEMORY_BROKER,
    NETWORKS,
    PUBLIC,
    REDIS,
    SCHEDULE,
    SECRET,
    SECRET_KEY_MIN_CHARS,
    SECRETS,
    STORAGE,
    Kind,
    choice,
    number,
    whole,
)

SECRET_KEY_FILE = "secret.key"
SECRET_KEY_MIN_DISTINCT = 10
SHOWN_CHARS = 80
KIB, MIB, GIB = 1024, 1024**2, 1024**3
HOUR_S = 3600

# Words that stand in secrets nobody has chosen.
PLACEHOLDERS = (
    "changeme",
    "replaceme",
    "example",
    "insecure",
    "default",
    "development",
)


class SettingsError(ValueError):
    """One line for the operator: the variable, its value, and what is allowed."""


class Environment(StrEnum):
    """Where the gateway runs; production refuses secrets that others may know."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ResultCopy(StrEnum):
    """What becomes of a result that the upstream offers under an expiring link."""

    COPY = "copy"
    PASS = "pass"


class LogLevel(StrEnum):
    """The least severe record that is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Settings:
    """Everything an operator can set; `VARIABLES` says what each field means.

    Fields that may carry a password are left out of `repr`.
    """

    data: Path
    database_url: str = field(repr=False)
    redis_url: str | None = field(repr=False)
    broker_url: str = field(repr=False)
    storage_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    old_secret_keys: tuple[str, ...] = field(repr=False)
    providers: Path | None
    public_url: str | None
    allow_networks: tuple[IPv4Network | IPv6Network, ...]
    callback_schedule: tuple[float, ...]
    callback_timeout_s: float
    lease_s: float
    submit_timeout_s: float
    poll_timeout_s: float
    poll_min_s: float
    poll_max_s: float
    look_cost: float
    deadline_s: float | None
    max_upload_bytes: int
    max_image_pixels: int
    max_result_bytes: int
    result_copy: ResultCopy
    link_ttl_s: int
    idempotency_ttl_s: int
    retention_days: int
    worker_concurrency: int
    web_threads: int
    web_host: str
    web_port: int
    log_level: LogLevel
    env: Environment

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """The settings that variables name; an empty one counts as absent.

        Touches no file: when development names no secret key, `secret_key` is empty
        until `with_secret_key`. Raises `SettingsError`.
        """
        values: dict[str, Any] = {}
        for variable in VARIABLES:
            values[variable.field] = _read(variable, env, values)
        settings = cls(**values)
        _check_together(settings)
        return settings


def with_secret_key(settings: Settings) -> Settings:
    """The settings with a secret key: their own, else the one in the data folder.

    The first call makes that file, readable by its owner alone; processes that start
    together get the same key. Raises `SettingsError`.
    """
    if settings.secret_key:
        return settings
    path = settings.data / SECRET_KEY_FILE
    try:
        if not path.exists():
            _make_secret_key(path)
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"GENRELAY_SECRET_KEY is not set, and {path} cannot be used: {error}"
        ) from error
    if len(key) < SECRET_KEY_MIN_CHARS:
        # A new key would make all sealed secrets unreadable: a person must decide.
        raise SettingsError(
            f"{path} holds no secret key of {SECRET_KEY_MIN_CHARS} characters or more: "
            "restore the file or set GENRELAY_SECRET_KEY"
        )
    return replace(settings, secret_key=key)


def _make_secret_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
        try:
            # Appears whole or not at all, and never over the key of another process.
            os.link(file.name, path)
        except FileExistsError:
            return


@dataclass(frozen=True)
class Variable:
    """One environment variable and the field of `Settings` that it fills.

    `default` is a text read like any other, or makes one from the fields above it,
    and `shown` stands for it in the README; without one the field is `absent`. `also`
    is a second name, used when the first is absent. `secret` values are never shown.
    """

    name: str
    field: str
    kind: Kind
    default: str | Callable[[Mapping[str, Any]], str]
    meaning: str
    shown: str = ""
    absent: Any = None
    also: str = ""
    secret: bool = False


VARIABLES = (
    Variable(
        "GENRELAY_DATA",
        "data",
        FOLDER,
        "./data",
        "folder of the embedded mode: database, files, secret key",
    ),
    Variable(
        "DATABASE_URL",
        "database_url",
        DATABASE,
        lambda above: f"sqlite:///{quote(str(above['data']))}/genrelay.db",
        "the record of everything; PostgreSQL for more than one machine",
        shown="`sqlite:///<data>/genrelay.db`",
        secret=True,
    ),
    Variable(
        "REDIS_URL",
        "redis_url",
        REDIS,
        "",
        "limits and notifications shared by all processes",
        secret=True,
    ),
    Variable(
        "BROKER_URL",
        "broker_url",
        BROKER,
        lambda above: above["redis_url"] or MEMORY_BROKER,
        "rings the workers: Redis, RabbitMQ, or memory within one process",
        shown=f"`REDIS_URL`, without it `{MEMORY_BROKER}`",
        secret=True,
    ),
    Variable(
        "GENRELAY_STORAGE_URL",
        "storage_url",
        STORAGE,
        lambda above: str(above["data"] / "files"),
        "where input and result files are kept",
        shown="`<data>/files`",
        secret=True,
    ),
    Variable(
        "GENRELAY_SECRET_KEY",
        "secret_key",
        SECRET,
        "",
        "seals channel secrets, signs links; the same for all processes",
        shown=f"in development one made and kept in `<data>/{SECRET_KEY_FILE}`",
        absent="",
        secret=True,
    ),
    Variable(
        "GENRELAY_OLD_SECRET_KEYS",
        "old_secret_keys",
        SECRETS,
        "",
        "earlier keys that may still open what they sealed",
        absent=(),
        secret=True,
    ),
    Variable(
        "GENRELAY_PROVIDERS",
        "providers",
        FOLDER,
        "",
        "YAML files that describe further providers (docs/declaring-a-provider.md)",
    ),
    Variable(
        "GENRELAY_PUBLIC_URL",
        "public_url",
        PUBLIC,
        "",
        "address of the gateway as clients and upstreams see it, used in links",
        shown="`http://<web host>:<web port>`",
    ),
    Variable(
        "GENRELAY_ALLOW_NETWORKS",
        "allow_networks",
        NETWORKS,
        "",
        "private networks that callbacks and input URLs may lead to",
        absent=(),
    ),
    Variable(
        "GENRELAY_CALLBACK_SCHEDULE",
        "callback_schedule",
        SCHEDULE,
        "0,5,300,1800,7200,18000,36000,50400,72000,86400",
        "waits before each attempt to deliver a callback",
    ),
    Variable(
        "GENRELAY_CALLBACK_TIMEOUT_S",
        "callback_timeout_s",
        number(0.1, 120, "seconds"),
        "15",
        "longest time one callback attempt may take",
    ),
    Variable(
        "GENRELAY_LEASE_S",
        "lease_s",
        number(1, HOUR_S, "seconds"),
        "60",
        "a worker that is silent this long loses what it claimed",
    ),
    Variable(
        "GENRELAY_SUBMIT_TIMEOUT_S",
        "submit_timeout_s",
        number(0.1, HOUR_S, "seconds"),
        "300",
        "longest time an upstream may take to answer a submit",
    ),
    Variable(
        "GENRELAY_POLL_TIMEOUT_S",
        "poll_timeout_s",
        number(0.1, 300, "seconds"),
        "30",
        "longest time an upstream may take to answer a status query",
    ),
    Variable(
        "GENRELAY_POLL_MIN_S",
        "poll_min_s",
        number(0.05, HOUR_S, "seconds"),
        "1",
        "shortest wait between two looks at one submission",
    ),
    Variable(
        "GENRELAY_POLL_MAX_S",
        "poll_max_s",
        number(0.05, HOUR_S, "seconds"),
        "30",
        "longest wait between two looks at one submission",
    ),
    Variable(
        "GENRELAY_LOOK_COST",
        "look_cost",
        number(0.0001, 1, ""),
        "0.01",
        "what one look is worth, as a share of a model's usual time by which a result "
        "may be seen later: more means fewer looks",
    ),
    Variable(
        "GENRELAY_DEADLINE_S",
        "deadline_s",
        number(1, 30 * DAY_S, "seconds"),
        "",
        "caps how long any task may take",
        shown="each model's own",
    ),
    Variable(
        "GENRELAY_MAX_UPLOAD_BYTES",
        "max_upload_bytes",
        whole(KIB, GIB, "bytes"),
        str(32 * MIB),
        "largest file or base64 input",
    ),
    Variable(
        "GENRELAY_MAX_IMAGE_PIXELS",
        "max_image_pixels",
        whole(1, 1_000_000_000, "pixels"),
        "64000000",
        "largest input image, width times height",
    ),
    Variable(
        "GENRELAY_MAX_RESULT_BYTES",
        "max_result_bytes",
        whole(KIB, 1024 * GIB, "bytes"),
        str(2 * GIB),
        "largest result file that is copied",
    ),
    Variable(
        "GENRELAY_RESULT_COPY",
        "result_copy",
        choice(ResultCopy),
        "copy",
        "copy results that stand behind expiring links, or pass those links on",
    ),
    Variable(
        "GENRELAY_LINK_TTL_S",
        "link_ttl_s",
        whole(1, 365 * DAY_S, "seconds"),
        str(DAY_S),
        "how long a signed result link works",
    ),
    Variable(
        "GENRELAY_IDEMPOTENCY_TTL_S",
        "idempotency_ttl_s",
        whole(1, 30 * DAY_S, "seconds"),
        str(DAY_S),
        "how long an `Idempotency-Key` is remembered",
    ),
    Variable(
        "GENRELAY_RETENTION_DAYS",
        "retention_days",
        whole(1, 36_500, "days"),
        "30",
        "how long ended tasks and their files are kept",
    ),
    Variable(
        "GENRELAY_WORKER_CONCURRENCY",
        "worker_concurrency",
        whole(1, 100_000, "calls"),
        "1000",
        "upstream calls in flight per worker process",
    ),
    Variable(
        "GENRELAY_WEB_THREADS",
        "web_threads",
        whole(1, 1024, "threads"),
        "64",
        "requests served at once by one web process",
    ),
    Variable(
        "GENRELAY_WEB_HOST",
        "web_host",
        HOST,
        "127.0.0.1",
        "address the web server listens on; `0.0.0.0` for all",
    ),
    Variable(
        "GENRELAY_WEB_PORT",
        "web_port",
        whole(0, 65_535, ""),
        "8000",
        "port the web server listens on; 0 for any free one",
        also="PORT",
    ),
    Variable(
        "GENRELAY_LOG_LEVEL",
        "log_level",
        choice(LogLevel),
        "INFO",
        "least severe record that is logged",
    ),
    Variable(
        "GENRELAY_ENV",
        "env",
        choice(Environment),
        "development",
        "`production` refuses to start without a secret key of its own",
    ),
)


def settings_table() -> str:
    """Every variable as a Markdown table, in the order of `VARIABLES`."""
    rows = [("variable", "default", "allowed", "meaning"), ("---",) * 4]
    for variable in VARIABLES:
        name = f"`{variable.name}`"
        if variable.also:
            name += f" or `{variable.also}`"
        default = f"`{variable.default}`" if variable.default else "none"
        rows.append(
            (name, variable.shown or default, variable.kind.allowed, variable.meaning)
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _read(variable: Variable, env: Mapping[str, str], above: Mapping[str, Any]) -> Any:
    name, text = variable.name, env.get(variable.name, "").strip()
    if not text and variable.also:
        name, text = variable.also, env.get(variable.also, "").strip()
    if not text:
        name, default = variable.name, variable.default
        text = default if isinstance(default, str) else default(above)
    if not text:
        return variable.absent
    try:
        return variable.kind.parse(text)
    except ValueError as error:
        shown = "" if variable.secret else f"={_shown(text)}"
        detail = f" ({error})" if str(error) else ""
        raise SettingsError(
            f"{name}{shown}: must be {variable.kind.allowed}{detail}"
        ) from None


def _shown(text: str) -> str:
    """The value on one line of bearable length."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}..."


def _check_together(settings: Settings) -> None:
    if settings.poll_min_s > settings.poll_max_s:
        raise SettingsError(
            f"GENRELAY_POLL_MIN_S={settings.poll_min_s:g}: must be no more than "
            f"GENRELAY_POLL_MAX_S, which is {settings.poll_max_s:g}"
        )
    if settings.idempotency_ttl_s > settings.retention_days * DAY_S:
        raise SettingsError(
            f"GENRELAY_IDEMPOTENCY_TTL_S={settings.idempotency_ttl_s}: must be no more "
            f"than GENRELAY_RETENTION_DAYS, which is {settings.retention_days}"
        )
    if settings.env is Environment.PRODUCTION:
        _check_production_secret(settings.secret_key)


def _check_production_secret(key: str) -> None:
    if not key:
        problem = "is not set"
    elif len(key) < SECRET_KEY_MIN_CHARS:
        problem = f"has {len(key)} characters"
    elif len(set(key)) < SECRET_KEY_MIN_DISTINCT:
        problem = "repeats a few characters"
    elif any(word in re.sub(r"[\W_]", "", key).lower() for word in PLACEHOLDERS):
        problem = "looks like a placeholder"
    else:
        return
    raise SettingsError(
        f"GENRELAY_SECRET_KEY {problem}: production needs {SECRET_KEY_MIN_CHARS} "
        "random characters or more, such as `openssl rand -hex 32` prints"
    )
