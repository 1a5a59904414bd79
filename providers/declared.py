"""Providers described by data: one submit, one look, results as links or in base64.

A `Declaration` says where things are; `provider` makes the functions that the gateway
calls. Nothing in it is code: a template places fields of a request, a path leads to a
value of a reply. `app/provider_files.py` reads declarations from YAML
(docs/declaring-a-provider.md).
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from providers import auth, errors, inputs
from providers.flow import Call, Flow, Reply
from providers.geometry import read_size
from providers.types import (
    Artifact,
    Authorize,
    Callback,
    Failure,
    GenerationRequest,
    Heard,
    MediaInput,
    Model,
    Phase,
    Provider,
    Reason,
    Remote,
    Signed,
    Snapshot,
    by_name,
)

Path = tuple[str | int | None, ...]
"""Steps into a reply: a key, a place in a list, or None for every item of a list."""

TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
WHOLE = re.compile(r"\{([^{}]+)\}")
STEP = re.compile(r"([^.\[\]\s{}$]+)((?:\[(?:\*|\d{1,4})\])*)")
INDEX = re.compile(r"\[(\*|\d+)\]")
ONE_IMAGE = re.compile(r"images\[(\d{1,2})\]")
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]{0,100};base64,")

# What the gateway itself says of a submission.
OWN_FIELDS = frozenset({"model", "action", "task_id", "submission_key", "callback_url"})
# What a client may say; where no template places one, its models refuse it.
CLIENT_FIELDS = frozenset(
    {
        *("negative_prompt", "images", "audio_url", "video_url"),
        *("size", "width", "height", "aspect_ratio", "resolution"),
        *("duration", "n", "seed", "quality", "style", "output_format"),
        *("voice", "speed", "title", "tags", "lyrics"),
    }
)
FIELDS = OWN_FIELDS | CLIENT_FIELDS | {"prompt", "input"}
SIZES = frozenset({"size", "width", "height"})
# Whom a submit is billed to, and whom it calls back, is not for clients to say.
KEPT_FIELDS = OWN_FIELDS - {"action"}

MILLISECONDS = 100_000_000_000
"""Unix seconds reach this in the year 5138; a larger instant is in milliseconds."""
HMAC = "hmac-sha256"


class ImageForm(StrEnum):
    """How an upstream takes an input image."""

    URL = "url"
    DATA_URL = "data_url"
    BASE64 = "base64"


class KeyPlace(StrEnum):
    """Where a call carries its key."""

    BEARER = "bearer"
    HEADER = "header"
    QUERY = "query"


class Unit(StrEnum):
    """What the progress of an upstream counts to: 100 or 1."""

    PERCENT = "percent"
    FRACTION = "fraction"


CONVERSIONS: Mapping[ImageForm, Callable[[MediaInput], Flow[str]]] = {
    ImageForm.URL: inputs.as_url,
    ImageForm.DATA_URL: inputs.as_data_url,
    ImageForm.BASE64: inputs.as_base64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """How a call is authorized; a bearer key needs no name."""

    place: KeyPlace = KeyPlace.BEARER
    name: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP call; its path, query, headers and body are templates."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """The paid call, and where its answer has the job's id."""

    request: Request
    id: Path
    images: ImageForm = ImageForm.URL
    idempotency_header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The look at a job: its word for the state, and hints beside it."""

    request: Request
    word: Path
    words: Mapping[str, Phase]
    progress: Path | None = None
    progress_unit: Unit = Unit.PERCENT
    look_after: Path | None = None
    look_after_header: str = ""
    spacing_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Where a finished job has its outputs; `request` is a call of its own for them.

    Either `url` or `content` (base64) is given. A `protected` link needs the key.
    """

    url: Path | None = None
    content: Path | None = None
    request: Request | None = None
    protected: bool = False
    content_type: str | None = None
    content_type_at: Path | None = None
    expires_at: Path | None = None
    links_live_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Why a job failed; a code without a reason of its own is the upstream's fault."""

    code: Path | None = None
    message: Path | None = None
    reasons: Mapping[str, Reason] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """How a call is refused.

    `fine` are the codes of answers that went well, for an upstream whose refusals come
    with status 200.
    """

    code: Path | None = None
    message: Path | None = None
    classes: Mapping[str, type[errors.ProviderError]] = field(default_factory=dict)
    fine: frozenset[str] = frozenset()
    retry_after: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """The call that stops a job; `too_late` are statuses of one that has ended."""

    request: Request
    too_late: frozenset[int] = frozenset({404})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An HMAC-SHA256 under the channel's webhook secret; names are in lower case.

    `signed` is a template of `{body}`, `{timestamp}` and `{id}`.
    """

    header: str
    prefix: str = ""
    signed: str = "{body}"
    timestamp_header: str = ""
    id_header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """The upstream's own callback: it wakes the look at the job that it names."""

    id: Path
    signature: Signature | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One upstream. `upstream_names` has the models that the upstream calls otherwise.

    What no template places, models refuse: a field is never dropped unsaid.
    """

    name: str
    title: str
    base_url: str
    models: tuple[Model, ...]
    submit: Submit
    status: Status
    results: Results
    upstream_names: Mapping[str, str] = field(default_factory=dict)
    env: tuple[str, ...] = ()
    sandbox_path: str = ""
    key: Key = Key()
    failure: Failures = Failures()
    errors: Problems = Problems()
    cancel: Cancel | None = None
    test: Request | None = None
    callback: Hook | None = None


def provider(told: Declaration) -> Provider:
    """The provider that a declaration describes."""
    models = tuple(limited(model, told.submit) for model in told.models)
    return Provider(
        name=told.name,
        title=told.title,
        base_url=told.base_url,
        models=models,
        describe=by_name(models),
        authorize=authorization(told.key),
        submit=submitting(told),
        poll=polling(told),
        cancel=cancelling(told, told.cancel) if told.cancel else None,
        test=testing(told, told.test) if told.test else None,
        receive=receiving(told, told.callback) if told.callback else None,
        env=told.env,
        links_live_s=told.results.links_live_s,
        poll_spacing_s=told.status.spacing_s,
        idempotent=bool(told.submit.idempotency_header),
        sandbox_path=told.sandbox_path,
    )


def limited(model: Model, submit: Submit) -> Model:
    """The model, refusing what its upstream would never be told."""
    placed = placed_fields(submit.request)
    numbers = [int(match[1]) for name in placed if (match := ONE_IMAGE.match(name))]
    names = {"images" if ONE_IMAGE.match(name) else name for name in placed}
    if names & SIZES:
        names |= SIZES
    most = model.max_images
    if numbers and "images" not in placed:
        most = min(max(numbers) + 1, max(numbers) + 1 if most is None else most)
    return replace(
        model, refuses=model.refuses | (CLIENT_FIELDS - names), max_images=most
    )


def authorization(key: Key) -> Authorize:
    match key.place:
        case KeyPlace.BEARER:
            return auth.bearer
        case KeyPlace.HEADER:
            return auth.header(key.name, key.prefix)
        case KeyPlace.QUERY:
            return auth.query(key.name, key.prefix)


# Calls


def submitting(told: Declaration) -> Callable[[GenerationRequest], Flow[Snapshot]]:
    form = told.submit
    describe = by_name(told.models)

    @errors.documented(f"an accepted job of {told.title}")
    def read_accepted(body: Any) -> Snapshot:
        return Snapshot(phase=Phase.PENDING, remote=Remote(read_id(body, form.id)))

    def submit(request: GenerationRequest) -> Flow[Snapshot]:
        """Start one job; billed when accepted."""
        if describe(request.model) is None:
            raise errors.ModelRefused(f"{told.title} offers no model {request.model}")
        fields = yield from fields_of(request, told)
        call = replace(written(form.request, fields), paid=True)
        if form.request.body is not None:
            body = merged(call.json, request.metadata, form.request.body)
            call = replace(call, json=body)
        if form.idempotency_header:
            key = {form.idempotency_header: request.submission_key}
            call = replace(call, headers={**call.headers, **key})
        reply = yield call
        return read_accepted(checked(reply, told.errors))

    return submit


def polling(told: Declaration) -> Callable[[Remote], Flow[Snapshot]]:
    status, results = told.status, told.results

    @errors.documented(f"the state of a job of {told.title}")
    def read_state(body: Any, remote: Remote, reply: Reply) -> Snapshot:
        phase = status.words[text_of(get(body, status.word))]
        if phase is Phase.SUCCEEDED:
            return Snapshot(phase=phase, remote=remote, percent=100)
        failed = phase is Phase.FAILED
        return Snapshot(
            phase=phase,
            remote=remote,
            percent=read_percent(find(body, status.progress), status.progress_unit),
            failure=read_failure(body, told.failure) if failed else None,
            look_after_s=read_hint(body, reply, status),
        )

    @errors.documented(f"results of {told.title}")
    def read_all(body: Any, snapshot: Snapshot) -> Snapshot:
        artifacts, failure = read_results(body, results)
        return replace(snapshot, artifacts=artifacts, failure=failure)

    def poll(remote: Remote) -> Flow[Snapshot]:
        """The state of one job, and its results as soon as it has succeeded."""
        reply = yield written(status.request, {"id": remote.id})
        body = checked(reply, told.errors)
        snapshot = read_state(body, remote, reply)
        if snapshot.phase is not Phase.SUCCEEDED:
            return snapshot
        if results.request is not None:
            reply = yield written(results.request, {"id": remote.id})
            body = checked(reply, told.errors)
        return read_all(body, snapshot)

    return poll


def cancelling(told: Declaration, form: Cancel) -> Callable[[Remote], Flow[bool]]:
    def cancel(remote: Remote) -> Flow[bool]:
        """Stop a job; False when it is unknown or has ended."""
        reply = yield written(form.request, {"id": remote.id})
        if reply.status in form.too_late:
            return False
        if not (reply.ok and not reply.content):  # 204 has nothing to read
            checked(reply, told.errors)
        return True

    return cancel


def testing(told: Declaration, request: Request) -> Callable[[], Flow[None]]:
    def test() -> Flow[None]:
        """Prove a key with a call that costs nothing."""
        reply = yield written(request, {})
        checked(reply, told.errors)

    return test


def receiving(told: Declaration, hook: Hook) -> Callable[[Callback, str], Heard]:
    @errors.documented(f"a callback of {told.title}")
    def receive(callback: Callback, model: str) -> Heard:
        """Which job calls home, and the signature that it must bear."""
        job_id = read_id(Reply(200, content=callback.body).json(), hook.id)
        signed = read_signature(callback, hook.signature) if hook.signature else None
        return Heard((job_id,), Remote(job_id), signed)

    return receive


def checked(reply: Reply, problems: Problems) -> Any:
    """The JSON body of a success, or the error that a refusal stands for."""

    def read_error(body: Any) -> tuple[str, str]:
        code, message = word_at(body, problems.code), find(body, problems.message)
        told = message if isinstance(message, str) and message else code
        if not told:
            raise KeyError("it names no error")
        return code, told

    if not reply.ok:
        error = errors.refusal(reply, problems.classes, read_error)
        if isinstance(error, errors.RateLimited | errors.Unavailable):
            hint = read_seconds(find(json_of(reply), problems.retry_after))
            error.retry_after_s = error.retry_after_s if hint is None else hint
        raise error
    body = errors.read_json(reply)
    code = word_at(body, problems.code)
    if problems.fine and code not in problems.fine | {""}:
        # With a status of success the code alone decides; one that nobody listed says
        # neither that the call went well nor that it was refused.
        kind = problems.classes.get(code, errors.UnexpectedReply)
        raise errors.make(kind, read_error(body)[1], code=code, status=reply.status)
    return body


def json_of(reply: Reply) -> Any:
    """The body as JSON; None when it is none."""
    try:
        return reply.json()
    except ValueError:
        return None


# Templates


def fields_of(request: GenerationRequest, told: Declaration) -> Flow[dict[str, Any]]:
    """What a request gives to templates: the fields that have a value."""
    fields: dict[str, Any] = {
        name: getattr(request, name)
        for name in FIELDS - {"images", "prompt", "input"}
        if getattr(request, name) is not None
    }
    fields["model"] = told.upstream_names.get(request.model, request.model)
    # The general input stands in for the prompt, and the other way round.
    texts = {"prompt": request.text, "input": request.speech}
    fields.update({name: text for name, text in texts.items() if text})
    for name in ("duration", "speed"):
        if name in fields:
            fields[name] = plain(fields[name])
    fields.update(sizes(request, placed_fields(told.submit.request)))
    images = []
    for image in request.images:
        images.append((yield from CONVERSIONS[told.submit.images](image)))
    if images:
        fields["images"] = images
        fields.update({f"images[{n}]": image for n, image in enumerate(images)})
    return fields


def sizes(request: GenerationRequest, placed: frozenset[str]) -> dict[str, Any]:
    """Size, width and height, each made from the other where it can be."""
    found: dict[str, Any] = {}
    if request.size:
        sides = read_size(request.size)
        if sides is not None:
            found = dict(zip(("width", "height"), sides, strict=True))
        elif "size" not in placed and placed & SIZES:
            raise errors.Rejected(f"size is {request.size!r}: WIDTHxHEIGHT is needed")
    elif request.width and request.height:
        found["size"] = f"{request.width}x{request.height}"
    return found


def names_in(text: str) -> Iterator[str]:
    """The fields that a template places; raises ValueError for a brace alone."""
    for token in TOKEN.finditer(text):
        if token[1] is not None:
            yield token[1]
        elif len(token[0]) == 1:
            raise ValueError(
                f"has a {token[0]} alone: fields are {{name}}, braces {{{{ and }}}}"
            )


def texts_in(template: Any) -> Iterator[str]:
    """Every text of a template, however deep."""
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from texts_in(value)
    elif isinstance(template, Sequence):
        for value in template:
            yield from texts_in(value)


def placed_fields(request: Request) -> frozenset[str]:
    """The fields that a call's templates place anywhere."""
    places = [request.path, request.query, request.headers, request.body]
    return frozenset(name for text in texts_in(places) for name in names_in(text))


class Absent:
    """Stands for a part of a template whose field was not given."""


ABSENT = Absent()


def filled(template: Any, fields: Mapping[str, Any]) -> Any:
    """The template with its fields in their places.

    A text that is one field becomes its value, whatever its type; other texts are
    formatted. What needs a field that is not given is left out, and so is an object
    or a list of which nothing is left.
    """
    if isinstance(template, str):
        return filled_text(template, fields)
    if isinstance(template, Mapping):
        pairs = {name: filled(value, fields) for name, value in template.items()}
        kept = {name: value for name, value in pairs.items() if value is not ABSENT}
        return kept if kept or not template else ABSENT
    if isinstance(template, Sequence):
        items = [filled(value, fields) for value in template]
        left = [value for value in items if value is not ABSENT]
        return left if left or not template else ABSENT
    return template


def filled_text(text: str, fields: Mapping[str, Any]) -> Any:
    if whole := WHOLE.fullmatch(text):
        return fields.get(whole[1], ABSENT)
    if any(name not in fields for name in names_in(text)):
        return ABSENT
    return formatted(text, fields, text_of)


def formatted(text: str, fields: Mapping[str, Any], spell: Callable[[Any], str]) -> str:
    def place(token: re.Match[str]) -> str:
        return token[0][0] if token[1] is None else spell(fields[token[1]])

    return TOKEN.sub(place, text)


def written(request: Request, fields: Mapping[str, Any]) -> Call:
    """The call with every field in its place; those of its path are quoted."""

    def texts(templates: Mapping[str, str]) -> dict[str, str]:
        pairs = {name: filled(text, fields) for name, text in templates.items()}
        return {n: text_of(value) for n, value in pairs.items() if value is not ABSENT}

    body = None
    if request.body is not None:
        body = filled(request.body, fields)
        body = {} if body is ABSENT else body
    # A model's name may be a path: it is the file's own text.
    spelled = {
        name: quote(text_of(fields[name]), safe="/" if name == "model" else "")
        for name in names_in(request.path)
    }
    return Call(
        request.method,
        formatted(request.path, spelled, str),
        params=texts(request.query),
        headers=texts(request.headers),
        json=body,
    )


def merged(
    body: Mapping[str, Any], extra: Mapping[str, Any], template: Any
) -> dict[str, Any]:
    """The body with a client's own fields in it, objects deeply.

    What the template makes from the model, the ids or the callback address is kept:
    a client must not change what is billed, or who hears of it.
    """
    result = dict(body)
    for name, value in extra.items():
        part = template.get(name) if isinstance(template, Mapping) else None
        old = result.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            result[name] = merged(old, value, part)
        elif not any(KEPT_FIELDS & set(names_in(text)) for text in texts_in(part)):
            result[name] = value
    return result


def plain(number: float) -> float | int:
    """5 for 5.0: many upstreams refuse a whole number with a point."""
    return int(number) if number == int(number) else number


def text_of(value: Any) -> str:
    """A JSON value as it stands in a text; TypeError for objects, lists and null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, float):
        return str(plain(value)) if math.isfinite(value) else str(value)
    raise TypeError("it is neither a text nor a number")


# Replies


def read_path(text: str) -> Path:
    """`data.outputs[*].url` as steps; raises ValueError."""
    steps: list[str | int | None] = []
    for part in text.split("."):
        match = STEP.fullmatch(part)
        if match is None:
            raise ValueError(f"is {text!r}; a path is written like data.outputs[*].url")
        steps.append(match[1])
        for index in INDEX.findall(match[2]):
            steps.append(None if index == "*" else int(index))
    return tuple(steps)


def get(value: Any, path: Path) -> Any:
    """What the path leads to; raises KeyError, IndexError or TypeError."""
    for step in path:
        fits = Mapping if isinstance(step, str) else list
        if not isinstance(value, fits):
            raise TypeError(f"{step!r} leads nowhere")
        value = value[step]  # type: ignore[index]
    return value


def find(value: Any, path: Path | None) -> Any:
    """What the path leads to, or None."""
    if path is None:
        return None
    try:
        return get(value, path)
    except (KeyError, IndexError, TypeError):
        return None


def word_at(value: Any, path: Path | None) -> str:
    """The text or number that the path leads to, as a text; else ""."""
    found = find(value, path)
    return text_of(found) if isinstance(found, str | int | float) else ""


def every(value: Any, path: Path) -> list[Any]:
    """All that the path leads to; None for an item of a list that lacks the rest."""
    if None not in path:
        return [get(value, path)]
    at = path.index(None)
    items, rest = get(value, path[:at]), path[at + 1 :]
    if not isinstance(items, list):
        raise TypeError("what should be a list is none")
    if None in rest:
        return [found for item in items for found in every(item, rest)]
    return [find(item, rest) for item in items]


def beside(value: Any, path: Path | None, count: int) -> list[Any]:
    """One value for each of `count` results: their own, or one for all of them.

    None where there is none: a result that is paid is not withheld for it.
    """
    if path is None or None not in path:
        return [find(value, path)] * count
    try:
        values = every(value, path)
    except (KeyError, IndexError, TypeError):
        values = []
    return values if len(values) == count else [None] * count


def read_id(body: Any, path: Path) -> str:
    """A job's id: a text, or a number as text."""
    value = get(body, path)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError("its id is neither a text nor a number")
    return str(value)


def read_results(
    body: Any, results: Results
) -> tuple[tuple[Artifact, ...], Failure | None]:
    """The outputs, and what is wrong when some of several are missing."""
    path = results.url or results.content or ()
    values = every(body, path)
    types = beside(body, results.content_type_at, len(values))
    expiries = beside(body, results.expires_at, len(values))
    artifacts = tuple(
        read_artifact(value, content_type, expiry, results)
        for value, content_type, expiry in zip(values, types, expiries, strict=True)
        if value is not None
    )
    if not artifacts:
        raise ValueError("a finished job has no results")
    missing = len(values) - len(artifacts)
    if not missing:
        return artifacts, None
    told = f"{missing} of {len(values)} outputs are missing"
    return artifacts, Failure(Reason.UPSTREAM_FAILED, told)


def read_artifact(
    value: Any, content_type: Any, expiry: Any, results: Results
) -> Artifact:
    if not isinstance(value, str) or not value:
        raise ValueError("a result is no text")
    told = content_type if isinstance(content_type, str) else None
    told = told or results.content_type
    inline = DATA_URL.match(value)
    if results.content is not None or inline:
        encoded = "".join((value[inline.end() :] if inline else value).split())
        content = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        if not content:
            raise ValueError("a result is empty")
        return Artifact(content=content, content_type=(inline and inline[1]) or told)
    if not value.startswith(("https://", "http://")) and not (
        results.protected and value.startswith("/")
    ):
        raise ValueError("a result is no link")
    return Artifact(
        url=value,
        content_type=told,
        protected=results.protected,
        expires_at=read_instant(expiry),
    )


def read_instant(value: Any) -> int | None:
    """Unix seconds of a number (also of milliseconds) or of a text as ISO 8601.

    None when it cannot be read: a result is not withheld for it.
    """
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            return None
        aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return int(aware.timestamp())
    seconds = read_seconds(value)
    if seconds is None:
        return None
    return int(seconds / 1000 if seconds > MILLISECONDS else seconds)


def read_percent(value: Any, unit: Unit) -> int | None:
    """Progress below 100; None when it cannot be read: it decides nothing."""
    text = value.strip().removesuffix("%") if isinstance(value, str) else value
    number = read_seconds(text)
    if number is None:
        return None
    return min(99, round(number * (100 if unit is Unit.FRACTION else 1)))


def read_seconds(value: Any) -> float | None:
    """A number that is not negative, also as text; else None: hints are not owed."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def read_hint(body: Any, reply: Reply, status: Status) -> float | None:
    """Seconds until the next look, as the upstream advises."""
    hint = read_seconds(find(body, status.look_after))
    if hint is None and status.look_after_header:
        hint = read_seconds(reply.headers.get(status.look_after_header))
    return hint


def read_failure(body: Any, failures: Failures) -> Failure:
    code = word_at(body, failures.code)
    message = find(body, failures.message)
    if not isinstance(message, str) or not message:
        message = code or "the job failed without a reason"
    reason = failures.reasons.get(code, Reason.UPSTREAM_FAILED)
    return Failure(reason, message[: errors.MESSAGE_LENGTH], code)


def read_signature(callback: Callback, form: Signature) -> Signed:
    """The signature of a callback; KeyError without the headers that it needs.

    Where no instant is signed, a callback can be played again: it only wakes a look.
    """
    headers = callback.headers
    timestamp, tolerance_s = "0", math.inf
    if form.timestamp_header:
        timestamp, tolerance_s = headers[form.timestamp_header], 300.0
    parts = {"body": callback.body, "timestamp": timestamp.encode()}
    if form.id_header:
        parts["id"] = headers[form.id_header].encode()
    words = headers[form.header].split()
    # A header may hold several, one per secret in rotation.
    signatures = [w[len(form.prefix) :] for w in words if w.startswith(form.prefix)]
    if not signatures:
        raise ValueError("it bears no signature")
    return Signed(
        scheme=HMAC,
        message=signed_bytes(form.signed, parts),
        signature=" ".join(signatures),
        timestamp=float(timestamp),
        tolerance_s=tolerance_s,
    )


def signed_bytes(template: str, parts: Mapping[str, bytes]) -> bytes:
    """The message that was signed; a body is bytes, so no text is formatted."""
    message, at = b"", 0
    for token in TOKEN.finditer(template):
        message += template[at : token.start()].encode()
        message += parts[token[1]] if token[1] else token[0][0].encode()
        at = token.end()
    return message + template[at:].encode()
