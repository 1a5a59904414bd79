import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.security import signatures

NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
BODY = json.dumps({"type": "task.succeeded", "data": {"prompt": "Füße 猫"}}).encode()
KEY = b"a derived key of thirty-two bytes"
TASK = "task_0123456789abcdef"
EXPIRES_AT = int(NOW.timestamp()) + 3600

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


def headers_of(*secrets, body=BODY, now=None):
    # the library compares with the clock of the machine
    now = now or datetime.now(UTC)
    return signatures.webhook_headers("evt_1", now, body, secrets)


def a_key_set(*private_keys, **changes):
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "kid": f"key-{number}",
                "x": base64.urlsafe_b64encode(key.public_key().public_bytes_raw())
                .rstrip(b"=")
                .decode(),
                **changes,
            }
            for number, key in enumerate(private_keys)
        ]
    }


# Standard Webhooks


def test_webhook_secret_is_whsec_and_32_bytes():
    secret = signatures.make_webhook_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret[6:], validate=True)) == 32


def test_two_webhook_secrets_differ():
    assert signatures.make_webhook_secret() != signatures.make_webhook_secret()


def test_consumer_with_the_standard_library_verifies_a_callback():
    secret = signatures.make_webhook_secret()
    assert Webhook(secret).verify(BODY, headers_of(secret)) == json.loads(BODY)


@pytest.mark.parametrize("position", [0, 1])
def test_consumer_verifies_with_the_old_and_with_the_new_secret(position):
    secrets = [signatures.make_webhook_secret(), signatures.make_webhook_secret()]
    headers = headers_of(*secrets)
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert Webhook(secrets[position]).verify(BODY, headers)


def test_consumer_refuses_another_secret():
    headers = headers_of(signatures.make_webhook_secret())
    with pytest.raises(WebhookVerificationError):
        Webhook(signatures.make_webhook_secret()).verify(BODY, headers)


def test_consumer_refuses_a_changed_body():
    secret = signatures.make_webhook_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers_of(secret))


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp"])
def test_consumer_refuses_a_changed_header(header):
    secret = signatures.make_webhook_secret()
    headers = headers_of(secret)
    headers[header] = headers[header][:-1] + (
        "0" if headers[header][-1] != "0" else "1"
    )
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers)


def test_consumer_refuses_a_replay_after_five_minutes():
    secret = signatures.make_webhook_secret()
    late = datetime.now(UTC) - timedelta(minutes=6)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers_of(secret, now=late))


def test_timestamp_is_unix_seconds_of_the_attempt():
    secret = signatures.make_webhook_secret()
    assert headers_of(secret, now=NOW)["webhook-timestamp"] == "1777897800"


def test_callback_without_a_secret_is_not_signed():
    with pytest.raises(ValueError, match="at least one"):
        headers_of()


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_not base64!", "whsec_AAAA!", "whsec_ü"]
)
def test_unusable_webhook_secret_is_refused(secret):
    with pytest.raises(ValueError, match="webhook secret"):
        headers_of(secret)


def test_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        headers_of(signatures.make_webhook_secret(), now=datetime(2026, 5, 4))


# Links


def test_signed_link_is_good_until_it_expires():
    signature = signatures.sign_link(KEY, TASK, 0, EXPIRES_AT)
    last = datetime.fromtimestamp(EXPIRES_AT - 1, UTC)
    assert signatures.check_link(KEY, TASK, 0, EXPIRES_AT, signature, last)


def test_signed_link_is_dead_at_its_expiry():
    signature = signatures.sign_link(KEY, TASK, 0, EXPIRES_AT)
    then = datetime.fromtimestamp(EXPIRES_AT, UTC)
    assert not signatures.check_link(KEY, TASK, 0, EXPIRES_AT, signature, then)


@pytest.mark.parametrize(
    ("key", "task_id", "n", "expires_at"),
    [
        (b"another key", TASK, 0, EXPIRES_AT),
        (KEY, TASK + "0", 0, EXPIRES_AT),
        (KEY, TASK, 1, EXPIRES_AT),
        (KEY, TASK, 0, EXPIRES_AT + 1),
        (b"", TASK, 0, EXPIRES_AT),
    ],
)
def test_signature_of_another_link_is_refused(key, task_id, n, expires_at):
    signature = signatures.sign_link(KEY, TASK, 0, EXPIRES_AT)
    assert not signatures.check_link(key, task_id, n, expires_at, signature, NOW)


def test_parts_of_a_link_cannot_be_shifted_into_each_other():
    assert signatures.sign_link(KEY, "a", 11, 1) != signatures.sign_link(
        KEY, "a1", 1, 1
    )
    assert signatures.sign_link(KEY, "a", 1, 11) != signatures.sign_link(
        KEY, "a", 11, 1
    )


@given(st.text())
def test_invented_link_signature_is_refused(signature):
    assert not signatures.check_link(KEY, TASK, 0, EXPIRES_AT, signature, NOW)


@pytest.mark.parametrize("signature", ["", "\ud800", "é" * 43])
def test_link_signature_in_odd_characters_is_refused(signature):
    assert not signatures.check_link(KEY, TASK, 0, EXPIRES_AT, signature, NOW)


def test_task_id_in_broken_unicode_is_refused():
    signature = signatures.sign_link(KEY, TASK, 0, EXPIRES_AT)
    assert not signatures.check_link(KEY, "\ud800", 0, EXPIRES_AT, signature, NOW)


def test_empty_key_signs_no_link():
    with pytest.raises(ValueError, match="empty"):
        signatures.sign_link(b"", TASK, 0, EXPIRES_AT)


# Upstream callback tokens


def test_callback_token_is_the_same_every_time():
    first = signatures.callback_token(KEY, "sub_1")
    assert signatures.check_callback_token(KEY, "sub_1", first)
    assert first == signatures.callback_token(KEY, "sub_1")


def test_callback_token_fits_into_a_path():
    token = signatures.callback_token(KEY, "sub_1")
    assert len(token) == 43
    assert set(token) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


@pytest.mark.parametrize(
    ("key", "submission_id"), [(KEY, "sub_2"), (b"another", "sub_1"), (b"", "sub_1")]
)
def test_callback_token_of_another_submission_is_refused(key, submission_id):
    token = signatures.callback_token(KEY, "sub_1")
    assert not signatures.check_callback_token(key, submission_id, token)


@given(st.text())
def test_invented_callback_token_is_refused(token):
    assert not signatures.check_callback_token(KEY, "sub_1", token)


def test_link_signature_is_no_callback_token():
    # one key serving both uses must not let one stand for the other
    signature = signatures.sign_link(KEY, TASK, 0, EXPIRES_AT)
    assert signature != signatures.callback_token(KEY, TASK)


def test_empty_key_gives_no_callback_token():
    with pytest.raises(ValueError, match="empty"):
        signatures.callback_token(b"", "sub_1")


# Ed25519 of providers


def test_callback_signed_by_a_key_of_the_set_is_genuine():
    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"message").hex()
    assert signatures.verify_ed25519(b"message", signature, a_key_set(key))


def test_upper_case_signature_is_genuine():
    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"message").hex().upper()
    assert signatures.verify_ed25519(b"message", signature, a_key_set(key))


def test_second_key_of_the_set_verifies_during_rotation():
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signature = new.sign(b"message").hex()
    assert signatures.verify_ed25519(b"message", signature, a_key_set(old, new))


def test_padded_key_verifies():
    key = Ed25519PrivateKey.generate()
    keys = a_key_set(key)
    keys["keys"][0]["x"] += "="
    assert signatures.verify_ed25519(b"message", key.sign(b"message").hex(), keys)


def test_key_of_rfc_8037_verifies_its_signature():
    # RFC 8037, appendices A.2 and A.4
    keys = {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            }
        ]
    }
    message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    signature = base64.urlsafe_b64decode(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt"
        "9g7sVvpAr_MuM0KAg=="
    )
    assert signatures.verify_ed25519(message, signature.hex(), keys)


def test_other_and_malformed_keys_are_passed_over():
    key = Ed25519PrivateKey.generate()
    good = a_key_set(key)["keys"][0]
    keys = {
        "keys": [
            None,
            "text",
            {},
            {**good, "x": None},
            {**good, "x": "short"},
            {**good, "x": "!" * 43},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {**good, "crv": ["Ed25519"]},
            good,
        ]
    }
    assert signatures.verify_ed25519(b"message", key.sign(b"message").hex(), keys)


def test_changed_message_is_not_genuine():
    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"message").hex()
    assert not signatures.verify_ed25519(b"massage", signature, a_key_set(key))


def test_key_outside_the_set_is_not_genuine():
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signature = key.sign(b"message").hex()
    assert not signatures.verify_ed25519(b"message", signature, a_key_set(other))


@pytest.mark.parametrize(
    "changes", [{"kty": "EC"}, {"crv": "X25519"}, {"crv": "Ed448"}]
)
def test_key_of_another_kind_does_not_verify(changes):
    key = Ed25519PrivateKey.generate()
    keys = a_key_set(key, **changes)
    assert not signatures.verify_ed25519(b"message", key.sign(b"message").hex(), keys)


@pytest.mark.parametrize("spoil", ["{} ", " {}", "0x{}", "{}00", ""])
def test_signature_in_another_shape_is_not_genuine(spoil):
    key = Ed25519PrivateKey.generate()
    signature = spoil.format(key.sign(b"message").hex())
    assert not signatures.verify_ed25519(b"message", signature, a_key_set(key))


@pytest.mark.parametrize(
    "jwks", [{}, {"keys": []}, {"keys": {}}, {"keys": None}, [], None]
)
def test_set_without_keys_verifies_nothing(jwks):
    key = Ed25519PrivateKey.generate()
    assert not signatures.verify_ed25519(b"message", key.sign(b"message").hex(), jwks)


@given(st.binary(), st.text() | json_values, json_values)
def test_hostile_ed25519_input_never_raises(message, signature, jwks):
    assert not signatures.verify_ed25519(message, signature, jwks)


@given(
    st.binary(min_size=64, max_size=64),
    st.lists(
        st.fixed_dictionaries(
            {"kty": st.just("OKP"), "crv": st.just("Ed25519")},
            optional={
                "x": st.binary(min_size=32, max_size=32).map(
                    lambda each: base64.urlsafe_b64encode(each).decode().rstrip("=")
                )
                | json_values
            },
        )
    ),
)
def test_random_points_and_signatures_never_raise(signature, keys):
    assert not signatures.verify_ed25519(b"message", signature.hex(), {"keys": keys})


def test_endless_key_set_is_read_to_a_bound():
    key = Ed25519PrivateKey.generate()
    others = a_key_set(Ed25519PrivateKey.generate())["keys"] * signatures.MAX_KEYS
    keys = {"keys": others + a_key_set(key)["keys"]}
    assert not signatures.verify_ed25519(b"message", key.sign(b"message").hex(), keys)


# HMAC of providers


@pytest.mark.parametrize("secret", ["a secret", b"a secret"])
@pytest.mark.parametrize(
    "written", [bytes.hex, lambda mac: base64.b64encode(mac).decode()]
)
def test_hmac_is_read_as_hex_and_as_base64(secret, written):
    mac = hmac.digest(b"a secret", b"message", hashlib.sha256)
    assert signatures.verify_hmac_sha256(b"message", written(mac), secret)


def test_hmac_of_a_changed_message_is_not_genuine():
    mac = hmac.digest(b"a secret", b"message", hashlib.sha256)
    assert not signatures.verify_hmac_sha256(b"massage", mac.hex(), "a secret")


@pytest.mark.parametrize("secret", ["", b"", None])
def test_empty_or_missing_secret_verifies_nothing(secret):
    mac = hmac.digest(b"", b"message", hashlib.sha256)
    assert not signatures.verify_hmac_sha256(b"message", mac.hex(), secret)


@pytest.mark.parametrize("spoil", ["!{}", "{}!", " {}", "sha256={}", "{}{}"])
def test_hmac_with_something_around_it_is_not_genuine(spoil):
    mac = base64.b64encode(
        hmac.digest(b"a secret", b"message", hashlib.sha256)
    ).decode()
    assert not signatures.verify_hmac_sha256(
        b"message", spoil.format(mac, mac), "a secret"
    )


@given(st.binary(), st.text() | json_values)
def test_hostile_hmac_signature_never_raises(message, signature):
    assert not signatures.verify_hmac_sha256(message, signature, "a secret")
