"""Callbacks for a whole account: only the channel's own secret opens anything."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from app.api import upstream
from app.api.key_sets import KeySets
from app.bells import Bell
from app.store import channels
from app.store.models import submissions
from providers import elevenlabs, gemini, openai, pixverse
from providers.registry import PROVIDERS
from providers.types import Callback, Provider
from tests.app.api.gateways import WEBHOOK_SECRET, Gateway
from tests.app.api.test_upstream import is_due, row_of

KEY = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))


def post(
    gateway: Gateway,
    body: Any,
    headers: dict[str, str] | None = None,
    channel: str = "main",
) -> TestResponse:
    gateway.rung.clear()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gateway.http.post(f"/upstream/{channel}", data=content, headers=headers)


def signature(
    gateway: Gateway, body: bytes, *, key: bytes = KEY, age_s: float = 0
) -> dict[str, str]:
    timestamp = str(gateway.clock() - age_s)
    mac = hmac.digest(key, timestamp.encode() + b"." + body, hashlib.sha256)
    return {
        "lumen-signature": base64.b64encode(mac).decode(),
        "lumen-timestamp": timestamp,
        "lumen-scheme": "hmac-sha256",
    }


def told(gateway: Gateway, job: str, channel: str = "main", **how: Any) -> TestResponse:
    """A callback about a job, signed with the channel's secret unless told else."""
    body = json.dumps({"id": job}).encode()
    return post(gateway, body, signature(gateway, body, **how), channel)


def forget_channels(gateway: Gateway) -> None:
    gateway.web.channel_memory._values.clear()


def test_a_signed_callback_wakes_the_job_that_it_names(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    other_id = gateway.a_submission("accepted", "job-2")

    answer = told(gateway, "job-1")

    assert answer.status_code == 200
    assert answer.json["data"] == {"received": True}
    assert is_due(gateway, submission_id)
    assert row_of(gateway, submission_id).state == "accepted"
    assert not is_due(gateway, other_id)
    assert gateway.rung == [Bell.POLL]


def test_a_channel_is_named_by_its_id_too(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")

    assert told(gateway, "job-1", gateway.channel().id).status_code == 200
    assert is_due(gateway, submission_id)


def test_doubled_callbacks_of_an_account_do_no_harm(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")

    answers = {told(gateway, "job-1").text for _ in range(3)}

    assert len(answers) == 1
    row = row_of(gateway, submission_id)
    assert (row.state, row.fence) == ("accepted", 0)
    assert is_due(gateway, submission_id)


def test_the_answer_tells_nobody_which_jobs_are_known(gateway: Gateway) -> None:
    gateway.a_submission("accepted", "job-1")
    gateway.a_submission("ended", "job-2")
    known = told(gateway, "job-1")

    for job in ("job-2", "job-3"):  # late, and unknown
        answer = told(gateway, job)
        assert (answer.status_code, answer.data) == (200, known.data)
        assert gateway.rung == []


def test_a_late_callback_leaves_an_ended_job_as_it_is(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("ended", "job-1")
    before = row_of(gateway, submission_id)

    told(gateway, "job-1")

    assert row_of(gateway, submission_id) == before


def test_a_job_of_another_channel_is_not_woken(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    with gateway.rt.transaction() as tx:
        tx.execute(update(submissions).values(channel_id=gateway.channel("second").id))

    assert told(gateway, "job-1").status_code == 200
    assert not is_due(gateway, submission_id)
    assert gateway.rung == []


@pytest.mark.parametrize("state", ["sent", "unknown"])
def test_no_lost_submission_is_adopted(gateway: Gateway, state: str) -> None:
    submission_id = gateway.a_submission(state)

    assert told(gateway, "job-1").status_code == 200
    assert (row_of(gateway, submission_id).state, gateway.rung) == (state, [])
    assert row_of(gateway, submission_id).remote_id is None


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"key": b"another"}, id="forged"),
        pytest.param({"key": WEBHOOK_SECRET.encode()}, id="the secret's own text"),
        pytest.param({"age_s": 301}, id="replayed"),
        pytest.param({"age_s": -301}, id="of tomorrow"),
        pytest.param({"age_s": float("nan")}, id="of no time"),
        pytest.param({"channel": "second"}, id="a channel without callbacks"),
        pytest.param({"channel": "none"}, id="no channel"),
    ],
)
def test_a_signature_that_does_not_hold_is_refused(
    gateway: Gateway, how: dict[str, Any]
) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")

    for job in ("job-1", "job-2"):
        answer = told(gateway, job, **how)
        assert (answer.status_code, answer.json["code"]) == (401, "invalid_signature")
    assert not is_due(gateway, submission_id)
    assert gateway.rung == []


def test_a_signature_of_another_body_is_refused(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    headers = signature(gateway, b'{"id": "job-2"}')

    assert post(gateway, b'{"id": "job-1"}', headers).status_code == 401
    assert not is_due(gateway, submission_id)


@pytest.mark.parametrize("secret", [None, "", "whsec_", "whsec_***"])
def test_without_a_webhook_secret_nothing_is_taken(
    gateway: Gateway, secret: str | None
) -> None:
    channel = gateway.channel()
    sealed = (
        None
        if secret is None
        else gateway.rt.sealer.seal(secret, f"channel:{channel.id}")
    )
    with gateway.rt.transaction() as tx:
        channels.change(tx, channel.id, webhook_secret=sealed)
    forget_channels(gateway)
    submission_id = gateway.a_submission("accepted", "job-1")

    for key in (KEY, b"", b"whsec_", (secret or "").encode()):
        assert told(gateway, "job-1", key=key).status_code == 401
    assert not is_due(gateway, submission_id)


def test_a_removed_channel_is_still_heard_at_its_id(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    channel = gateway.channel()
    with gateway.rt.transaction() as tx:
        channels.remove(tx, channel)
    forget_channels(gateway)

    assert told(gateway, "job-1").status_code == 401
    assert told(gateway, "job-1", channel.id).status_code == 200
    assert is_due(gateway, submission_id)


def test_keys_of_the_provider_are_not_asked_for(gateway: Gateway) -> None:
    """They sign for all of its customers, and a stranger would make us fetch them."""

    def fetch(url: str) -> Any:
        raise AssertionError(url)

    object.__setattr__(gateway.web, "key_sets", KeySets(fetch))
    headers = {
        "lumen-signature": "00" * 64,
        "lumen-timestamp": str(gateway.clock()),
    }

    for scheme in ("ed25519", "none", ""):
        headers["lumen-scheme"] = scheme
        assert post(gateway, {"id": "job-1"}, headers).status_code == 401


UNREADABLE = (
    b"",
    b"hello",
    b"null",
    b"{}",
    b'{"id": 5}',
    b'{"id": []}',
    b'{"id": "a\\u0000b"}',
    b'{"id": "\\ud800"}',
    b'{"id": "' + b"a" * 301 + b'"}',
    b'{"challenge": "abc"}',
    b"[" * 100_000,
    b"\xff\xfe",
)


def test_what_cannot_be_read_gets_the_answer_of_a_forged_one(gateway: Gateway) -> None:
    forged = told(gateway, "job-1", key=b"another")
    for body in UNREADABLE:
        for headers in (None, signature(gateway, body)):
            answer = post(gateway, body, headers)
            assert (answer.status_code, answer.data) == (401, forged.data), body[:20]


def test_a_large_body_is_refused_whoever_is_meant(gateway: Gateway) -> None:
    body = b" " * (upstream.BODY_BYTES + 1)

    for channel in ("main", "none"):
        assert post(gateway, body, channel=channel).status_code == 413


def test_a_thousand_signatures_cost_no_thousand_digests(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def verify(message: bytes, given: str, key: bytes) -> bool:
        tried.append(given)
        return False

    monkeypatch.setattr(upstream.signatures, "verify_hmac_sha256", verify)
    headers = signature(gateway, b'{"id": "job-1"}')
    headers["lumen-signature"] = "AAAA " * 5000

    assert post(gateway, b'{"id": "job-1"}', headers).status_code == 401
    assert len(tried) == upstream.MAX_SIGNATURES


def test_a_word_that_the_upstream_wants_is_said_for_every_job(gateway: Gateway) -> None:
    gateway.a_submission("accepted", "job-1")
    for job in ("job-1", "job-2"):
        body = json.dumps({"id": job}).encode()
        headers = {**signature(gateway, body), "lumen-wants": "ok"}
        answer = post(gateway, body, headers)
        assert (answer.data, answer.mimetype) == (b"ok", "text/plain")


# The providers whose consoles take one address


def standard(key: bytes, body: bytes, now: int) -> dict[str, str]:
    mac = hmac.digest(key, f"msg_1.{now}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,b2xk v1,{base64.b64encode(mac).decode()}",
    }


def pixverse_headers(key: bytes, body: bytes, now: int) -> dict[str, str]:
    text = f"{now}\n{'n' * 32}\n{pixverse.signed_fields(json.loads(body))}"
    return {
        "Webhook-Timestamp": str(now),
        "Webhook-Nonce": "n" * 32,
        "Webhook-Signature": base64.b64encode(
            hmac.digest(key, text.encode(), hashlib.sha256)
        ).decode(),
    }


def elevenlabs_headers(key: bytes, body: bytes, now: int) -> dict[str, str]:
    mac = hmac.digest(key, f"{now}.".encode() + body, hashlib.sha256)
    return {"elevenlabs-signature": f"t={now},v0={mac.hex()}"}


CONSOLES: list[tuple[Provider, Any, dict[str, Any], str, bytes]] = [
    (
        openai.PROVIDER,
        standard,
        {"type": "video.completed", "data": {"id": "video_1"}},
        "video_1",
        b"",
    ),
    (
        gemini.PROVIDER,
        standard,
        {"type": "video.generated", "data": {"id": "models/veo/operations/k7"}},
        "models/veo/operations/k7",
        b"",
    ),
    (
        pixverse.PROVIDER,
        pixverse_headers,
        {"id": "352901123456789", "status": 1, "url": "https://a.example/o.mp4"},
        "352901123456789",
        b"ok",
    ),
    (
        elevenlabs.PROVIDER,
        elevenlabs_headers,
        {"type": "flow", "data": {"id": "gen_1", "status": "completed"}},
        "gen_1",
        b"",
    ),
]


@pytest.mark.parametrize(
    ("provider", "sign", "body", "job", "wanted"),
    CONSOLES,
    ids=[console[0].name for console in CONSOLES],
)
def test_the_callback_of_a_console_wakes_its_job(
    gateway: Gateway,
    provider: Provider,
    sign: Any,
    body: dict[str, Any],
    job: str,
    wanted: bytes,
) -> None:
    submission_id = gateway.a_submission("accepted", job)
    object.__setattr__(gateway.web, "providers", {"lumen": provider})
    content, now = json.dumps(body).encode(), int(gateway.clock())

    assert post(gateway, content, sign(b"another", content, now)).status_code == 401
    assert post(gateway, content, sign(KEY, content, now - 3600)).status_code == 401
    assert not is_due(gateway, submission_id)

    answer = post(gateway, content, sign(KEY, content, now))
    assert answer.status_code == 200
    assert is_due(gateway, submission_id)
    if wanted:
        assert answer.data == wanted


def test_providers_that_sign_nothing_are_never_taken(gateway: Gateway) -> None:
    for provider in PROVIDERS:
        if provider.receive is None:
            continue
        for body in ({"id": "a"}, {"task_id": "a"}, {"data": {"task_id": "a"}}):
            object.__setattr__(gateway.web, "providers", {"lumen": provider})
            assert post(gateway, body).status_code == 401, provider.name


def test_a_model_is_not_needed_to_read_a_console_callback() -> None:
    body = b'{"type": "video.failed", "data": {"id": "video_1"}}'
    headers = standard(KEY, body, 1796020300)

    assert openai.receive(Callback(headers, body), "").ids == ("video_1",)
