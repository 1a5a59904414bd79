"""Does a channel's key work: the cheapest call that its provider has, made by hand."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import requests

from app.connection_errors import never_left, reason_of
from app.store.channels import Channel
from providers import errors
from providers.flow import Call, Reply, drive
from providers.types import Credentials, Provider

CONNECT_TIMEOUT_S = 10.0
TIMEOUT_S = 15.0
REPLY_LIMIT_BYTES = 8 * 1024 * 1024
SHORTEST_HIDDEN = 6

# The first class that fits; the provider's own message follows.
WORDS: Mapping[type[errors.ProviderError], str] = {
    errors.KeyRefused: "the key was refused",
    errors.QuotaExhausted: "the key is right, but the account has no money or quota",
    errors.ChannelRefused: "the account or its address was refused",
    errors.RateLimited: "too many calls: the provider asks to wait",
    errors.Unavailable: "the provider is in trouble and said nothing of the key",
    errors.NotFound: "the address is wrong: nothing of this provider is there",
    errors.NotSent: "no connection",
    errors.AnswerLost: "connected, but no whole answer came",
    errors.UnexpectedReply: "this is not the provider's answer: is the base URL right?",
    errors.ProviderError: "the provider refused the call",
}


@dataclass(frozen=True, slots=True)
class Result:
    """Whether a channel works, in a sentence for its operator."""

    works: bool
    message: str


def test(channel: Channel, provider: Provider, secret: str) -> Result:
    """Make the provider's free call with this clear secret; nothing is generated."""
    if provider.test is None:
        return Result(
            False,
            f"{provider.name} has no free call to test with: its key is proved by the "
            "first task",
        )
    with requests.Session() as session:
        session.trust_env = False  # no proxy, and no other password from .netrc

        def send(call: Call) -> Reply:
            return _send(session, call, channel, provider, secret)

        try:
            drive(provider.test(), send)
        except errors.ProviderError as error:
            return Result(False, _hidden(_explained(error), secret))
    return Result(True, f"{channel.base_url} took the key")


def _send(
    session: requests.Session,
    call: Call,
    channel: Channel,
    provider: Provider,
    secret: str,
) -> Reply:
    """One exchange below the channel's base URL, with its key."""
    if not call.url.startswith("/") or call.paid or call.parts:
        raise errors.UnexpectedReply(f"{call.method} {call.url} is no free call of it")
    url = channel.base_url.rstrip("/") + _with_query(call)
    ready = provider.authorize(
        replace(call, url=url, params={}),
        Credentials(secret, channel.settings, time.time()),
    )
    ends_at = time.monotonic() + TIMEOUT_S
    try:
        with session.request(
            ready.method,
            _with_query(ready),
            headers=dict(ready.headers),
            json=ready.json,
            data=ready.body,
            timeout=(CONNECT_TIMEOUT_S, TIMEOUT_S),
            allow_redirects=False,
            stream=True,
        ) as response:
            content = _read(response, ends_at)
    except (requests.ConnectionError, requests.Timeout) as error:
        kind = errors.NotSent if never_left(error) else errors.AnswerLost
        raise kind(reason_of(error)) from error
    except (requests.RequestException, UnicodeError) as error:
        # Its text may quote the header with the key.
        raise errors.ChannelRefused(
            "the base URL or the key cannot be part of a call"
        ) from error
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, content)


def _with_query(call: Call) -> str:
    """The call's URL with its parameters in it: some keys sign the whole of it."""
    if not call.params:
        return call.url
    return call.url + ("&" if "?" in call.url else "?") + urlencode(call.params)


def _read(response: requests.Response, ends_at: float) -> bytes:
    content = bytearray()
    try:
        for chunk in response.iter_content(65536):
            content += chunk
            if len(content) > REPLY_LIMIT_BYTES:
                raise errors.UnexpectedReply("it has no end")
            if time.monotonic() > ends_at:
                raise errors.AnswerLost(f"not whole within {TIMEOUT_S:g} seconds")
    except requests.RequestException as error:
        raise errors.AnswerLost(reason_of(error)) from error
    return bytes(content)


def _explained(error: errors.ProviderError) -> str:
    words = next(text for kind, text in WORDS.items() if isinstance(error, kind))
    status = f" (HTTP {error.status})" if error.status else ""
    return f"{words}{status}: {error}"


def _hidden(text: str, secret: str) -> str:
    """The text without the key, which some providers repeat; some keys have parts."""
    for part in (secret, *secret.split(":")):
        if len(part) >= SHORTEST_HIDDEN:
            text = text.replace(part, "***")
    return text
