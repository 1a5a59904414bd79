"""Logs: one JSON object per line on standard error; no secret, no prompt.

Fields are `time`, `level`, `logger`, `message`, then what the caller gave as `extra`,
and `exception` with the whole traceback. Everything passes `redact`.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, TextIO

LEFT_OUT = "***"
TEXT_MAX_CHARS = 16_000
DEPTH_MAX = 6

# Secrets that show themselves in running text, the widest first. Quotes may be escaped:
# errors quote JSON that quotes JSON.
_HEADER = r"(?i)\b((?:proxy-)?authorization\\?[\"']?\s*[:=]\s*)"
_QUERY = "sign|signature|sig|token|secret|credential|password|keyid|key|auth"
_NAMES = "password|passwd|secret|(?:secret|api|access|private|x)[_-]?key|token"
_EQUALS = r"(?:\\?[\"']\s*[:=]|\s*=|(?<=-key):)\s*"
_VALUE = r"""(?:\\?"[^"\n]*|\\?'[^'\n]*|[^\s"',;&}\\]+)"""
REDACTIONS = (
    # The whole header: schemes such as HMAC spread the secret over several words.
    (_HEADER + r'\\?"[^"\n]*', r'\1"***'),
    (_HEADER + r"\\?'[^'\n]*", r"\1'***"),
    (_HEADER + r"[^\"'\s\\][^\n]*", r"\1***"),
    (r"(?i)\b((?:set-)?cookie\s*:)[^\n]+", r"\1 ***"),
    (r"(?i)\bbearer\s+[\w.~+/:=-]+", "Bearer ***"),
    (r"(?i)\bbasic\s+[\w+/=-]{12,}", "Basic ***"),
    (r"\bKey\s+[\w-]+:[\w-]+", "Key ***"),
    # Known by their beginning: API keys, webhook secrets, JSON web tokens.
    (r"(?<![A-Za-z0-9])sk-[\w-]+", "sk-***"),
    (r"\bwhsec_[A-Za-z0-9+/=_-]+", "whsec_***"),
    (r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?", "***"),
    # Passwords within URLs, signatures and tokens in their queries and paths.
    (r"(://[^\s/@:]{0,200}):[^\s\"'@]{1,200}@", r"\1:***@"),
    (rf"(?i)([?&;][\w-]{{0,40}}(?:{_QUERY})=)[^&#\s\"'<>]+", r"\1***"),
    (r"(/upstream/[^/\s\"'?]+/)[^/\s\"'?]+", r"\1***"),
    # name=value, "name": "value", and headers such as x-api-key: value
    (rf"(?i)((?<![\w-])[\w-]{{0,40}}(?:{_NAMES}){_EQUALS}){_VALUE}", r"\1***"),
    # Databases quote rows in their errors, and with them prompts.
    (r"\[parameters: [^\n]*", "[parameters: ***"),
    (r"(?s)Failing row contains .*?(?=\n\[SQL|\nTraceback|\Z)", "Failing row: ***"),
)
PATTERNS = tuple((re.compile(pattern), instead) for pattern, instead in REDACTIONS)

# Extra fields that are left out whatever they hold.
SECRET_NAME = re.compile(
    r"(?i)authorization|cookie|secret|password|passwd|signature|credential|sealed|pepper"
    r"|(^|[_-])(api[_-]?key|key|token|auth)$"
)
PROMPT_NAME = re.compile(
    r"(?i)prompt|^(input|inputs|lyrics|payload|body|metadata|b64_json|image|images)$"
)

# Their lower levels print headers, parameters, or a line for every request and ring.
QUIET = (
    "aiohttp.access",
    "alembic",
    "botocore",
    "celery.app.trace",
    "celery.worker.strategy",
    "PIL",
    "sqlalchemy",
    "urllib3",
    "werkzeug",
)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def setup_logs(
    level: str, *, human: bool = False, stream: TextIO | None = None
) -> None:
    """Send all records of `level` and above, and warnings, to standard error.

    `human` writes short lines for a terminal. A second call replaces the first.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(HumanFormatter() if human else JsonFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in QUIET:
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.WARNING, root.level))


def redact(text: str) -> str:
    """The text without what could open a door; the rest stays readable."""
    if len(text) > TEXT_MAX_CHARS:
        text = f"{text[:TEXT_MAX_CHARS]}... ({len(text)} characters)"
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return text


class JsonFormatter(logging.Formatter):
    """One JSON object per record, in ASCII, so that no line can be broken or forged."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, Any] = {
            "time": _instant(record).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        for name, value in _extras(record):
            line.setdefault(name, value)
        if trouble := _exception(self, record):
            line["exception"] = trouble
        return json.dumps(line)


class HumanFormatter(logging.Formatter):
    """Short lines for a person: time, level, message, extra fields, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, followed by the traceback if there is one."""
        clock = _instant(record).astimezone().strftime("%H:%M:%S")
        extras = "".join(f" {name}={value}" for name, value in _extras(record))
        line = f"{clock} {record.levelname:<7} {_message(record)}{extras}"
        lines = [line, *_exception(self, record).splitlines()]
        return "\n".join(_printable(line) for line in lines)


def _printable(line: str) -> str:
    """Without the control characters that would steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in line)


def _instant(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _message(record: logging.LogRecord) -> str:
    try:
        return redact(record.getMessage())
    except (TypeError, ValueError, KeyError):
        # The arguments do not fit the text: better half a message than none.
        return redact(str(record.msg))


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return redact("\n".join(parts))


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    for name, value in vars(record).items():
        if name not in _STANDARD and not name.startswith("_"):
            yield name, _clean(name, value)


def _clean(name: str, value: Any, depth: int = 0) -> Any:
    """The value in the words of JSON, without secrets and prompts."""
    if SECRET_NAME.search(name) or PROMPT_NAME.search(name):
        return LEFT_OUT
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if depth < DEPTH_MAX and isinstance(value, Mapping):
        return {
            redact(str(key)): _clean(str(key), item, depth + 1)
            for key, item in value.items()
        }
    if depth < DEPTH_MAX and isinstance(value, list | tuple | set | frozenset):
        return [_clean("", item, depth + 1) for item in value]
    return redact(str(value))
