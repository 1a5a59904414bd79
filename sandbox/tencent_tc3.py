"""Checks Tencent Cloud's request signature, TC3-HMAC-SHA256.

Source: cloud.tencent.com/document/product/213/30654 and the official SDK
`tencentcloud-sdk-python-common` 3.1.195, read November 2026.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/\s]+)/(?P<day>\d{4}-\d\d-\d\d)"
    r"/(?P<service>[a-z]+)/tc3_request, SignedHeaders=(?P<names>[a-z0-9;-]+), "
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
MUST_BE_SIGNED = frozenset({"content-type", "host"})
SKEW_S = 5 * 60


class BadSignature(Exception):
    """The request is not signed as it must be; `code` is the platform's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = f"AuthFailure.{code}"


@dataclass(frozen=True)
class Signer:
    """Who signed: the SecretId, and how the signature was made."""

    secret_id: str
    day: str
    service: str
    timestamp: str
    names: tuple[str, ...]
    signature: str


def read_signer(request: web.Request, service: str, now: float) -> Signer | None:
    """Who says to have signed; None without a signature at all.

    Raises BadSignature where scope, time or signed headers do not fit.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return None
    match = AUTHORIZATION.fullmatch(header)
    if match is None:
        raise BadSignature("InvalidAuthorization", "Authorization is malformed.")
    if match["service"] != service:
        raise BadSignature("SignatureFailure", f"The scope is not of {service}.")
    timestamp = request.headers.get("X-TC-Timestamp", "")
    if not re.fullmatch(r"\d{9,11}", timestamp):
        raise BadSignature("SignatureFailure", "X-TC-Timestamp is malformed.")
    if abs(int(timestamp) - now) > SKEW_S:
        raise BadSignature("SignatureExpire", "The timestamp is not our clock's.")
    day = datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%d")
    if match["day"] != day:
        raise BadSignature("SignatureFailure", "The scope is of another day.")
    names = tuple(match["names"].split(";"))
    if list(names) != sorted(names) or not set(names) >= MUST_BE_SIGNED:
        raise BadSignature("SignatureFailure", "SignedHeaders lacks a header.")
    return Signer(match["id"], day, service, timestamp, names, match["signature"])


def check_signature(
    request: web.Request, signer: Signer, secret_key: str, body: bytes
) -> None:
    """Raise BadSignature unless this secret signed exactly this request."""
    lines = [
        f"{name}:{request.headers.get(name, '').strip().lower()}"
        for name in signer.names
    ]
    canonical = "\n".join(
        (
            request.method,
            request.rel_url.raw_path,
            request.rel_url.raw_query_string,
            *lines,
            "",
            ";".join(signer.names),
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{signer.day}/{signer.service}/tc3_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"TC3-HMAC-SHA256\n{signer.timestamp}\n{scope}\n{hashed}"
    key = b"TC3" + secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.digest(key, text.encode(), "sha256").hex()
    if not hmac.compare_digest(expected, signer.signature):
        raise BadSignature("SignatureFailure", "The signature does not match.")
