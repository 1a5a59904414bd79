"""The laws that every adapter keeps, over all that the registry lists, and over one
that a file describes.

They are played with made-up answers and with the replies recorded for the provider:
`replies/<provider>/*.json`. A call that a submit makes before its paid one, other than
fetching an input, is answered by `replies/<provider>/before_paid.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app import provider_files
from providers import errors, registry
from providers.flow import Call, Flow, Reply, drive
from providers.registry import BY_NAME
from providers.types import (
    Credentials,
    GenerationRequest,
    Model,
    Phase,
    Provider,
    Remote,
    Snapshot,
)
from sandbox.server import DIALECTS
from tests.builders import a_request, an_image_url
from tests.fakes import REPLIES, answer, raw

EXAMPLE = Path(__file__).parents[2] / "deploy" / "providers" / "mothlight.yaml"
DECLARED = provider_files.read([EXAMPLE])
PROVIDERS = (*registry.PROVIDERS, *DECLARED.values())
MOST_CALLS = 40
SECRET = "law-key-0123456789:law-secret-0123456789"
NOBODYS_WORD = "REBALANCING"
PLACES_OF_KEYS = {
    "authorization",
    "proxy-authorization",
    "cookie",
    "api-key",
    "apikey",
    "key",
    "secret",
    "token",
    "access_token",
    "x-api-key",
    "x-key",
    "x-goog-api-key",
    "xi-api-key",
}
PICTURE = b"\x89PNG\r\n\x1a\n"
FILES = {"png": "image/png", "mp3": "audio/mpeg", "mp4": "video/mp4"}
CLIP = "https://cdn.example.com/clip.mp4"
SOUND = "https://cdn.example.com/sound.mp3"

NEEDED: dict[str, Any] = {
    "images": (an_image_url(),),
    "input": "a lighthouse",
    "audio_url": SOUND,
    "video_url": CLIP,
    "voice": "voice-1",
    "title": "Dawn",
    "tags": "calm, piano",
    "lyrics": "The sea is wide",
    "negative_prompt": "blur",
    "seed": 7,
    "aspect_ratio": "16:9",
}
# what may be missing where a model needs one of several things
ADDITIONS: tuple[dict[str, Any], ...] = (
    {},
    {"images": (an_image_url(),)},
    {"images": (an_image_url(), an_image_url("https://cdn.example.com/b.png"))},
    {"video_url": CLIP},
    {"audio_url": SOUND},
    {"images": (an_image_url(),), "audio_url": SOUND},
    {"images": (an_image_url(),), "video_url": CLIP},
)
UNREADABLE = {
    "empty": Reply(200, {"content-type": "application/json"}, b""),
    "page": raw(b"<html>Welcome to nginx!</html>", "text/html"),
    "cut": raw(b'{"output": {"task_id": "c4', "application/json"),
    "null": answer(None),
    "text": answer("ok"),
    "number": answer(7),
    "list": answer([]),
    "nothing": answer({}),
    "foreign": answer({"weather": {"state": "fine"}}),
    "deep": raw(b"[" * 100_000, "application/json"),
}
# an empty object is documented as an answer: the filters took every image
EMPTY_MEANS_FILTERED = "imagen-"
REFUSED = {
    f"{status} {name}": Reply(status, {"content-type": "application/json"}, body)
    for status in (400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503, 504)
    for name, body in {
        "nothing": b"{}",
        "page": b"<html></html>",
        "list": b"[1]",
        "null": b'{"error": null, "code": null, "message": null}',
    }.items()
}


@dataclass
class Upstream:
    """Answers every call of a flow with one reply, and keeps the calls."""

    provider: Provider
    reply: Reply
    calls: list[Call] = field(default_factory=list)

    def send(self, call: Call) -> Reply:
        self.calls.append(call)
        assert len(self.calls) <= MOST_CALLS, "the flow does not end"
        if call.public:
            ending = urlsplit(call.url).path.rpartition(".")[2]
            return raw(PICTURE, FILES.get(ending, "image/png"))
        if not call.paid and not self.paid:
            before = folder_of(self.provider) / "before_paid.json"
            if before.exists():
                return raw(before.read_bytes(), "application/json")
        return self.reply

    @property
    def paid(self) -> list[Call]:
        return [call for call in self.calls if call.paid]


def folder_of(provider: Provider) -> Path:
    """Where its replies are kept; a variant has those of its module."""
    own = REPLIES / provider.name
    if own.exists():
        return own
    submit = getattr(provider.submit, "func", provider.submit)  # of a partial
    return REPLIES / submit.__module__.rpartition(".")[2]


def recorded_replies(provider: Provider) -> Iterator[tuple[str, Reply]]:
    """The replies kept for a provider, each as a success."""
    for file in sorted(folder_of(provider).glob("*.json")):
        yield file.stem, raw(file.read_bytes(), "application/json")


def requests_for(model: Model) -> Iterator[GenerationRequest]:
    """Requests that the model's own limits allow, the smallest first."""
    needed = {name: NEEDED[name] for name in model.needs if name in NEEDED}
    if "size" in model.needs:
        needed["size"] = model.sizes[0] if model.sizes else "1024x1024"
    if "resolution" in model.needs:
        needed["resolution"] = model.resolutions[0] if model.resolutions else "720P"
    if "duration" in model.needs:
        needed["duration"] = (*model.durations, *(model.duration_range or (5.0,)))[0]
    for addition in ADDITIONS:
        if addition.keys() & model.refuses:
            continue
        yield a_request(
            **{
                "model": model.name,
                "media_type": model.media_type,
                "action": model.actions[0],
                **needed,
                **addition,
            }
        )


def minimal_request(provider: Provider, model: Model) -> GenerationRequest:
    """The smallest request for a model that its submit flow sends."""
    refusals = []
    for request in requests_for(model):
        upstream = Upstream(provider, answer({}, status=503))
        try:
            drive(provider.submit(request), upstream.send)
        except errors.ProviderError as error:
            if upstream.paid:
                return request
            refusals.append(str(error))
    raise AssertionError(f"no request reaches the paid call: {refusals}")


def outcome(flow: Flow[Any], upstream: Upstream) -> Any:
    """What a flow returns, or the provider error it raises; others are not caught."""
    try:
        return drive(flow, upstream.send)
    except errors.ProviderError as error:
        return error


def remotes(provider: Provider) -> list[Remote]:
    """Jobs as the provider's own submit answers name them, else a made-up one."""
    found: dict[str, Remote] = {}
    for model in provider.models:
        if model.sync:
            continue
        request = minimal_request(provider, model)
        for _, reply in recorded_replies(provider):
            snapshot = outcome(provider.submit(request), Upstream(provider, reply))
            if isinstance(snapshot, Snapshot) and snapshot.remote is not None:
                found.setdefault(str(sorted(snapshot.remote.links)), snapshot.remote)
        if found:
            break
    return list(found.values()) or [Remote("job-0123456789")]


def flows_of(provider: Provider, reply: Reply) -> Iterator[tuple[Flow[Any], Upstream]]:
    """Every flow of a provider beside submit, and who answers it."""
    for remote in remotes(provider):
        yield provider.poll(remote), Upstream(provider, reply)
        if provider.cancel:
            yield provider.cancel(remote), Upstream(provider, reply)
        if provider.poll_many:
            yield provider.poll_many([remote]), Upstream(provider, reply)
    if provider.find:
        request = minimal_request(provider, provider.models[0])
        yield provider.find(request), Upstream(provider, reply)
    if provider.test:
        yield provider.test(), Upstream(provider, reply)


def texts(
    value: Any, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every text in a JSON value with the way to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, (*path, index))
    elif isinstance(value, str):
        yield path, value
        # a few upstreams put JSON into a text
        if value.startswith(("{", "[")):
            try:
                inner_value = json.loads(value)
            except ValueError:
                return
            yield from ((path, text) for _, text in texts(inner_value))


def changed(value: Any, path: tuple[Any, ...], text: str) -> Any:
    """The JSON value with another text at the end of that way."""
    if not path:
        return text
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], text)
    return copy


each_provider = pytest.mark.parametrize(
    "provider", PROVIDERS, ids=[provider.name for provider in PROVIDERS]
)
asynchronous = [
    provider
    for provider in PROVIDERS
    if any(not model.sync for model in provider.models)
]
each_polled_provider = pytest.mark.parametrize(
    "provider", asynchronous, ids=[provider.name for provider in asynchronous]
)
MODELS = [(provider, model) for provider in PROVIDERS for model in provider.models]
each_model = pytest.mark.parametrize(
    ("provider", "model"),
    MODELS,
    ids=[f"{provider.name}:{model.name}" for provider, model in MODELS],
)


# The registry


def test_names_of_providers_are_unique_and_sorted() -> None:
    names = [provider.name for provider in registry.PROVIDERS]
    assert names == sorted(set(names))
    assert not DECLARED.keys() & set(names)
    assert list(BY_NAME) == names


@each_provider
def test_models_of_a_provider_are_unique_and_described(provider: Provider) -> None:
    names = [model.name for model in provider.models]
    assert len(names) == len(set(names))
    for model in provider.models:
        assert provider.describe(model.name) == model


@each_provider
def test_key_goes_over_https_unless_the_upstream_is_this_machine(
    provider: Provider,
) -> None:
    parts = urlsplit(provider.base_url)
    assert parts.hostname
    assert parts.scheme == "https" or parts.hostname in {"127.0.0.1", "localhost"}
    assert not provider.base_url.endswith("/")


@each_provider
def test_sandbox_speaks_for_every_provider(provider: Provider) -> None:
    assert provider.sandbox_path.startswith("/")
    assert not provider.sandbox_path.endswith("/")
    assert provider.sandbox_path.split("/")[1] in DIALECTS


# Submit


@each_model
def test_submit_has_exactly_one_paid_call_although_it_fails(
    provider: Provider, model: Model
) -> None:
    request = minimal_request(provider, model)
    upstream = Upstream(provider, answer({}, status=503))
    assert isinstance(outcome(provider.submit(request), upstream), errors.Unavailable)
    assert len(upstream.paid) == 1
    assert upstream.calls[-1].paid, "nothing follows a paid call that failed"


@each_model
def test_submit_has_exactly_one_paid_call_whatever_is_answered(
    provider: Provider, model: Model
) -> None:
    request = minimal_request(provider, model)
    replies = [*recorded_replies(provider), *UNREADABLE.items(), *REFUSED.items()]
    for name, reply in replies:
        upstream = Upstream(provider, reply)
        result = outcome(provider.submit(request), upstream)
        assert isinstance(result, Snapshot | errors.ProviderError), name
        assert len(upstream.paid) == 1, name


@each_model
def test_submit_makes_the_same_calls_each_time(
    provider: Provider, model: Model
) -> None:
    request = minimal_request(provider, model)
    runs = []
    for _ in range(2):
        upstream = Upstream(provider, answer({}, status=503))
        outcome(provider.submit(request), upstream)
        runs.append(upstream.calls)
    assert runs[0] == runs[1]


@each_provider
def test_unreadable_answer_to_a_submit_is_no_job(provider: Provider) -> None:
    for model in provider.models:
        request = minimal_request(provider, model)
        for name in ("empty", "cut", "null", "number", "list", "nothing", "foreign"):
            if name == "nothing" and model.name.startswith(EMPTY_MEANS_FILTERED):
                continue
            result = outcome(
                provider.submit(request), Upstream(provider, UNREADABLE[name])
            )
            assert isinstance(result, errors.UnexpectedReply), (model.name, name)


@each_provider
def test_refused_submit_is_never_a_finished_task(provider: Provider) -> None:
    for model in provider.models:
        request = minimal_request(provider, model)
        for name, reply in REFUSED.items():
            result = outcome(provider.submit(request), Upstream(provider, reply))
            assert isinstance(result, errors.ProviderError), (model.name, name)


@each_provider
def test_accepted_job_that_goes_on_has_an_id(provider: Provider) -> None:
    for model in provider.models:
        request = minimal_request(provider, model)
        for name, reply in recorded_replies(provider):
            result = outcome(provider.submit(request), Upstream(provider, reply))
            if isinstance(result, Snapshot) and result.phase in {
                Phase.PENDING,
                Phase.RUNNING,
            }:
                assert result.remote is not None, (model.name, name)
                assert result.remote.id, (model.name, name)


# Secrets


@each_provider
def test_secret_is_added_by_authorize_alone(provider: Provider) -> None:
    upstream = Upstream(provider, answer({}, status=503))
    for model in provider.models:
        outcome(provider.submit(minimal_request(provider, model)), upstream)
        upstream.calls, calls = [], upstream.calls
        for call in calls:
            assert "law-" not in repr(call)
            if call.public:
                continue
            authorized = provider.authorize(call, Credentials(SECRET, {}, 1.8e9))
            assert authorized != call, f"{call.url} goes without credentials"
            assert not PLACES_OF_KEYS & {name.lower() for name in call.headers}
            assert not PLACES_OF_KEYS & {name.lower() for name in call.params}


@each_provider
def test_credentials_do_not_show_in_a_log(provider: Provider) -> None:
    assert "law-secret" not in repr(Credentials(SECRET, {"workspace": "x"}, 0))
    assert "law-secret" not in repr(provider)


@each_provider
def test_no_flow_but_submit_pays(provider: Provider) -> None:
    for _, reply in recorded_replies(provider):
        for flow, upstream in flows_of(provider, reply):
            outcome(flow, upstream)
            assert not upstream.paid


# Flows and polls


@each_provider
def test_every_flow_ends_whatever_is_answered(provider: Provider) -> None:
    for name, reply in [
        *UNREADABLE.items(),
        *REFUSED.items(),
        *recorded_replies(provider),
    ]:
        for flow, upstream in flows_of(provider, reply):
            outcome(flow, upstream)
            assert len(upstream.calls) <= MOST_CALLS, name


@each_polled_provider
def test_unreadable_answer_to_a_poll_raises(provider: Provider) -> None:
    for remote in remotes(provider):
        for name, reply in UNREADABLE.items():
            result = outcome(provider.poll(remote), Upstream(provider, reply))
            assert isinstance(result, errors.ProviderError), name


@each_polled_provider
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_rate_limit_or_trouble_at_a_poll_says_nothing_of_the_task(
    provider: Provider, status: int
) -> None:
    waits = errors.RateLimited | errors.Unavailable
    for remote in remotes(provider):
        for reply in (
            answer({}, status=status, retry_after="3"),
            raw(b"<html></html>", "text/html", status),
        ):
            result = outcome(provider.poll(remote), Upstream(provider, reply))
            assert isinstance(result, waits), result


@each_polled_provider
def test_unknown_word_in_an_answer_never_fails_a_task(provider: Provider) -> None:
    """One of the words is the status; with a new one the answer is unexpected."""
    unexpected = 0
    for remote in remotes(provider):
        for name, reply in recorded_replies(provider):
            before = outcome(provider.poll(remote), Upstream(provider, reply))
            if not isinstance(before, Snapshot) or before.failure is not None:
                continue  # it failed already, at least in part
            if before.phase is Phase.CANCELLED:
                continue
            body = reply.json()
            for path in {path for path, _ in texts(body)}:
                told = answer(changed(body, path, NOBODYS_WORD))
                after = outcome(provider.poll(remote), Upstream(provider, told))
                unexpected += isinstance(after, errors.UnexpectedReply)
                if isinstance(after, Snapshot):
                    assert after.phase is not Phase.FAILED, (name, path)
    assert unexpected, "no recorded reply of a poll has a status word"


@each_provider
def test_link_of_a_result_is_kept_byte_for_byte(provider: Provider) -> None:
    for name, reply in recorded_replies(provider):
        try:
            told = {text for _, text in texts(reply.json())}
        except ValueError:
            continue
        flows = [provider.poll(remote) for remote in remotes(provider)]
        flows += [
            provider.submit(minimal_request(provider, model))
            for model in provider.models
            if model.sync
        ]
        for flow in flows:
            result = outcome(flow, Upstream(provider, reply))
            if not isinstance(result, Snapshot):
                continue
            for artifact in result.artifacts:
                if artifact.url and not artifact.protected:
                    assert artifact.url in told, (name, artifact.url)
