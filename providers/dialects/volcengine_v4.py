"""Volcengine's request signature, version 4: HMAC-SHA256 over the whole request.

Close to Amazon's scheme of that name, but the secret has no prefix and the scope ends
in "request". Source: volcengine.com/docs/6369/67268, read November 2026; checked with
the official SDK `volcengine` 1.0.229.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

from providers import errors
from providers.flow import Call

ALGORITHM = "HMAC-SHA256"
DEFAULT_PORTS = (":80", ":443")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of an account, with the token of a temporary one."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def read_key(text: str) -> AccessKey:
    """`<id>:<secret>` or `<id>|<secret>`; a session token may follow as a third part.

    Raises `KeyRefused`: no call can be signed with anything else.
    """
    parts = text.strip().replace("|", ":").split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise errors.KeyRefused(
            "the secret must be <access key id>:<secret access key>, with the token of "
            "a temporary key as :<session token> behind it"
        )
    return AccessKey(*parts)


def signed(
    call: Call, key: AccessKey, *, host: str, region: str, service: str, now: float
) -> Call:
    """The call with its body as bytes and the headers that prove who sends it.

    `host` is where a call with a relative URL goes. The body is written once, because
    another spelling of the same JSON would not fit the signature.
    """
    body = b"" if call.body is None else call.body
    if call.json is not None:
        body = json.dumps(call.json).encode()
    digest = hashlib.sha256(body).hexdigest()
    date = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{date[:8]}/{region}/{service}/request"
    headers = {
        "Content-Type": "application/json",
        **call.headers,
        "X-Date": date,
        "X-Content-Sha256": digest,
    }
    if key.token:
        headers["X-Security-Token"] = key.token
    names, canonical = canonical_request(call, headers, host, digest)
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{date}\n{scope}\n{hashed}"
    signature = hmac.new(
        signing_key(key.secret, scope), text.encode(), hashlib.sha256
    ).hexdigest()
    headers["Authorization"] = (
        f"{ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    return replace(call, headers=headers, json=None, body=body)


def canonical_request(
    call: Call, headers: Mapping[str, str], host: str, digest: str
) -> tuple[str, str]:
    """The names of the signed headers, and the text that stands for the request."""
    parts = urlsplit(call.url)
    signed_headers = {
        name.lower(): text.strip()
        for name, text in headers.items()
        if name.lower() in {"content-type", "content-md5"}
        or name.lower().startswith("x-")
    }
    signed_headers["host"] = plain_host(parts.netloc or host)
    names = ";".join(sorted(signed_headers))
    lines = "".join(f"{name}:{signed_headers[name]}\n" for name in names.split(";"))
    path = quote(parts.path or "/", safe="/-_.~%")
    query = parse_qsl(parts.query, keep_blank_values=True) + list(call.params.items())
    canonical_query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(text, safe='-_.~')}"
        for name, text in sorted(query)
    )
    return names, "\n".join((call.method, path, canonical_query, lines, names, digest))


def plain_host(netloc: str) -> str:
    """The host as it is sent, without a port that goes without saying."""
    host = netloc.rpartition("@")[2].lower()
    for port in DEFAULT_PORTS:
        host = host.removesuffix(port)
    return host


def signing_key(secret: str, scope: str) -> bytes:
    """The secret, narrowed down to day, region and service."""
    key = secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
