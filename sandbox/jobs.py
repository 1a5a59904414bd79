"""What an upstream remembers: its jobs, and what was paid.

A job is only numbers and texts: its state follows from the clock, and its media is made
when it is fetched. So several hundred thousand can be under way at once.
"""

import math
import random
import secrets
import sys
import threading
import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from aiohttp import web

from sandbox.scripts import (
    PLAIN,
    UNKNOWN_STATUS,
    Script,
    parse_script,
    read_script,
    script_of_tags,
    told_script,
)
from sandbox.shelf import Note, Shelf
from sandbox.webhooks import BuildMessage, SigningKeys, WebhookMessage, WebhookSender

QUEUED_SHARE = 0.15
"""The part of a job's time it waits before it runs."""
MOST_JOBS = 300_000
MOST_AGE_S = 24 * 3600.0
MOST_COUNTERS = 100_000
MOST_MOMENTS = 100_000
MOST_LATENCY_MS = 600_000.0
NOTHING: Mapping[str, Any] = MappingProxyType({})


class MediaType(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"


class JobPhase(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Failure(StrEnum):
    """Why a job fails: `error` is the upstream's own fault, `blocked` is moderation."""

    ERROR = "error"
    BLOCKED = "blocked"


class CallKind(StrEnum):
    """What an HTTP call is for, as the ledger counts them."""

    SUBMIT = "submit"
    POLL = "poll"
    RESULT = "result"
    LIST = "list"
    CANCEL = "cancel"
    UPLOAD = "upload"
    MEDIA = "media"
    WEBHOOK = "webhook"
    DOWN = "down"
    OTHER = "other"


@dataclass(slots=True, eq=False)
class Job:
    """One generation that was accepted; times are unix seconds of the server's clock.

    `extra` is whatever the dialect wants to say again in its answers, `owner` the
    secret it was submitted with, `base_url` the upstream as that client wrote it.
    """

    id: str
    model: str
    prompt: str
    media_type: MediaType
    script: Script
    created_at: float
    starts_at: float
    ends_at: float
    width: int = 1024
    height: int = 1024
    seconds: float = 5.0
    count: int = 1
    reference: str | None = None
    owner: str = ""
    base_url: str = ""
    extra: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    cancelled_at: float | None = None
    note: Note | None = None

    @property
    def failure(self) -> Failure | None:
        """Why the job fails when it ends, or None when it succeeds."""
        if self.script.blocked or self.script.blocked_late:
            return Failure.BLOCKED
        return Failure.ERROR if self.script.fails else None

    def phase(self, now: float) -> JobPhase:
        """The state at that time."""
        if self.cancelled_at is not None:
            return JobPhase.CANCELLED
        if now < self.starts_at:
            return JobPhase.QUEUED
        if now < self.ends_at:
            return JobPhase.RUNNING
        return JobPhase.SUCCEEDED if self.failure is None else JobPhase.FAILED

    def is_over(self, now: float) -> bool:
        """Whether the state is final at that time."""
        return self.cancelled_at is not None or now >= self.ends_at

    def percent(self, now: float) -> int:
        """0 while queued, up to 99 while running, 100 when succeeded.

        A failed or cancelled job keeps the last value.
        """
        if self.cancelled_at is not None:
            now = self.cancelled_at
        elif now >= self.ends_at:
            return 100 if self.failure is None else 99
        if now <= self.starts_at:
            return 0
        if math.isinf(self.ends_at):
            return min(50, int(now - self.starts_at))
        share = (now - self.starts_at) / (self.ends_at - self.starts_at)
        return min(99, int(100 * share))

    def output_fails(self, index: int) -> bool:
        """Whether that output (from 0) is the one that `[partial]` spoils."""
        return self.script.partial and self.count > 1 and index == self.count - 1

    def cancel(self, now: float) -> bool:
        """Cancel it; False when it is already over."""
        if self.is_over(now):
            return False
        self.cancelled_at = now
        if self.note is not None:
            self.note({"kind": "cancelled", "job": self.id, "at": now})
        return True

    def record(self) -> dict[str, Any]:
        """The job as JSON knows it, from which `read_job` makes it again."""
        record = {
            "id": self.id,
            "model": self.model,
            "prompt": self.prompt,
            "media_type": self.media_type,
            "created_at": self.created_at,
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "width": self.width,
            "height": self.height,
            "seconds": self.seconds,
            "count": self.count,
            "owner": self.owner,
            "base_url": self.base_url,
        }
        if self.script is not PLAIN:
            record["script"] = told_script(self.script)
        if self.extra is not NOTHING:
            record["extra"] = self.extra
        if self.reference is not None:
            record["reference"] = self.reference
        if self.cancelled_at is not None:
            record["cancelled_at"] = self.cancelled_at
        return record


def read_job(record: Mapping[str, Any]) -> Job:
    """The job of a record; raises KeyError, TypeError and ValueError."""
    given = dict(record)
    for name in ("model", "owner", "base_url"):
        given[name] = sys.intern(given[name])
    for name in ("created_at", "starts_at", "ends_at", "seconds"):
        given[name] = float(given[name])
    for name in ("width", "height", "count"):
        given[name] = int(given[name])
    given["media_type"] = MediaType(given["media_type"])
    given["script"] = read_script(given.get("script", {}))
    return Job(**given)


class Jobs:
    """The jobs of one upstream by id; the oldest make room for new ones."""

    def __init__(self, most: int = MOST_JOBS, most_age_s: float = MOST_AGE_S) -> None:
        self.most = most
        self.most_age_s = most_age_s
        self.note: Note | None = None
        self._by_id: OrderedDict[str, Job] = OrderedDict()
        self._by_reference: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Job]:
        """From the newest to the oldest."""
        return reversed(self._by_id.values())

    def add(self, job: Job) -> None:
        self._by_id[job.id] = job
        if job.reference is not None:
            self._by_reference[job.reference] = job.id
        oldest_at = job.created_at - self.most_age_s
        while len(self._by_id) > self.most or self._first().created_at < oldest_at:
            self._drop(self._first())

    def find(self, job_id: str) -> Job | None:
        return self._by_id.get(job_id)

    def find_by_reference(self, reference: str) -> Job | None:
        """The newest job submitted with that reference of the client's."""
        return self._by_id.get(self._by_reference.get(reference, ""))

    def delete(self, job_id: str) -> None:
        """Forget a job, as after a provider's own deletion call."""
        job = self._by_id.get(job_id)
        if job is not None:
            self._drop(job)
            if self.note is not None:
                self.note({"kind": "deleted", "job": job_id})

    def clear(self) -> None:
        self._by_id.clear()
        self._by_reference.clear()

    def _first(self) -> Job:
        return next(iter(self._by_id.values()))

    def _drop(self, job: Job) -> None:
        del self._by_id[job.id]
        reference = job.reference
        if reference is not None and self._by_reference.get(reference) == job.id:
            del self._by_reference[reference]


@dataclass(frozen=True, slots=True)
class PaidSubmit:
    """One submit that was accepted and is paid, whatever was answered.

    `key` is the end of the secret that was used, `reference` the client's own id or
    idempotency key.
    """

    provider: str
    job_id: str
    model: str
    prompt: str
    reference: str | None
    at: float
    key: str


class Ledger:
    """What was paid and how often each upstream was called; may be read by any thread.

    Only the newest submits are kept, the counts are never dropped.
    """

    def __init__(self, most: int = MOST_JOBS) -> None:
        self._submits: deque[PaidSubmit] = deque(maxlen=most)
        self._calls: Counter[tuple[str, str]] = Counter()
        self._moments: defaultdict[tuple[str, str], deque[float]] = defaultdict(
            lambda: deque(maxlen=MOST_MOMENTS)
        )
        self._lock = threading.Lock()

    def add(self, submit: PaidSubmit) -> None:
        with self._lock:
            self._submits.append(submit)

    def count(self, provider: str, kind: CallKind) -> None:
        self._calls[provider, kind] += 1
        self._moments[provider, kind].append(time.time())

    def submits(
        self, provider: str = "", prompt_contains: str = ""
    ) -> list[PaidSubmit]:
        """The paid submits, oldest first; both filters are optional."""
        with self._lock:
            paid = list(self._submits)
        return [
            submit
            for submit in paid
            if provider in {"", submit.provider} and prompt_contains in submit.prompt
        ]

    def calls(self, provider: str, kind: CallKind | None = None) -> int:
        """How many HTTP calls that upstream got, of one kind or of all."""
        if kind is not None:
            return self._calls[provider, kind]
        return sum(self.calls_of(provider).values())

    def calls_of(self, provider: str) -> dict[str, int]:
        """The counts of one upstream by kind."""
        counts = self._calls.copy()
        return {str(kind): n for (name, kind), n in counts.items() if name == provider}

    def moments_of(self, provider: str, kind: str) -> list[float]:
        """When the newest calls of a kind came, in unix seconds, oldest first."""
        return list(self._moments[provider, kind])

    def clear(self) -> None:
        with self._lock:
            self._submits.clear()
        self._calls.clear()
        self._moments.clear()


@dataclass(frozen=True, slots=True)
class Durations:
    """How long jobs take: the median by media type, and how far single ones lie off it.

    `sigma` is that of a log-normal distribution; 0 makes every job take the median.
    """

    image_s: float = 1.0
    video_s: float = 3.0
    audio_s: float = 1.5
    text_s: float = 0.5
    sigma: float = 0.0

    def draw(self, media_type: MediaType, chance: random.Random) -> float:
        """Seconds for one job of that type."""
        median_s = {
            MediaType.IMAGE: self.image_s,
            MediaType.VIDEO: self.video_s,
            MediaType.AUDIO: self.audio_s,
            MediaType.TEXT: self.text_s,
        }[media_type]
        if not self.sigma:
            return median_s
        return median_s * math.exp(chance.gauss(0.0, self.sigma))


def parse_durations(text: str) -> Durations:
    """`fixed:2` or `lognormal:12,0.5` (median in seconds, sigma) for every media type.

    Raises ValueError, whose text says what is allowed.
    """
    shape, _, numbers = text.partition(":")
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if any(not math.isfinite(value) or value < 0 for value in values):
        values = []
    if shape == "fixed" and len(values) == 1:
        return every_duration(values[0], 0.0)
    if shape == "lognormal" and len(values) == 2:
        return every_duration(values[0], values[1])
    raise ValueError(
        f"{text!r} is no way to draw durations: "
        "fixed:<seconds> or lognormal:<median seconds>,<sigma>"
    )


def every_duration(median_s: float, sigma: float) -> Durations:
    """The same median and spread for every media type."""
    return Durations(median_s, median_s, median_s, median_s, sigma)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one upstream behaves whatever the prompts say.

    `submit` and `poll` are tags (`hang`, `429 twice`; `poll` without its first word),
    `down` answers every call as a proxy without a server behind it does. Raises
    ValueError when a text says what nobody knows.
    """

    down: bool = False
    latency_ms: float = 0.0
    submit: str = ""
    poll: str = ""
    durations: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.latency_ms <= MOST_LATENCY_MS:
            raise ValueError(f"latency_ms must be between 0 and {MOST_LATENCY_MS:g}")
        tags_of(self.submit, "")
        tags_of(self.poll, "poll ")
        if self.durations:
            parse_durations(self.durations)


class Turns:
    """How often something has happened already, for tags such as `[429 twice]`."""

    def __init__(self, most: int = MOST_COUNTERS) -> None:
        self.most = most
        self.note: Note | None = None
        self._taken: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def take(self, times: int | None, *key: str) -> bool:
        """True for the first `times` calls with this key; always when it is None."""
        if times is None:
            return True
        taken = self._taken.get(key, 0)
        if taken >= times:
            return False
        self.set(key, taken + 1)
        if self.note is not None:
            self.note(turn_record(key, taken + 1))
        return True

    def set(self, key: tuple[str, ...], taken: int) -> None:
        """Let it have happened that often."""
        self._taken[key] = taken
        if len(self._taken) > self.most:
            self._taken.popitem(last=False)

    def records(self) -> Iterator[dict[str, Any]]:
        return (turn_record(key, taken) for key, taken in self._taken.items())

    def clear(self) -> None:
        self._taken.clear()


def turn_record(key: tuple[str, ...], taken: int) -> dict[str, Any]:
    return {"kind": "turn", "key": key, "taken": taken}


MessageOf = Callable[[Job, Any], BuildMessage]
"""Makes a callback's builder anew from its job and what `call_back` was told of it."""


@dataclass(eq=False)
class Upstream:
    """One simulated provider: all that a dialect needs besides the request.

    `secrets` are the only ones that open it; when empty, all do but `bad-key`. `note`
    writes what must outlive the process. A dialect that calls back sets `message_of`,
    which makes the callbacks that are still owed when a server has restarted.
    """

    name: str
    ledger: Ledger = field(default_factory=Ledger)
    jobs: Jobs = field(default_factory=Jobs)
    keys: SigningKeys = field(default_factory=SigningKeys.generate)
    clock: Callable[[], float] = time.time
    webhooks: WebhookSender = field(default_factory=lambda: WebhookSender(time.time))
    default_durations: Durations = Durations()
    secrets: frozenset[str] = frozenset()
    chance: random.Random = field(default_factory=random.Random)
    turns: Turns = field(default_factory=Turns)
    message_of: MessageOf | None = None
    note: Note | None = None
    shelves: dict[str, Shelf] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.set_behaviour(Behaviour())

    def set_behaviour(self, behaviour: Behaviour) -> None:
        """Behave so from now on, also towards jobs that are under way."""
        self.behaviour = behaviour
        self.durations = self.default_durations
        if behaviour.durations:
            self.durations = parse_durations(behaviour.durations)
        self.poll_script = script_of_tags(tags_of(behaviour.poll, "poll "))
        self._tags = tags_of(behaviour.submit, "")

    def base_url(self, request: web.Request) -> str:
        """Where this upstream is, as the client called it, without a final slash."""
        return sys.intern(f"{request.scheme}://{request.host}/{self.name}")

    def script(self, prompt: str) -> Script:
        """How to treat that prompt: its own tags and the behaviour that is set."""
        if not self._tags:
            return parse_script(prompt)
        text = prompt if "[" in prompt else ""
        return parse_script(text + "".join(f"[{tag}]" for tag in self._tags))

    def accept(
        self,
        request: web.Request,
        job_id: str,
        *,
        prompt: str,
        media_type: MediaType,
        model: str = "",
        width: int = 1024,
        height: int = 1024,
        seconds: float = 5.0,
        count: int = 1,
        reference: str | None = None,
        secret: str = "",
        duration_s: float | None = None,
        extra: Mapping[str, Any] = NOTHING,
    ) -> Job:
        """A new job, remembered and paid.

        It takes as long as its script says, else `duration_s`, else what is usual for
        its media type. `width`, `height`, `seconds` and `count` are what its outputs
        are made like.
        """
        script = self.script(prompt)
        now = self.clock()
        lasts_s = script.duration_s
        if lasts_s is None:
            lasts_s = duration_s
        if lasts_s is None:
            lasts_s = self.durations.draw(media_type, self.chance)
        job = Job(
            id=job_id,
            model=sys.intern(model),
            prompt=prompt,
            media_type=media_type,
            script=script,
            created_at=now,
            starts_at=now + QUEUED_SHARE * lasts_s,
            ends_at=math.inf if script.stuck else now + lasts_s,
            width=width,
            height=height,
            seconds=seconds,
            count=count,
            reference=reference,
            owner=sys.intern(secret),
            base_url=self.base_url(request),
            extra=extra,
        )
        self.add(job)
        return job

    def add(self, job: Job) -> None:
        """Remember a job that is paid."""
        job.note = self.note
        self.jobs.add(job)
        self.ledger.add(
            PaidSubmit(
                provider=self.name,
                job_id=job.id,
                model=job.model,
                prompt=job.prompt,
                reference=job.reference,
                at=job.created_at,
                key=job.owner[-4:],
            )
        )

    def keep(self, job: Job) -> None:
        """Let a job outlive the process as it now is.

        `answer_submit` does so with every job; a dialect that changes one later (other
        than by `cancel`) does it again.
        """
        if self.note is not None:
            self.note({"kind": "job", **job.record()})

    def write_to(self, note: Note) -> None:
        """Have all that happens from now on written by `note`."""
        self.note = self.jobs.note = self.turns.note = note
        for job in self.jobs:
            job.note = note
        for shelf in self.shelves.values():
            shelf.note = note

    def records(self) -> Iterator[dict[str, Any]]:
        """What is remembered of jobs, turns and shelves, the oldest first."""
        for job in reversed(list(self.jobs)):
            yield {"kind": "job", **job.record()}
        yield from self.turns.records()
        for shelf in self.shelves.values():
            yield from shelf.records()

    def shelf(self, name: str, most: int) -> Shelf:
        """A place for what the dialect keeps beside its jobs."""
        return self.shelves.setdefault(name, Shelf(name, most))

    def status_word(
        self, job: Job, words: Mapping[JobPhase, str], now: float | None = None
    ) -> str:
        """The provider's word for the state of a job, by its table of words.

        Whoever tells more of the job gives the instant, so that all is of one moment.
        `[unknown status]` makes it one that nobody documented, while the job lives.
        """
        fault = job.script.unknown_status
        if (
            fault is not None
            and job.cancelled_at is None
            and self.turns.take(fault.times, "status", job.id)
        ):
            return UNKNOWN_STATUS
        return words[job.phase(self.clock() if now is None else now)]

    def call_back(
        self,
        job: Job,
        url: str,
        build: BuildMessage,
        at: float | None = None,
        told: Any = None,
    ) -> None:
        """Send a callback about a job when it ends, or at the time given.

        `build` gets the keys to sign with and the time of the attempt. The script
        decides whether, how late, how often, and whether with a stranger's keys. The
        ledger counts the attempts. `told` is what `message_of` needs besides the job to
        make `build` again, as JSON knows it.
        """
        due_at = (job.ends_at if at is None else at) + job.script.webhook_delay_s
        if math.isinf(due_at):
            return
        for _ in range(job.script.webhook_count):
            callback_id = ""
            if self.note is not None:
                callback_id = secrets.token_hex(8)
                self.note(
                    {
                        "kind": "callback",
                        "id": callback_id,
                        "job": job.id,
                        "url": url,
                        "at": due_at,
                        "told": told,
                    }
                )
            self.send_callback(callback_id, job, url, build, due_at)

    def send_callback(
        self, callback_id: str, job: Job, url: str, build: BuildMessage, at: float
    ) -> None:
        """Send one callback at that time, and note when it is done with."""

        def counted(keys: SigningKeys, now: float) -> WebhookMessage | None:
            message = build(keys, now)
            if message is not None:
                self.ledger.count(self.name, CallKind.WEBHOOK)
            return message

        def done() -> None:
            if self.note is not None:
                self.note({"kind": "called", "id": callback_id})

        keys = SigningKeys.generate() if job.script.webhook_forged else self.keys
        self.webhooks.send_at(at, url, counted, keys, done)

    def forget(self) -> None:
        """Start anew: no jobs, no counts, the usual behaviour; the keys stay."""
        self.jobs.clear()
        self.turns.clear()
        for shelf in self.shelves.values():
            shelf.clear()
        self.set_behaviour(Behaviour())


def tags_of(text: str, prefix: str) -> tuple[str, ...]:
    """`hang` or `429 twice, slow 2s` as tags; ValueError names the one nobody knows."""
    tags = tuple(prefix + part.strip() for part in text.split(",") if part.strip())
    for tag in tags:
        if script_of_tags((tag,)) == PLAIN:
            raise ValueError(f"{tag!r} is not a tag that the sandbox knows")
    return tags
