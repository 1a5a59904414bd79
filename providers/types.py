"""The words that adapters and workers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from providers.flow import Call, Flow


class MediaType(StrEnum):
    """What a task makes."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


class Phase(StrEnum):
    """An upstream's status in our words."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why a generation ended without a result; clients read it as `error_code`."""

    CONTENT_REJECTED = "content_rejected"
    INVALID_REQUEST = "invalid_request"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_EXPIRED = "upstream_expired"


@dataclass(frozen=True, slots=True)
class MediaInput:
    """One input image: a client's http(s) URL, or `upload:<n>` for bytes it sent.

    An upload's bytes are read with a public call to that URL (`providers/inputs.py`
    has the forms that upstreams take). `link` is where an upstream may fetch an upload
    from the gateway, for a day; None when the gateway cannot be reached from outside.
    """

    url: str
    content_type: str | None = None
    link: str | None = None

    @property
    def uploaded(self) -> bool:
        return self.url.startswith("upload:")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What one task asks of one channel, in unified words.

    `model` is the upstream's own name of the model. `n` is always set. `images` has
    every image the client gave, in order, `input_reference` included. `callback_url`
    is the gateway's own address for this submission, never the client's; None when
    the gateway cannot be reached from outside. `submission_key` is the same for every
    sending of one submission: the idempotency key for upstreams that take one.
    """

    task_id: str
    submission_key: str = ""
    model: str
    media_type: MediaType
    action: str = "generate"
    prompt: str | None = None
    input: str | None = None
    negative_prompt: str | None = None
    images: tuple[MediaInput, ...] = ()
    audio_url: str | None = None
    video_url: str | None = None
    size: str | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    n: int = 1
    seed: int | None = None
    quality: str | None = None
    style: str | None = None
    output_format: str | None = None
    voice: str | None = None
    speed: float | None = None
    title: str | None = None
    tags: str | None = None
    lyrics: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    callback_url: str | None = None

    @property
    def text(self) -> str:
        """What to make: the prompt, or the general input; "" when neither is given."""
        return self.prompt or self.input or ""

    @property
    def speech(self) -> str:
        """What to say: the general input, or the prompt; "" when neither is given."""
        return self.input or self.prompt or ""


@dataclass(frozen=True, slots=True)
class Remote:
    """How an upstream knows a job: its id, and what later calls need beside it.

    `links` holds small texts only: URLs of the submit answer byte for byte, or the
    kind of job where the status path depends on it.
    """

    id: str
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One generated output: at `url`, inline as `content`, or a `text` alone.

    `protected` means that the URL needs the channel's key (it may then be a path below
    the base URL). `expires_at` is unix seconds where the upstream says when the link
    dies. A URL is kept byte for byte: its query may be a signature.
    """

    url: str | None = None
    content: bytes | None = None
    content_type: str | None = None
    protected: bool = False
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    expires_at: int | None = None
    title: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the upstream ended a job without a result; `code` is its own word."""

    reason: Reason
    message: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What an upstream says of a submission at one moment.

    `percent` is 0 to 100 where the upstream reports it. `failure` is set when `phase`
    is FAILED, and on a success when some of several outputs failed. `usage` is the
    upstream's own accounting, small and JSON. `look_after_s` is its hint for the next
    look.
    """

    phase: Phase
    remote: Remote | None = None
    percent: int | None = None
    artifacts: tuple[Artifact, ...] = ()
    failure: Failure | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    look_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What one model makes, takes and costs in time; None or () leaves a limit open.

    `needs` and `refuses` name unified fields ("images", "audio_url", "seed", ...).
    `sizes` are "WxH" spellings; `resolutions`, `aspect_ratios` and `output_formats`
    are lists of what is allowed. Times are seconds. `resold` marks another maker's
    model under its own name: its maker's channels come first.
    """

    name: str
    media_type: MediaType
    sync: bool = False
    actions: tuple[str, ...] = ("generate",)
    needs: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    max_prompt: int | None = None
    max_images: int | None = None
    max_n: int | None = None
    sizes: tuple[str, ...] = ()
    side_range: tuple[int, int] | None = None
    pixel_range: tuple[int, int] | None = None
    ratio_range: tuple[float, float] | None = None
    side_multiple: int | None = None
    aspect_ratios: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    durations: tuple[float, ...] = ()
    duration_range: tuple[float, float] | None = None
    speed_range: tuple[float, float] | None = None
    qualities: tuple[str, ...] = ()
    output_formats: tuple[str, ...] = ()
    typical_s: float = 30.0
    longest_s: float = 900.0
    resold: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """A channel's secret and settings, for `authorize` alone; `now` is unix time."""

    secret: str
    settings: Mapping[str, str]
    now: float

    def __repr__(self) -> str:
        return "Credentials(...)"


@dataclass(frozen=True, slots=True)
class Callback:
    """An upstream's own callback as it arrived; `headers` has lower-case names."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that must hold before a callback counts.

    `scheme` says how: "ed25519" over a key set at `keys_url` (hex signature), or
    "hmac-sha256" with the channel's webhook secret (base64 signature). `timestamp` is
    the unix time that was signed; it may differ from ours by `tolerance_s`.
    """

    scheme: str
    message: bytes
    signature: str
    timestamp: float
    keys_url: str | None = None
    tolerance_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What a callback says: of which job, under which signature (None: unsigned).

    `ids` are the upstream ids it may concern, likeliest first; none when it is about no
    job, as a challenge. `remote` lets a job whose submit answer was lost be adopted.
    `answer` is what the upstream wants to read under HTTP 200: a text, or the fields of
    a JSON object; None leaves it to the gateway.
    """

    ids: tuple[str, ...]
    remote: Remote | None = None
    signed: Signed | None = None
    answer: str | Mapping[str, Any] | None = None


Authorize = Callable[[Call, Credentials], Call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One upstream service, as functions and facts.

    Credentials are added only for `base_url`'s host, a channel's own base URL's host,
    and `hosts` (one that begins with a dot means all names below it). `env` names the
    environment variables that may hold a key. `describe` gives the model for an
    upstream name, also for names outside `models` where the catalogue is open.
    Optional powers: `idempotent` (the same `submission_key` never
    bills twice), `find` (a job by our reference: a snapshot, or None when it is surely
    absent),
    `cancel` (True when the upstream stopped it), `poll_many` (snapshots by upstream id;
    an id that is missing is unknown to the upstream), `receive` (reads its callbacks;
    gets the upstream's model name, "" when they come for a whole account), `test` (the
    cheapest call that proves a key).
    """

    name: str
    title: str
    base_url: str
    models: tuple[Model, ...]
    authorize: Authorize
    submit: Callable[[GenerationRequest], Flow[Snapshot]]
    poll: Callable[[Remote], Flow[Snapshot]]
    env: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()
    describe: Callable[[str], Model | None]
    links_live_s: int | None = None
    poll_spacing_s: float = 1.0
    idempotent: bool = False
    find: Callable[[GenerationRequest], Flow[Snapshot | None]] | None = None
    cancel: Callable[[Remote], Flow[bool]] | None = None
    poll_many: Callable[[Sequence[Remote]], Flow[Mapping[str, Snapshot]]] | None = None
    poll_many_limit: int = 1
    receive: Callable[[Callback, str], Heard] | None = None
    test: Callable[[], Flow[None]] | None = None
    sandbox_path: str = ""


def by_name(models: Sequence[Model]) -> Callable[[str], Model | None]:
    """`describe` for a closed catalogue."""
    table = {model.name: model for model in models}
    return table.get
