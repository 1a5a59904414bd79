"""What we sign: callbacks, result links, upstream callback URLs; and what we verify.

Every check gives False for whatever does not fit, hostile input included, and an empty
secret never verifies anything.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from secrets import token_bytes
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WEBHOOK_SECRET_PREFIX = "whsec_"
WEBHOOK_SECRET_LENGTH = 32

# More keys than any provider publishes: a key set is read from the network.
MAX_KEYS = 32

ED25519_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")
ED25519_KEY = re.compile(r"[0-9A-Za-z_-]{43}=?")
SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")


# Callbacks to clients: Standard Webhooks 1.0.0, https://www.standardwebhooks.com


def make_webhook_secret() -> str:
    """A new signing secret: `whsec_` and 32 random bytes in base64."""
    random = token_bytes(WEBHOOK_SECRET_LENGTH)
    return WEBHOOK_SECRET_PREFIX + base64.b64encode(random).decode()


def webhook_headers(
    event_id: str, now: datetime, body: bytes, secrets: Sequence[str]
) -> dict[str, str]:
    """The three headers of one attempt, signed by each secret (two while one rotates).

    `now` is the moment of this attempt. Raises ValueError when there is no secret, one
    is not `whsec_<base64>`, or `now` has no time zone.
    """
    if not secrets:
        raise ValueError("a callback needs at least one webhook secret")
    if now.tzinfo is None:
        raise ValueError("the time of a callback has no time zone")
    timestamp = str(int(now.timestamp()))
    signed = f"{event_id}.{timestamp}.".encode() + body
    signatures = [_sign_webhook(signed, each) for each in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _sign_webhook(signed: bytes, secret: str) -> str:
    mac = hmac.digest(_read_webhook_secret(secret), signed, hashlib.sha256)
    return "v1," + base64.b64encode(mac).decode()


def _read_webhook_secret(secret: str) -> bytes:
    encoded = secret.removeprefix(WEBHOOK_SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise ValueError("a webhook secret is whsec_ and base64") from error
    if not key:
        raise ValueError("a webhook secret is empty")
    return key


# Links to results, good without an API key until they expire


def sign_link(key: bytes, task_id: str, n: int, expires_at: int) -> str:
    """The signature of a link to the n-th result of a task, good until `expires_at`.

    `expires_at` is in Unix seconds. Raises ValueError when the key is empty.
    """
    return _token(key, "link", task_id, str(n), str(expires_at))


def check_link(
    key: bytes, task_id: str, n: int, expires_at: int, signature: str, now: datetime
) -> bool:
    """Whether `sign_link` gave this signature and it has not expired."""
    if not key:
        return False
    is_ours = _same(sign_link(key, task_id, n, expires_at), signature)
    return is_ours and now.timestamp() < expires_at


def sign_input_link(key: bytes, task_id: str, n: int, expires_at: int) -> str:
    """The same for the n-th uploaded input, which an upstream fetches."""
    return _token(key, "input link", task_id, str(n), str(expires_at))


def check_input_link(
    key: bytes, task_id: str, n: int, expires_at: int, signature: str, now: datetime
) -> bool:
    """Whether `sign_input_link` gave this signature and it has not expired."""
    if not key:
        return False
    is_ours = _same(sign_input_link(key, task_id, n, expires_at), signature)
    return is_ours and now.timestamp() < expires_at


# Upstream callbacks: the token in the URL that a provider calls


def callback_token(key: bytes, submission_id: str) -> str:
    """The unguessable part of a submission's callback URL, the same every time.

    Raises ValueError when the key is empty.
    """
    return _token(key, "upstream callback", submission_id)


def check_callback_token(key: bytes, submission_id: str, token: str) -> bool:
    """Whether `callback_token` gave this token for this submission."""
    return bool(key) and _same(callback_token(key, submission_id), token)


def _token(key: bytes, *parts: str) -> str:
    """43 URL-safe characters over the parts.

    Each part is preceded by its length, so that no two lists of parts sign alike.
    """
    if not key:
        raise ValueError("the signing key is empty")
    # task ids come from the path of a stranger's request, lone surrogates included
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    message = b"".join(b"%d:%b," % (len(part), part) for part in encoded)
    mac = hmac.digest(key, message, hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _same(expected: str, given: str) -> bool:
    # compare_digest refuses text that is not ASCII, and a stranger chose this text
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


# Signatures of provider callbacks


def verify_ed25519(message: bytes, signature_hex: str, jwks: Mapping[str, Any]) -> bool:
    """Whether one Ed25519 key of the set signed the message.

    `jwks` is the provider's JSON Web Key Set, `{"keys": [{"kty": "OKP", "crv":
    "Ed25519", "x": "<base64url>"}]}` (RFC 8037); keys of other kinds and malformed ones
    are passed over.
    """
    if not isinstance(signature_hex, str):
        return False
    if ED25519_SIGNATURE.fullmatch(signature_hex) is None:
        return False
    signature = bytes.fromhex(signature_hex)
    return any(_is_signed_by(key, signature, message) for key in _read_keys(jwks))


def _read_keys(jwks: object) -> Iterator[Ed25519PublicKey]:
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list):
        return
    for key in keys[:MAX_KEYS]:
        if not isinstance(key, Mapping):
            continue
        if (key.get("kty"), key.get("crv")) != ("OKP", "Ed25519"):
            continue
        encoded = key.get("x")
        if isinstance(encoded, str) and ED25519_KEY.fullmatch(encoded):
            public = base64.urlsafe_b64decode(encoded.rstrip("=") + "=")
            yield Ed25519PublicKey.from_public_bytes(public)


def _is_signed_by(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def verify_hmac_sha256(
    message: bytes, signature: str, secret: str | bytes | None
) -> bool:
    """Whether the secret signed the message; the signature is hex or base64.

    The two are told apart by their length (64 and 44 characters). A scheme's own
    prefix, such as `sha256=`, is the caller's to take off.
    """
    key = secret.encode() if isinstance(secret, str) else secret
    if not key or not isinstance(signature, str):
        return False
    given = _read_mac(signature)
    if given is None:
        return False
    return hmac.compare_digest(hmac.digest(key, message, hashlib.sha256), given)


def _read_mac(signature: str) -> bytes | None:
    if SHA256_HEX.fullmatch(signature):
        return bytes.fromhex(signature)
    try:
        return base64.b64decode(signature, validate=True)
    except ValueError:  # not base64, or not ASCII
        return None
