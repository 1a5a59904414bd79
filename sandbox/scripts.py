"""How an upstream behaves for one prompt, as tags inside the prompt ask for it.

    a lighthouse at dawn [slow 5s] [poll 500 twice]

A tag is a few words in square brackets, in any case, anywhere in the text; what is
not listed here (`[Verse]`, `[Chorus]`) means nothing. `<n>` is `once`, `twice`,
`thrice` or a number; a fault without it comes every time.

    [slow 5s]                    the job takes that long (ms, s or m)
    [stuck]                      the job never ends
    [fail]                       the job ends failed
    [partial]                    the last of several outputs fails
    [blocked]                    moderation: refused at submit, or a failed job
    [blocked late]               moderation: always a failed job
    [429 <n>] [quota <n>]        the submit is refused, nothing is paid
    [400 <n>] [401 <n>] [403 <n>]
    [500 <n>] [502 <n>]          accepted and paid, but answered so (also 503, 504)
    [hang <n>]                   accepted and paid, never answered
    [cut <n>]                    accepted and paid, the answer breaks off in its middle
    [reset <n>]                  accepted and paid, the connection is reset
    [html <n>]                   accepted and paid, 200 with a web page
    [no id <n>]                  accepted and paid, the answer lacks the id
    [503 before <n>]             not accepted; also 500, 502, 504, hang, cut,
                                 reset, html
    [slow answer 2s]             accepted and paid, answered that much later
    [poll 429 <n>]               a status read is answered so; also 400, 401, 403, 404,
                                 500, 502, 503, 504, hang, cut, reset, html
    [unknown status <n>]         a status read names a status nobody documented
    [expire]                     result links have expired
    [big 20MB]                   result files have that size
    [no webhook] [webhook twice] [webhook forged] [webhook late 3s]
"""

import re
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import lru_cache
from typing import Any

TAG = re.compile(r"\[([^\[\]]{1,40})\]")
FAULT = re.compile(
    r"(?P<poll>poll )?"
    r"(?P<kind>429|quota|40[0134]|50[0234]|hang|cut|reset|html|no id)"
    r"(?P<before> before)?"
    r"(?: (?P<times>once|twice|thrice|\d{1,6})(?: times?)?)?"
)
UNKNOWN_STATUS_TAG = re.compile(
    r"unknown status(?: (?P<times>once|twice|thrice|\d{1,6})(?: times?)?)?"
)
TIMED = re.compile(
    r"(?P<what>slow|slow answer|webhook late) "
    r"(?P<number>\d{1,9}(?:\.\d{1,6})?) ?(?P<unit>ms|s|m)?"
)
BIG = re.compile(r"big(?: (?P<number>\d{1,9}(?:\.\d{1,3})?) ?(?P<unit>kb|mb|gb|b)?)?")
TIMES = {"once": 1, "twice": 2, "thrice": 3}
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
BYTES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, None: 1000**2}
BIG_DEFAULT_BYTES = 20 * 1000**2
BIG_MOST_BYTES = 4 * 1000**3

UNKNOWN_STATUS = "REBALANCING"
"""The status word that no provider documents."""


class FaultKind(StrEnum):
    """What goes wrong with one HTTP exchange."""

    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    RATE_LIMIT = "429"
    QUOTA = "quota"
    INTERNAL_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    GATEWAY_TIMEOUT = "504"
    HANG = "hang"
    CUT = "cut"
    RESET = "reset"
    HTML = "html"
    NO_ID = "no id"


REFUSALS = frozenset(
    {
        FaultKind.BAD_REQUEST,
        FaultKind.UNAUTHORIZED,
        FaultKind.FORBIDDEN,
        FaultKind.NOT_FOUND,
        FaultKind.RATE_LIMIT,
        FaultKind.QUOTA,
    }
)
"""Faults that always mean that nothing was accepted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, for the first `times` exchanges, or for all when it is None."""

    kind: FaultKind
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """What the tags of one prompt ask for; the default is an upstream that works.

    `before` are faults of a submit that accepts nothing, `after` those of one that was
    accepted and paid, `poll` those of status reads.
    """

    duration_s: float | None = None
    stuck: bool = False
    fails: bool = False
    partial: bool = False
    blocked: bool = False
    blocked_late: bool = False
    before: tuple[Fault, ...] = ()
    after: tuple[Fault, ...] = ()
    answer_delay_s: float = 0.0
    poll: tuple[Fault, ...] = ()
    unknown_status: Fault | None = None
    expired: bool = False
    big_bytes: int = 0
    webhook_count: int = 1
    webhook_forged: bool = False
    webhook_delay_s: float = 0.0


PLAIN = Script()


Told = dict[str, Any]
"""A script as JSON knows it: the fields that differ from a working upstream's."""


@lru_cache(maxsize=4096)
def told_script(script: Script) -> Told:
    """The script as values of JSON, from which `read_script` makes it again."""
    told: Told = {}
    for field in fields(Script):
        value = getattr(script, field.name)
        if value == field.default:
            continue
        if isinstance(value, tuple):
            value = [[fault.kind, fault.times] for fault in value]
        elif isinstance(value, Fault):
            value = [value.kind, value.times]
        told[field.name] = value
    return told


def read_script(told: Told) -> Script:
    """The script that was told; raises TypeError and ValueError."""
    if not told:
        return PLAIN
    wanted = dict(told)
    for name in ("before", "after", "poll"):
        wanted[name] = tuple(read_fault(*fault) for fault in told.get(name, ()))
    if "unknown_status" in told:
        wanted["unknown_status"] = read_fault(*told["unknown_status"])
    return Script(**wanted)


def read_fault(kind: str, times: int | None) -> Fault:
    return Fault(FaultKind(kind), times)


def parse_script(text: str) -> Script:
    """The script of a prompt; texts with the same tags share one value."""
    if "[" not in text:
        return PLAIN
    return script_of_tags(tuple(TAG.findall(text)))


@lru_cache(maxsize=4096)
def script_of_tags(tags: tuple[str, ...]) -> Script:
    """The script that these tags, given without their brackets, ask for together."""
    wanted: dict[str, object] = {}
    faults: dict[str, list[Fault]] = {"before": [], "after": [], "poll": []}
    for tag in (" ".join(tag.lower().split()) for tag in tags):
        if tag in SIMPLE_TAGS:
            wanted.update(SIMPLE_TAGS[tag])
        elif match := FAULT.fullmatch(tag):
            kind = FaultKind(match["kind"])
            if match["poll"]:
                place = "poll"
            elif match["before"] or kind in REFUSALS:
                place = "before"
            else:
                place = "after"
            faults[place].append(Fault(kind, times(match["times"])))
        elif match := TIMED.fullmatch(tag):
            amount = float(match["number"]) * SECONDS[match["unit"]]
            wanted[TIMED_FIELDS[match["what"]]] = amount
        elif match := BIG.fullmatch(tag):
            wanted["big_bytes"] = size_bytes(match["number"], match["unit"])
        elif match := UNKNOWN_STATUS_TAG.fullmatch(tag):
            # the kind is never read: what counts is how often
            wanted["unknown_status"] = Fault(FaultKind.HTML, times(match["times"]))
    wanted.update({place: tuple(found) for place, found in faults.items() if found})
    return Script(**wanted) if wanted else PLAIN  # type: ignore[arg-type]


SIMPLE_TAGS: dict[str, dict[str, object]] = {
    "stuck": {"stuck": True},
    "fail": {"fails": True},
    "partial": {"partial": True},
    "blocked": {"blocked": True},
    "blocked late": {"blocked_late": True},
    "expire": {"expired": True},
    "expired": {"expired": True},
    "no webhook": {"webhook_count": 0},
    "webhook twice": {"webhook_count": 2},
    "webhook forged": {"webhook_forged": True},
}
TIMED_FIELDS = {
    "slow": "duration_s",
    "slow answer": "answer_delay_s",
    "webhook late": "webhook_delay_s",
}


def times(word: str | None) -> int | None:
    """`twice` or `7` as a number; None stays None, which means always."""
    if word is None:
        return None
    return TIMES[word] if word in TIMES else int(word)


def size_bytes(number: str | None, unit: str | None) -> int:
    """`20`, `mb` in bytes, at most 4 GB; 20 MB when nothing is said."""
    if number is None:
        return BIG_DEFAULT_BYTES
    return min(int(float(number) * BYTES[unit]), BIG_MOST_BYTES)
