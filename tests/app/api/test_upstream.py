"""Upstreams' callbacks: believed only so far as to look."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.api.key_sets import KeySets, NoKeySet
from app.bells import Bell
from app.security import signatures
from app.store import channels
from app.store.models import submissions
from tests.app.api.gateways import KEYS_URL, WEBHOOK_SECRET, Gateway, make_gateway

PRIVATE = Ed25519PrivateKey.generate()
PUBLIC = base64.urlsafe_b64encode(PRIVATE.public_key().public_bytes_raw()).rstrip(b"=")
KEY_SET = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": PUBLIC.decode()}]}


def path_of(gateway: Gateway, submission_id: str, channel: str = "main") -> str:
    token = signatures.callback_token(gateway.rt.callback_key, submission_id)
    return f"/upstream/{channel}/{submission_id}.{token}"


def call(
    gateway: Gateway, submission_id: str, body: Any = None, **headers: str
) -> TestResponse:
    gateway.rung.clear()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return gateway.http.post(
        path_of(gateway, submission_id), data=content, headers=named
    )


def row_of(gateway: Gateway, submission_id: str) -> Any:
    with gateway.rt.reading() as tx:
        return tx.execute(
            select(submissions).where(submissions.c.id == submission_id)
        ).one()


def is_due(gateway: Gateway, submission_id: str) -> bool:
    due_at = row_of(gateway, submission_id).due_at
    return due_at is not None and due_at <= gateway.clock() * 1000


def test_a_callback_makes_its_submission_due(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    assert not is_due(gateway, submission_id)

    answer = call(gateway, submission_id, {"id": "job-1", "status": "done"})

    assert answer.status_code == 200
    assert is_due(gateway, submission_id)
    assert row_of(gateway, submission_id).state == "accepted"
    assert gateway.rung == [Bell.POLL]


def test_doubled_callbacks_do_no_harm(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")

    for _ in range(3):
        assert call(gateway, submission_id, {"id": "job-1"}).status_code == 200

    assert is_due(gateway, submission_id)


def test_a_callback_of_another_job_is_ignored(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")

    answer = call(gateway, submission_id, {"id": "job-2"})

    assert answer.status_code == 200
    assert not is_due(gateway, submission_id)
    assert gateway.rung == []


def test_a_lost_submission_that_calls_home_is_adopted(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("unknown")

    call(gateway, submission_id, {"id": "job-1", "url": "https://a.example/job-1"})

    row = row_of(gateway, submission_id)
    assert (row.state, row.remote_id) == ("accepted", "job-1")
    assert row.remote == {"status": "https://a.example/job-1"}
    assert row.deadline_at == row.due_at + 600_000  # the model's longest
    assert is_due(gateway, submission_id)


def test_a_submission_on_its_way_remembers_the_id(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("sent")

    call(gateway, submission_id, {"id": "job-1"})

    row = row_of(gateway, submission_id)
    assert (row.state, row.remote_id) == ("sent", "job-1")


def test_an_ended_submission_stays_as_it_is(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("ended", "job-1")

    assert call(gateway, submission_id, {"id": "job-1"}).status_code == 200
    assert row_of(gateway, submission_id).state == "ended"


def test_wrong_addresses_get_one_answer(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    right = path_of(gateway, submission_id)
    texts = set()
    for path in (
        right[:-1] + ("A" if right[-1] != "A" else "B"),
        right.rpartition(".")[0],
        right.rpartition(".")[0] + ".",
        right.replace("/main/", "/second/"),
        right.replace("/main/", "/none/"),
        path_of(gateway, "sub_" + "0" * 32),
        "/upstream/main/x",
        "/upstream/main/%ff%00.%ff",
    ):
        answer = gateway.http.post(path, data=b'{"id": "job-1"}')
        assert answer.status_code == 404, path
        texts.add(answer.text)

    assert len(texts) == 1
    assert not is_due(gateway, submission_id)


def test_a_removed_channel_still_hears_of_its_submissions(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    with gateway.rt.transaction() as tx:
        channels.remove(tx, gateway.channel())
    gateway.web.channel_memory._values.clear()

    assert call(gateway, submission_id, {"id": "job-1"}).status_code == 200
    assert is_due(gateway, submission_id)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"{}",
        b'{"id": 5}',
        b'{"id": null}',
        b'{"id": []}',
        b'{"id": ""}',
        b'{"id": "a\\u0000b"}',
        b'{"id": "\\ud800"}',
        b'{"id": "' + b"a" * 301 + b'"}',
        b'{"id": "a", "url": 5}',
        b'{"id": "a", "url": "' + b"a" * 20_000 + b'"}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("state", ["unknown", "sent"])
def test_a_hostile_body_is_refused(gateway: Gateway, body: bytes, state: str) -> None:
    submission_id = gateway.a_submission(state)

    answer = call(gateway, submission_id, body)

    assert (answer.status_code, answer.json["code"]) == (400, "invalid_request")
    assert row_of(gateway, submission_id).remote_id is None


def test_a_large_body_is_refused(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")

    answer = call(gateway, submission_id, b" " * (1024 * 1024 + 1))

    assert answer.status_code == 413


def test_a_challenge_is_repeated_and_wakes_nothing(gateway: Gateway) -> None:
    text = 'a "word"\u2028 </script>'
    for state, remote_id in (("sent", None), ("unknown", None), ("accepted", "job-1")):
        submission_id = gateway.a_submission(state, remote_id)

        answer = call(gateway, submission_id, {"challenge": text})

        assert (answer.status_code, answer.json) == (200, {"challenge": text})
        assert answer.content_type == "application/json"
        assert not is_due(gateway, submission_id)
        assert row_of(gateway, submission_id).called_at is None
        assert gateway.rung == []


def test_a_challenge_for_no_address_is_not_repeated(gateway: Gateway) -> None:
    for path in ("/upstream/main/sub_1.x", "/upstream/main"):
        answer = gateway.http.post(path, json={"challenge": "abc"})

        assert answer.status_code in (401, 404)
        assert "abc" not in answer.text


def test_the_word_that_an_upstream_wants_is_the_whole_answer(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    for job in ("job-1", "job-2"):
        answer = call(gateway, submission_id, {"id": job}, lumen_wants="ok")

        assert (answer.status_code, answer.data) == (200, b"ok")
        assert answer.mimetype == "text/plain"
    assert is_due(gateway, submission_id)


# Signatures


class Keys:
    """Stands for the network: key sets by URL, and what was asked for."""

    def __init__(self, **sets: Any) -> None:
        self.sets = sets
        self.asked: list[str] = []

    def __call__(self, url: str) -> Any:
        self.asked.append(url)
        if url not in self.sets:
            raise NoKeySet(url)
        return self.sets[url]


def use_keys(gateway: Gateway, keys: Keys) -> None:
    object.__setattr__(gateway.web, "key_sets", KeySets(keys))


def signed_call(
    gateway: Gateway, submission_id: str, *, age_s: float = 0, forge: bool = False
) -> TestResponse:
    body = json.dumps({"id": "job-1"}).encode()
    timestamp = str(gateway.clock() - age_s)
    signature = PRIVATE.sign(timestamp.encode() + b"." + body).hex()
    if forge:
        signature = PRIVATE.sign(b"something else").hex()
    return call(
        gateway,
        submission_id,
        body,
        lumen_signature=signature,
        lumen_timestamp=timestamp,
    )


def test_an_ed25519_signature_is_verified_by_the_providers_keys(
    gateway: Gateway,
) -> None:
    keys = Keys(**{KEYS_URL: KEY_SET})
    use_keys(gateway, keys)
    submission_id = gateway.a_submission("accepted", "job-1")

    assert signed_call(gateway, submission_id).status_code == 200
    assert signed_call(gateway, submission_id).status_code == 200
    assert is_due(gateway, submission_id)
    assert keys.asked == [KEYS_URL]


@pytest.mark.parametrize("how", [{"forge": True}, {"age_s": 301}, {"age_s": -301}])
def test_a_signature_that_is_wrong_or_old_is_refused(
    gateway: Gateway, how: dict[str, Any]
) -> None:
    use_keys(gateway, Keys(**{KEYS_URL: KEY_SET}))
    submission_id = gateway.a_submission("unknown")

    answer = signed_call(gateway, submission_id, **how)

    assert (answer.status_code, answer.json["code"]) == (401, "invalid_signature")
    assert row_of(gateway, submission_id).state == "unknown"
    assert gateway.rung == []


def test_keys_that_cannot_be_had_make_the_provider_come_back(gateway: Gateway) -> None:
    use_keys(gateway, Keys())
    submission_id = gateway.a_submission("unknown")

    answer = signed_call(gateway, submission_id)

    assert answer.status_code == 503
    assert row_of(gateway, submission_id).state == "unknown"


def test_a_channel_elsewhere_is_asked_for_its_own_keys(tmp_path: Any) -> None:
    gateway = make_gateway(tmp_path, base_url="http://127.0.0.1:9/lumen/")
    keys = Keys(**{"http://127.0.0.1:9/lumen/.well-known/jwks.json": KEY_SET})
    use_keys(gateway, keys)
    submission_id = gateway.a_submission("accepted", "job-1")

    assert signed_call(gateway, submission_id).status_code == 200
    assert KEYS_URL not in keys.asked


def hmac_call(gateway: Gateway, submission_id: str, *keys: bytes) -> TestResponse:
    body = json.dumps({"id": "job-1"}).encode()
    timestamp = str(gateway.clock())
    message = timestamp.encode() + b"." + body
    macs = [
        base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode()
        for key in keys
    ]
    return call(
        gateway,
        submission_id,
        body,
        lumen_signature=" ".join(macs),
        lumen_timestamp=timestamp,
        lumen_scheme="hmac-sha256",
    )


def test_an_hmac_is_verified_by_the_channels_webhook_secret(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))

    assert hmac_call(gateway, submission_id, key).status_code == 200
    assert hmac_call(gateway, submission_id, b"old", key).status_code == 200
    assert hmac_call(gateway, submission_id, b"other").status_code == 401
    assert hmac_call(gateway, submission_id, WEBHOOK_SECRET.encode()).status_code == 401
    assert hmac_call(gateway, submission_id).status_code == 401


def test_only_the_first_signatures_of_a_callback_are_tried(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))

    assert hmac_call(gateway, submission_id, *[b"no"] * 7, key).status_code == 200
    assert hmac_call(gateway, submission_id, *[b"no"] * 8, key).status_code == 401


@pytest.mark.parametrize("secret", [None, "", "whsec_", "whsec_***"])
def test_a_missing_or_empty_webhook_secret_refuses(
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
    gateway.web.channel_memory._values.clear()
    submission_id = gateway.a_submission("accepted", "job-1")

    assert hmac_call(gateway, submission_id, b"").status_code == 401


def test_a_plain_webhook_secret_is_used_as_it_is(gateway: Gateway) -> None:
    channel = gateway.channel()
    sealed = gateway.rt.sealer.seal("plain", f"channel:{channel.id}")
    with gateway.rt.transaction() as tx:
        channels.change(tx, channel.id, webhook_secret=sealed)
    gateway.web.channel_memory._values.clear()
    submission_id = gateway.a_submission("accepted", "job-1")

    assert hmac_call(gateway, submission_id, b"plain").status_code == 200


@pytest.mark.parametrize("timestamp", ["nan", "inf", "-inf", "1e400", "x", ""])
def test_an_odd_timestamp_is_refused(gateway: Gateway, timestamp: str) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")

    answer = call(
        gateway,
        submission_id,
        {"id": "job-1"},
        lumen_signature="00" * 64,
        lumen_timestamp=timestamp,
    )

    assert answer.status_code in (400, 401)
    assert not is_due(gateway, submission_id)


def test_an_unknown_scheme_is_refused(gateway: Gateway) -> None:
    submission_id = gateway.a_submission("accepted", "job-1")

    answer = call(
        gateway,
        submission_id,
        {"id": "job-1"},
        lumen_signature="00",
        lumen_timestamp=str(gateway.clock()),
        lumen_scheme="none",
    )

    assert answer.status_code == 401
