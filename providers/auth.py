"""Ways to authorize a call: the last thing added before it is sent."""

from __future__ import annotations

from dataclasses import replace

from providers.flow import Call
from providers.types import Authorize, Credentials


def header(name: str, prefix: str = "") -> Authorize:
    """Authorize by one header: `name: <prefix><secret>`."""

    def authorize(call: Call, credentials: Credentials) -> Call:
        return replace(
            call, headers={**call.headers, name: prefix + credentials.secret}
        )

    return authorize


bearer = header("Authorization", "Bearer ")


def query(name: str, prefix: str = "") -> Authorize:
    """Authorize by one parameter of the query: `name=<prefix><secret>`."""

    def authorize(call: Call, credentials: Credentials) -> Call:
        return replace(call, params={**call.params, name: prefix + credentials.secret})

    return authorize
