"""Tencent Cloud's request signature, TC3-HMAC-SHA256: content type, host and body.

The service's name stands in the scope, so one key signs differently for each service.
Source: cloud.tencent.com/document/product/213/30654 and the official SDK
`tencentcloud-sdk-python-common` 3.1.195, with which it was checked, November 2026.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from providers import errors
from providers.flow import Call

ALGORITHM = "TC3-HMAC-SHA256"
CONTENT_TYPE = "application/json"
SIGNED_HEADERS = "content-type;host"
USUAL_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, slots=True)
class SecretPair:
    """SecretId and SecretKey of an account, with the token of a temporary pair."""

    id: str
    key: str = field(repr=False)
    token: str = field(default="", repr=False)


def read_pair(text: str) -> SecretPair:
    """`<SecretId>:<SecretKey>` or with `|`; a temporary token may be the third part.

    Raises `KeyRefused`: no call can be signed with anything else.
    """
    parts = text.strip().replace("|", ":").split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise errors.KeyRefused(
            "the secret must be <SecretId>:<SecretKey>, with the token of a temporary "
            "pair as :<Token> behind it"
        )
    return SecretPair(*parts)


def signed(
    call: Call, pair: SecretPair, *, host: str, service: str, region: str, now: float
) -> Call:
    """The call with its body as bytes and the headers that prove who sends it.

    `host` is where a call with a relative URL goes. The body is written once, because
    another spelling of the same JSON would not fit the signature.
    """
    body = call.body or b""
    if call.json is not None:
        body = json.dumps(call.json).encode()
    timestamp = int(now)
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{service}/tc3_request"
    canonical = canonical_request(call, host, body)
    text = "\n".join((ALGORITHM, str(timestamp), scope, sha256(canonical.encode())))
    signature = hmac.new(
        signing_key(pair.key, date, service), text.encode(), hashlib.sha256
    ).hexdigest()
    headers = {
        **call.headers,
        "Content-Type": CONTENT_TYPE,
        "X-TC-Timestamp": str(timestamp),
        "X-TC-Region": region,
        "Authorization": (
            f"{ALGORITHM} Credential={pair.id}/{scope}, "
            f"SignedHeaders={SIGNED_HEADERS}, Signature={signature}"
        ),
    }
    if pair.token:
        headers["X-TC-Token"] = pair.token
    return replace(call, headers=headers, json=None, body=body)


def canonical_request(call: Call, host: str, body: bytes) -> str:
    """The text that stands for a POST without a query."""
    parts = urlsplit(call.url)
    return "\n".join(
        (
            call.method,
            parts.path or "/",
            "",
            f"content-type:{CONTENT_TYPE}",
            f"host:{plain_host(parts.scheme, parts.netloc) or host}",
            "",
            SIGNED_HEADERS,
            sha256(body),
        )
    )


def plain_host(scheme: str, netloc: str) -> str:
    """The host as it is sent, without a port that goes without saying."""
    host = netloc.rpartition("@")[2].lower()
    return host.removesuffix(USUAL_PORTS.get(scheme, ""))


def signing_key(key: str, date: str, service: str) -> bytes:
    """The secret, narrowed down to a day and a service."""
    result = f"TC3{key}".encode()
    for part in (date, service, "tc3_request"):
        result = hmac.digest(result, part.encode(), "sha256")
    return result


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
