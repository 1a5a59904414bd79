"""Checks Volcengine's request signature, version 4.

Source: volcengine.com/docs/6369/67268, read November 2026. That a clock may be 15
minutes wrong is an assumption: it is not documented.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from aiohttp import web

AUTHORIZATION = re.compile(
    r"HMAC-SHA256 Credential=(?P<key>[^/\s]+)/(?P<day>\d{8})/(?P<region>[^/\s]+)"
    r"/(?P<service>[^/\s]+)/request, SignedHeaders=(?P<names>[a-z0-9;-]+), "
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
MUST_BE_SIGNED = frozenset({"host", "x-content-sha256", "x-date"})
SKEW_S = 15 * 60


class BadSignature(Exception):
    """The request is not signed as it must be; the text says why."""


@dataclass(frozen=True)
class Signer:
    """Who signed: the id of the access key, and how the signature was made."""

    key_id: str
    scope: str
    date: str
    names: tuple[str, ...]
    signature: str


def read_signer(
    request: web.Request, body: bytes, *, region: str, service: str, now: float
) -> Signer | None:
    """Who says to have signed; None without a signature at all.

    Raises BadSignature where scope, time, body or signed headers do not fit.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return None
    match = AUTHORIZATION.fullmatch(header)
    if match is None:
        raise BadSignature("Authorization is malformed")
    if (match["region"], match["service"]) != (region, service):
        raise BadSignature(f"the scope must be {region}/{service}")
    date = request.headers.get("X-Date", "")
    try:
        moment = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadSignature("X-Date is malformed") from error
    if match["day"] != date[:8]:
        raise BadSignature("the scope is of another day")
    if abs(moment.timestamp() - now) > SKEW_S:
        raise BadSignature("X-Date is too far from our clock")
    names = tuple(match["names"].split(";"))
    if list(names) != sorted(names) or not set(names) >= MUST_BE_SIGNED:
        raise BadSignature("SignedHeaders lacks a header or is not sorted")
    digest = hashlib.sha256(body).hexdigest()
    if request.headers.get("X-Content-Sha256") != digest:
        raise BadSignature("X-Content-Sha256 is not the body's")
    scope = f"{date[:8]}/{region}/{service}/request"
    return Signer(match["key"], scope, date, names, match["signature"])


def check_signature(
    request: web.Request, signer: Signer, secret: str, digest: str
) -> None:
    """Raise BadSignature unless this secret signed exactly this request."""
    path = quote(request.rel_url.path, safe="/-_.~")
    pairs = sorted(request.rel_url.query.items())
    query = "&".join(f"{escaped(name)}={escaped(text)}" for name, text in pairs)
    lines = "".join(
        f"{name}:{header(request.headers, name)}\n" for name in signer.names
    )
    names = ";".join(signer.names)
    canonical = "\n".join((request.method, path, query, lines, names, digest))
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(("HMAC-SHA256", signer.date, signer.scope, hashed))
    key = secret.encode()
    for part in signer.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.digest(key, text.encode(), "sha256").hex()
    if not hmac.compare_digest(expected, signer.signature):
        raise BadSignature("the signature does not match")


def escaped(text: str) -> str:
    return quote(text, safe="-_.~")


def header(headers: Mapping[str, str], name: str) -> str:
    """A header as it is signed: a usual port does not belong to the host."""
    text = headers.get(name, "").strip()
    return re.sub(r":(80|443)$", "", text) if name == "host" else text
