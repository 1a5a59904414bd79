"""An upstream says that something changed: look now.

Whatever it says, the poll is the one place where a task's state comes from. A callback
makes its submission due. One that came to the address of a submission may also bring
the id of a job whose submit answer was lost; one that came to the address of a whole
account must be signed with the channel's webhook secret, and wakes what it names.
"""

from __future__ import annotations

import base64
import logging
from typing import Any

from flask import Blueprint, Response, g, request

from app.api import byte_streams
from app.api.key_sets import NoKeySet
from app.api.problems import json_answer, success
from app.bells import Bell
from app.errors import InvalidRequest, NotAuthenticated, NotReady, TaskNotFound
from app.lifecycle import Event, SubmissionState
from app.security import signatures
from app.security.sealing import SealError
from app.store import submissions, tasks
from app.store.channels import Channel
from app.store.submissions import Submission
from providers.errors import ProviderError
from providers.types import Callback, Heard, Provider, Remote, Signed

logger = logging.getLogger(__name__)

bp = Blueprint("upstream", __name__)

BODY_BYTES = 1024 * 1024
MAX_REMOTE_ID = 300
MAX_LINKS_CHARS = 16_000
MAX_IDS = 16
MAX_SIGNATURES = 8
STANDARD_PREFIX = "whsec_"

# What reading a hostile body may raise where an adapter reads it without a guard.
UNREADABLE = (
    ProviderError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@bp.post("/upstream/<path:channel>/<token>")
def receive(channel: str, token: str) -> Response:
    """Take an upstream's word that a job changed; doubled ones do no harm."""
    submission, account, provider = _find_addressee(channel, token)
    body = byte_streams.read_all(request.environ, BODY_BYTES)
    heard = _hear(provider, submission.model, body)
    if heard.signed is not None:
        _check_signature(heard.signed, account, provider)
    if not heard.ids:  # a challenge
        return _answer(heard)
    if submission.remote_id is not None and submission.remote_id not in heard.ids:
        logger.info(
            "a callback speaks of another job", extra={"submission": submission.id}
        )
    else:
        _make_due(submission, heard.remote, provider)
        g.rt.ring(Bell.POLL)
    return _answer(heard)


@bp.post("/upstream/<channel>")
def receive_for_account(channel: str) -> Response:
    """Take an upstream's word that jobs of an account changed, if it is signed.

    The answer is the same whether a job is known here or not. No lost submission is
    adopted: such a callback names a job, and nothing tells whose task that would be.
    """
    body = byte_streams.read_all(request.environ, BODY_BYTES)
    account, heard = _hear_signed(channel, body)
    with g.rt.reading() as tx:
        found = submissions.find_by_remote(tx, account.id, heard.ids)
    if found:
        with g.rt.transaction() as tx:
            woken = [submissions.wake(tx, each.id) for each in found]
        if any(woken):
            g.rt.ring(Bell.POLL)
    return _answer(heard)


def _answer(heard: Heard) -> Response:
    """What the upstream wants to read; in our own words where it wants nothing."""
    if heard.answer is None:
        return success({"received": True}, {})
    if isinstance(heard.answer, str):
        return Response(heard.answer, mimetype="text/plain")
    return json_answer(200, heard.answer, {})


def _find_addressee(channel: str, token: str) -> tuple[Submission, Channel, Provider]:
    """Whom a callback's address means.

    Raises TaskNotFound, with the same text whatever is wrong.
    """
    submission_id, _, mac = token.partition(".")
    keys = (g.rt.callback_key, *g.rt.old_callback_keys)
    if any(signatures.check_callback_token(key, submission_id, mac) for key in keys):
        with g.rt.reading() as tx:
            submission = submissions.find(tx, submission_id)
        for account in g.web.channels():
            if submission is None or account.id != submission.channel_id:
                continue
            provider = g.web.providers.get(account.provider)
            # A removed channel has another name while its submissions end.
            named = account.removed_at or channel in (account.id, account.name)
            if named and provider is not None and provider.receive is not None:
                return submission, account, provider
    raise TaskNotFound("there is no such address here", code="not_found")


def _hear_signed(name: str, body: bytes) -> tuple[Channel, Heard]:
    """Which channel's account speaks, and what it says.

    Raises NotAuthenticated, with the same text whatever is wrong. Only the channel's
    own secret counts: keys of a provider sign for all of its customers.
    """
    for account in g.web.channels():
        provider = g.web.providers.get(account.provider)
        if name not in (account.id, account.name) or provider is None:
            continue
        try:
            heard = _hear(provider, "", body)
        except InvalidRequest:
            continue
        signed = heard.signed
        if signed is None or signed.scheme != "hmac-sha256" or not heard.ids:
            continue
        if _is_fresh(signed) and _has_hmac(signed, account):
            return account, heard
    logger.info("a callback for an account is refused", extra={"channel": name[:100]})
    raise _unsigned()


def _hear(provider: Provider, model: str, body: bytes) -> Heard:
    headers = {name.lower(): text for name, text in request.headers.items()}
    try:
        if provider.receive is None:
            raise ValueError("it sends no callbacks")
        heard = provider.receive(Callback(headers, body), model)
        _check_ids(heard.ids)
        _check_remote(heard.remote)
        if heard.signed is not None:
            float(heard.signed.timestamp)  # a number of any size may be written there
    except UNREADABLE as error:
        logger.info(
            "a callback cannot be read",
            extra={"provider": provider.name, "error": str(error)[:500]},
        )
        text = f"the body is no callback of {provider.title}"
        raise InvalidRequest(text, errors={"body": [text]}) from error
    return heard


def _check_ids(ids: tuple[str, ...]) -> None:
    """Raise ValueError for what cannot be looked up."""
    if len(ids) > MAX_IDS or any(len(each) > MAX_REMOTE_ID for each in ids):
        raise ValueError("there are too many ids, or one is too long")
    for each in ids:
        if not each.isprintable():
            raise ValueError("an id has a control character")


def _check_remote(remote: Remote | None) -> None:
    """Raise ValueError for what the store could not keep."""
    if remote is None:
        return
    texts = [remote.id, *remote.links, *remote.links.values()]
    if (
        not 0 < len(remote.id) <= MAX_REMOTE_ID
        or sum(map(len, texts)) > MAX_LINKS_CHARS
    ):
        raise ValueError("an id or link is too long")
    for text in texts:
        if "\x00" in text or not text.isprintable():
            raise ValueError("an id or link has a control character")


def _make_due(
    submission: Submission, remote: Remote | None, provider: Provider
) -> None:
    with g.rt.transaction() as tx:
        if remote is not None and submission.state is SubmissionState.UNKNOWN:
            model = provider.describe(submission.model)
            adopted = model is not None and submissions.accept(
                tx,
                submission.id,
                remote_id=remote.id,
                remote=remote.links,
                look_in_s=0,
                longest_s=min(
                    model.longest_s, g.rt.settings.deadline_s or model.longest_s
                ),
            )
            if adopted:
                # It may wait to be sent again: then it must not be.
                tasks.advance(tx, submission.task_id, Event.ACCEPT)
                logger.warning(
                    "a lost submission called home",
                    extra={"submission": submission.id, "remote": remote.id},
                )
                return
        if remote is not None and submission.state is SubmissionState.SENT:
            submissions.remember_remote(tx, submission.id, remote.id, remote.links)
        submissions.wake(tx, submission.id)


def _check_signature(signed: Signed, channel: Channel, provider: Provider) -> None:
    """Raise NotAuthenticated unless the signature holds and is fresh."""
    fresh = _is_fresh(signed)
    if not fresh or not _is_signed(signed, channel, provider):
        logger.warning(
            "a callback's signature does not hold",
            extra={"channel": channel.name, "fresh": fresh},
        )
        raise _unsigned()


def _unsigned() -> NotAuthenticated:
    return NotAuthenticated(
        "the signature of this callback does not hold", code="invalid_signature"
    )


def _is_fresh(signed: Signed) -> bool:
    now: float = g.rt.now()
    return abs(now - signed.timestamp) <= signed.tolerance_s


def _is_signed(signed: Signed, channel: Channel, provider: Provider) -> bool:
    match signed.scheme:
        case "ed25519":
            return _has_ed25519(signed, channel, provider)
        case "hmac-sha256":
            return _has_hmac(signed, channel)
    return False


def _has_ed25519(signed: Signed, channel: Channel, provider: Provider) -> bool:
    own = channel.base_url.rstrip("/") == provider.base_url.rstrip("/")
    if own:
        url = signed.keys_url
    else:
        url = f"{channel.base_url.rstrip('/')}/.well-known/jwks.json"
    if not url:
        return False

    def verify(keys: Any) -> bool:
        return signatures.verify_ed25519(signed.message, signed.signature, keys)

    try:
        return bool(g.web.key_sets.verify(url, verify))
    except NoKeySet as error:
        raise NotReady("the provider's key set cannot be had now; try again") from error


def _has_hmac(signed: Signed, channel: Channel) -> bool:
    if channel.webhook_secret is None:
        return False
    try:
        secret = g.rt.sealer.unseal(channel.webhook_secret, webhook_aad(channel.id))
    except SealError as error:
        logger.error("a channel's webhook secret", extra={"reason": str(error)})
        return False
    key = _webhook_key(secret)
    # A header may hold several signatures, one per secret in rotation. A stranger may
    # write thousands, and each costs a digest of the whole body.
    return any(
        signatures.verify_hmac_sha256(signed.message, each, key)
        for each in signed.signature.split()[:MAX_SIGNATURES]
    )


def webhook_aad(channel_id: str) -> str:
    """What a channel's webhook secret is bound to when it is sealed."""
    return f"channel:{channel_id}"


def _webhook_key(secret: str) -> bytes:
    """The bytes that sign: those in base64 of a Standard Webhooks secret."""
    if secret.startswith(STANDARD_PREFIX):
        encoded = secret.removeprefix(STANDARD_PREFIX)
        try:
            return base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            return b""
    return secret.encode()
