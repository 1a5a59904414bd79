"""Webhooks of the Gemini API in the sandbox: those of a request, and of a project.

Wire format: ai.google.dev/gemini-api/docs/webhooks and `google-genai` 3.4.0
(types/webhooks), read 2026-11-22. A request's own webhooks are signed with a JWT of
which only algorithm, key set and `aud` are published; issuer, lifetime and the hash of
the body are choices of this simulation. All webhooks of a project have one secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.answers import json_answer
from sandbox.google_calls import House, absent, check_names, read_body, refuse, snake
from sandbox.google_files import file_word, instant, random_word
from sandbox.inputs import BadInput, get_list, get_text
from sandbox.jobs import CallKind, Failure, Job, JobPhase
from sandbox.webhooks import BuildMessage, SigningKeys, WebhookMessage

EVENTS = frozenset(
    {
        "batch.expired",
        "batch.failed",
        "batch.succeeded",
        "interaction.cancelled",
        "interaction.completed",
        "interaction.failed",
        "interaction.requires_action",
        "video.generated",
    }
)
INTERACTION_EVENTS = {
    JobPhase.SUCCEEDED: "interaction.completed",
    JobPhase.FAILED: "interaction.failed",
    JobPhase.CANCELLED: "interaction.cancelled",
}
STATES = ("enabled", "disabled")
MOST_URIS = 10
MOST_WEBHOOKS = 1000
JWT_LIVES_S = 300


def check_webhook(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """`webhookConfig` of a request, if it has one; raises BadInput."""
    if not config:
        return {}
    config = snake(config)
    check_names(config, {"uris", "user_metadata"}, "webhook_config")
    uris = get_list(config, "uris")
    if len(uris) > MOST_URIS or not all(map(is_uri, uris)):
        raise BadInput("`webhook_config.uris` must be http(s) URIs.", "uris")
    return config


def is_uri(uri: Any) -> bool:
    return isinstance(uri, str) and uri.startswith(("http://", "https://"))


class Webhooks:
    """Who is told of ends, and the calls that set webhooks up."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._kept = house.upstream.shelf("webhooks", MOST_WEBHOOKS)
        self._rsa: dict[str, rsa.RSAPrivateKey] = {}
        house.upstream.message_of = self.message_of

    def announce(self, job: Job, config: Mapping[str, Any]) -> None:
        """Tell of a job's end: the URIs of its request, else those of the project."""
        if config.get("uris"):
            told = [
                {"uri": uri, "metadata": config.get("user_metadata")}
                for uri in config["uris"]
            ]
        else:
            told = [
                {"uri": each["uri"], "events": each["subscribed_events"]}
                for each in self._kept.things()
                if each["state"] == "enabled" and each["owner"] == job.owner
            ]
        for each in told:
            build = self.message_of(job, each)
            self.house.upstream.call_back(job, each["uri"], build, told=each)

    def message_of(self, job: Job, told: Mapping[str, Any]) -> BuildMessage:
        """Makes the event of a job's end, if it is one that is wanted."""

        def build(keys: SigningKeys, now: float) -> WebhookMessage | None:
            # timers may go off a little before the end that they are set to
            event = event_of(job, max(now, job.ends_at))
            if event is None or event["type"] not in told.get("events", EVENTS):
                return None
            if told.get("metadata"):
                event["user_metadata"] = told["metadata"]
            body = json.dumps({**event, "timestamp": instant(now)}).encode()
            message_id = f"evt_{file_word(job)}"
            headers = keys.standard_headers(message_id, int(now), body)
            if "events" not in told:
                headers["webhook-signature"] = self.jwt(keys, told["uri"], now, body)
            return WebhookMessage(body, headers)

        return build

    def rsa_key(self, key_id: str) -> rsa.RSAPrivateKey:
        """The key of that id, made when it is first needed."""
        if key_id not in self._rsa:
            self._rsa[key_id] = rsa.generate_private_key(65537, 2048)
        return self._rsa[key_id]

    def jwt(self, keys: SigningKeys, audience: str, now: float, body: bytes) -> str:
        """The signature of a request's own webhook."""
        header = {"alg": "RS256", "typ": "JWT", "kid": keys.key_id}
        claims = {
            "iss": "generativelanguage.googleapis.com",
            "aud": audience,
            "iat": int(now),
            "exp": int(now) + JWT_LIVES_S,
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        signed = ".".join(
            as_base64url(json.dumps(p).encode()) for p in (header, claims)
        )
        signature = self.rsa_key(keys.key_id).sign(
            signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        return f"{signed}.{as_base64url(signature)}"

    async def key_set(self, _: web.Request) -> web.Response:
        """`GET /.well-known/jwks.json`: the key for webhooks of requests."""
        key_id = self.house.upstream.keys.key_id
        numbers = self.rsa_key(key_id).public_key().public_numbers()
        key = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": key_id,
            "n": as_base64url(numbers.n.to_bytes(256, "big")),
            "e": as_base64url(numbers.e.to_bytes(3, "big")),
        }
        return json_answer({"keys": [key]})

    async def create(self, request: web.Request) -> web.StreamResponse:
        """`POST /<version>/webhooks`; the secret is told this once."""
        owner, refused = self.house.admit(request, CallKind.OTHER)
        if refused is not None:
            return refused
        try:
            body = snake(await read_body(request))
            check_names(body, {"name", "uri", "subscribed_events"}, "webhook")
            wanted = {
                "name": get_text(body, "name", default=""),
                "uri": read_uri(body),
                "subscribed_events": read_events(body),
            }
        except BadInput as error:
            return refuse(error)
        now = instant(self.house.upstream.clock())
        webhook = {
            "id": f"wh_{random_word(16)}",
            **wanted,
            "state": "enabled",
            "create_time": now,
            "update_time": now,
            "owner": owner,
        }
        self._kept.put(str(webhook["id"]), webhook)
        secret = self.house.upstream.keys.whsec()
        return json_answer({**shown(webhook), "new_signing_secret": secret})

    async def show_all(self, request: web.Request) -> web.StreamResponse:
        """`GET /<version>/webhooks`."""
        owner, refused = self.house.admit(request, CallKind.LIST)
        if refused is not None:
            return refused
        own = [shown(each) for each in self._kept.things() if each["owner"] == owner]
        return json_answer({"webhooks": own})

    async def show(self, request: web.Request) -> web.StreamResponse:
        """`GET /<version>/webhooks/{id}`."""
        found = self.find(request)
        return json_answer(shown(found)) if isinstance(found, dict) else found

    async def change(self, request: web.Request) -> web.StreamResponse:
        """`PATCH /<version>/webhooks/{id}`."""
        found = self.find(request)
        if not isinstance(found, dict):
            return found
        try:
            body = snake(await read_body(request))
            names = {"name", "uri", "subscribed_events", "state"}
            check_names(body, names, "webhook")
            changed = dict(found)
            if "name" in body:
                changed["name"] = get_text(body, "name", default="")
            if "uri" in body:
                changed["uri"] = read_uri(body)
            if "subscribed_events" in body:
                changed["subscribed_events"] = read_events(body)
            if "state" in body:
                if body["state"] not in STATES:
                    raise BadInput(f"`state` must be one of {', '.join(STATES)}.")
                changed["state"] = body["state"]
        except BadInput as error:
            return refuse(error)
        changed["update_time"] = instant(self.house.upstream.clock())
        self._kept.put(changed["id"], changed)
        return json_answer(shown(changed))

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """`DELETE /<version>/webhooks/{id}`."""
        found = self.find(request)
        if not isinstance(found, dict):
            return found
        self._kept.take(found["id"])
        return json_answer({})

    async def ping(self, request: web.Request) -> web.StreamResponse:
        """`POST /<version>/webhooks/{id}:ping`; the event itself is not simulated."""
        found = self.find(request)
        return json_answer({}) if isinstance(found, dict) else found

    async def rotate(self, request: web.Request) -> web.StreamResponse:
        """`POST /<version>/webhooks/{id}:rotateSigningSecret`; here it stays."""
        found = self.find(request)
        if not isinstance(found, dict):
            return found
        return json_answer({"secret": self.house.upstream.keys.whsec()})

    def find(self, request: web.Request) -> dict[str, Any] | web.StreamResponse:
        """The webhook of a path, or the refusal."""
        owner, refused = self.house.admit(request, CallKind.OTHER)
        if refused is not None:
            return refused
        found: dict[str, Any] | None = self._kept.find(request.match_info["id"])
        if found is None or found["owner"] != owner:
            return absent("Webhook not found.")
        return found


def read_uri(body: Mapping[str, Any]) -> str:
    uri = get_text(body, "uri")
    if not is_uri(uri):
        raise BadInput("`uri` must be an http(s) URI.", "uri")
    return uri


def read_events(body: Mapping[str, Any]) -> list[str]:
    events = get_list(body, "subscribed_events")
    if not events or not all(isinstance(e, str) and e in EVENTS for e in events):
        told = ", ".join(sorted(EVENTS))
        raise BadInput(f"`subscribed_events` must be some of {told}.")
    return events


def shown(webhook: Mapping[str, Any]) -> dict[str, Any]:
    """A webhook as its owner sees it."""
    return {name: value for name, value in webhook.items() if name != "owner"}


def event_of(job: Job, now: float) -> dict[str, Any] | None:
    """What an event says; the end of a video that failed is not told."""
    phase = job.phase(now)
    data: dict[str, Any] = {"id": job.id}
    if "/operations/" in job.id:
        if phase is not JobPhase.SUCCEEDED:
            return None
        word = f"{file_word(job)}0"
        data["output_file_uri"] = f"{job.base_url}/v1beta/files/{word}"
        data["file_name"] = f"files/{word}"
        return {"type": "video.generated", "version": "v1", "data": data}
    if phase is JobPhase.FAILED:
        blocked = job.failure is Failure.BLOCKED
        data["error_code"] = "content_blocked" if blocked else "internal"
        data["error_message"] = "The interaction failed."
    kind = INTERACTION_EVENTS.get(phase)
    return {"type": kind, "version": "v1", "data": data} if kind else None


def as_base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
