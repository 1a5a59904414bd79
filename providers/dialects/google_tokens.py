"""Service accounts of Google Cloud: a bearer token made from the account's own key.

A service account may sign a JWT itself and send it as it is, without asking for an
access token first (google.aip.dev/auth/4111, "Self-signed JWT"; google-auth's
jwt.Credentials). So authorizing a call stays a matter of computing: RS256 is one power
modulo the key (RFC 8017, section 8.2.1), read from a PKCS #8 or PKCS #1 file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIVES_S = 3600
ROUND_S = 600
"""Tokens begin at full ten minutes, so that one is used for many calls."""

PEM = re.compile(r"-----BEGIN (?:RSA )?PRIVATE KEY-----(.+?)-----END", re.S)
INTEGER, OCTETS, SEQUENCE = 0x02, 0x04, 0x30
# SHA-256 in the form that is signed (RFC 8017, section 9.2, note 1)
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


@dataclass(frozen=True, slots=True)
class Key:
    """An RSA key: what is needed to sign, by the Chinese remainder theorem."""

    modulus: int
    p: int
    q: int
    d_p: int
    d_q: int
    q_inverse: int

    def __repr__(self) -> str:
        return "Key(...)"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A key file of a service account."""

    email: str
    project: str
    key_id: str
    key: Key


@lru_cache(maxsize=64)
def read_account(text: str) -> ServiceAccount:
    """The account of a key file (JSON); raises ValueError when it is none."""
    try:
        told: dict[str, Any] = json.loads(text)
        return ServiceAccount(
            email=str(told["client_email"]),
            project=str(told.get("project_id") or ""),
            key_id=str(told.get("private_key_id") or ""),
            key=read_key(str(told["private_key"])),
        )
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        # the text of the error might quote the key
        raise ValueError("the secret is no key file of a service account") from error


def read_key(pem: str) -> Key:
    """The key of a PEM file; raises ValueError and IndexError."""
    match = PEM.search(pem)
    if match is None:
        raise ValueError("no private key")
    fields = read_fields(base64.b64decode("".join(match[1].split())))
    if fields[1][0] == SEQUENCE:  # PKCS #8: version, algorithm, the key itself
        fields = read_fields(fields[2][1])
    numbers = [int.from_bytes(value, "big") for _, value in fields]
    _, modulus, _, _, p, q, d_p, d_q, q_inverse = numbers[:9]
    return Key(modulus, p, q, d_p, d_q, q_inverse)


def read_fields(der: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each element of a DER sequence."""
    tag, content, _ = read_element(der)
    if tag != SEQUENCE:
        raise ValueError("no sequence")
    fields = []
    while content:
        tag, value, content = read_element(content)
        fields.append((tag, value))
    return fields


def read_element(der: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content, and what follows the first element."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if start + length > len(der):
        raise ValueError("a cut element")
    return der[0], der[start : start + length], der[start + length :]


def sign(message: bytes, key: Key) -> bytes:
    """RSASSA-PKCS1-v1_5 with SHA-256."""
    size = (key.modulus.bit_length() + 7) // 8
    digest = SHA256_PREFIX + hashlib.sha256(message).digest()
    padding = b"\xff" * (size - len(digest) - 3)
    block = int.from_bytes(b"\x00\x01" + padding + b"\x00" + digest, "big")
    first = pow(block, key.d_p, key.p)
    second = pow(block, key.d_q, key.q)
    lift = (first - second) * key.q_inverse % key.p
    return (second + lift * key.q).to_bytes(size, "big")


def bearer_token(account: ServiceAccount, now: float) -> str:
    """A token that is good at `now` (unix time) and for the 50 minutes after it."""
    return signed_token(account, int(now // ROUND_S) * ROUND_S)


@lru_cache(maxsize=64)
def signed_token(account: ServiceAccount, issued_at: int) -> str:
    """The JWT of an account from that second on, for an hour."""
    header = {"alg": "RS256", "typ": "JWT", "kid": account.key_id}
    claims = {
        "iss": account.email,
        "sub": account.email,
        "scope": SCOPE,
        "iat": issued_at,
        "exp": issued_at + LIVES_S,
    }
    message = b".".join(
        as_base64url(json.dumps(each).encode()) for each in (header, claims)
    )
    return (message + b"." + as_base64url(sign(message, account.key))).decode()


def as_base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
