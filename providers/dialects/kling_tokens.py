"""Kling's two kinds of keys: an API key, or an access key that signs a JWT.

Sources: kling.ai/document-api ("Authentication") and the client in the GitHub
repository KwaiVGI/ComfyUI-KLingAI-API, read November 2026.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from providers.flow import Call
from providers.types import Credentials

LIVES_S = 1800
EARLY_S = 5
"""How much older than now a token claims to be, for clocks that differ."""


def authorize(call: Call, credentials: Credentials) -> Call:
    """Add a bearer token: made from `<access key>:<secret key>`, else the key itself.

    An API key has no colon; it is good for both request standards.
    """
    access_key, colon, secret_key = credentials.secret.partition(":")
    token = credentials.secret
    if colon:
        token = jwt(access_key, secret_key, credentials.now)
    return replace(call, headers={**call.headers, "Authorization": f"Bearer {token}"})


def jwt(access_key: str, secret_key: str, now: float) -> str:
    """A token that is good for the half hour after `now` (unix time), by HS256."""
    header = {"alg": "HS256", "typ": "JWT"}
    claims = {
        "iss": access_key,
        "exp": int(now) + LIVES_S,
        "nbf": int(now) - EARLY_S,
    }
    message = encoded(header) + b"." + encoded(claims)
    mac = hmac.digest(secret_key.encode(), message, hashlib.sha256)
    return (message + b"." + as_base64url(mac)).decode()


def encoded(claims: Mapping[str, Any]) -> bytes:
    return as_base64url(json.dumps(claims, separators=(",", ":")).encode())


def as_base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
