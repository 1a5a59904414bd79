"""How the text of a setting becomes a value, and what is said when it does not."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

DAY_S = 86_400
MEMORY_BROKER = "memory://"
POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")
SCHEDULE_MAX_STEPS = 50
SECRET_KEY_MIN_CHARS = 32


@dataclass(frozen=True)
class Kind:
    """`parse` gives the value or raises ValueError; `allowed` says what it takes.

    The text of that ValueError is shown to the operator, also for secret variables:
    it never quotes the value.
    """

    parse: Callable[[str], Any]
    allowed: str


def number(low: float, high: float, unit: str) -> Kind:
    """A number with or without a fraction, `low` and `high` included."""

    def parse(text: str) -> float:
        return _within(_to_float(text), low, high)

    return Kind(parse, f"{low:,} to {high:,} {unit}".rstrip())


def whole(low: int, high: int, unit: str) -> Kind:
    """A whole number, `low` and `high` included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text):
            raise ValueError("it is not a whole number")
        return int(_within(int(text), low, high))

    return Kind(parse, f"{low:,} to {high:,} {unit}".rstrip())


def choice(words: type[StrEnum]) -> Kind:
    """One of a few fixed words, in capitals or not."""

    def parse(text: str) -> StrEnum:
        for word in words:
            if word.lower() == text.lower():
                return word
        raise ValueError

    return Kind(parse, " or ".join(f"`{word}`" for word in words))


def _to_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("it is not a number") from None
    if not isfinite(value):
        raise ValueError("it is not a number")
    return value


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError("it is out of range")
    return value


def _split_url(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of a URL; the ValueErrors of urlsplit would quote passwords."""
    scheme, colon, _ = text.partition("://")
    if not colon or scheme.lower() not in schemes:
        raise ValueError
    if not text.isprintable():
        raise ValueError("it holds a control character")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(
            "host or port cannot be read; write special characters of a password as %XX"
        ) from None
    return parts


def _read_database_url(text: str) -> str:
    """The URL with the driver that SQLAlchemy needs to be told."""
    parts = _split_url(text, ("sqlite", *POSTGRES_SCHEMES))
    rest = text.partition("://")[2]
    if parts.scheme != "sqlite":
        return f"postgresql+psycopg://{rest}"
    # Each connection to a database in memory would see an empty one of its own.
    if not rest.startswith("/") or rest in ("/", "/:memory:"):
        raise ValueError("SQLite needs the path of a file")
    return f"sqlite://{rest}"


def _read_redis_url(text: str) -> str:
    parts = _split_url(text, ("redis", "rediss"))
    if not parts.hostname:
        raise ValueError("it names no host")
    if not re.fullmatch(r"/?[0-9]*", parts.path):
        raise ValueError("what follows the host is not the number of a database")
    return text


def _read_broker_url(text: str) -> str:
    if text == MEMORY_BROKER:
        return text
    if text.startswith("redis"):
        return _read_redis_url(text)
    if not _split_url(text, ("amqp", "amqps")).hostname:
        raise ValueError("it names no host")
    return text


def _read_storage_url(text: str) -> str:
    if "://" not in text:
        return str(_read_folder(text))
    parts = _split_url(text, ("file", "s3"))
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise ValueError("a folder is written file:///absolute/path")
    if parts.scheme == "s3" and not parts.netloc:
        raise ValueError("it names no bucket")
    return text


def _read_public_url(text: str) -> str:
    parts = _split_url(text, ("http", "https"))
    if not parts.hostname:
        raise ValueError("it names no host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("it is followed by paths: no user, `?` or `#` in it")
    return text.rstrip("/")


def _read_folder(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("`~` leads to no home folder") from error


def _read_secret_key(text: str) -> str:
    # Commas separate old keys: a key holding one could never be rotated.
    if "," in text or not text.isprintable() or " " in text:
        raise ValueError("it holds a comma, a space or a control character")
    return text


def _read_secret_keys(text: str) -> tuple[str, ...]:
    return tuple(_read_secret_key(part) for part in _parts(text))


def _read_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part) for part in _parts(text))


def _read_schedule(text: str) -> tuple[float, ...]:
    delays = tuple(_to_float(part) for part in text.split(","))
    if len(delays) > SCHEDULE_MAX_STEPS:
        raise ValueError(f"it has {len(delays)} steps")
    return tuple(_within(delay, 0, 7 * DAY_S) for delay in delays)


def _read_host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", text):
        raise ValueError
    return text


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


FOLDER = Kind(_read_folder, "a folder")
DATABASE = Kind(
    _read_database_url, "`sqlite:///path`, `postgresql://user:password@host/name`"
)
REDIS = Kind(_read_redis_url, "`redis://host:port/0`, `rediss://...`")
BROKER = Kind(
    _read_broker_url,
    f"`redis://`, `rediss://`, `amqp://`, `amqps://`, `{MEMORY_BROKER}`",
)
STORAGE = Kind(_read_storage_url, "a folder, `file:///path`, `s3://bucket/prefix`")
SECRET = Kind(
    _read_secret_key,
    f"{SECRET_KEY_MIN_CHARS} characters or more in production, no comma or space",
)
SECRETS = Kind(_read_secret_keys, "secret keys, comma separated")
PUBLIC = Kind(_read_public_url, "`https://host` or `http://host`, a path may follow")
NETWORKS = Kind(_read_networks, "networks such as `10.0.0.0/8,::1/128`")
SCHEDULE = Kind(
    _read_schedule,
    f"1 to {SCHEDULE_MAX_STEPS} numbers of seconds, comma separated, each 0 to "
    f"{7 * DAY_S:,}",
)
HOST = Kind(_read_host, "a host name or an address")
