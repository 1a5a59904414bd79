"""A provider's callbacks: made, signed and sent as that provider would.

A dialect says what a callback contains; when and how often it is sent, and with whose
keys it is signed, follows from the job's script. Callbacks go to this machine only,
unless the settings name further hosts: a simulated upstream on a shared network must
not be a way to make requests elsewhere.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from yarl import URL

log = logging.getLogger(__name__)

RETRY_DELAYS_S = (0.5, 2.0, 5.0)
TIMEOUT = aiohttp.ClientTimeout(total=15)
"""As fal documents it; others are silent or close to it."""
ANSWER_MOST_BYTES = 64 * 1024
EARLY_S = 0.005
"""By how much a timer may go off too soon: event loops count whole milliseconds."""


@dataclass(frozen=True)
class SigningKeys:
    """The keys one upstream signs its callbacks with, in every way that is in use."""

    ed25519: Ed25519PrivateKey
    secret: bytes
    key_id: str

    @classmethod
    def generate(cls, secret: str = "") -> "SigningKeys":
        """New keys; `secret` fixes the shared one (`whsec_<base64>` or plain text)."""
        return cls(
            ed25519=Ed25519PrivateKey.generate(),
            secret=secret_bytes(secret) if secret else secrets.token_bytes(32),
            key_id=secrets.token_hex(8),
        )

    @classmethod
    def read(cls, record: Mapping[str, str]) -> "SigningKeys":
        """The keys that `record` has told; raises KeyError and ValueError."""
        private = bytes.fromhex(record["ed25519"])
        return cls(
            ed25519=Ed25519PrivateKey.from_private_bytes(private),
            secret=bytes.fromhex(record["secret"]),
            key_id=record["key_id"],
        )

    def record(self) -> dict[str, str]:
        """The keys as texts, to be kept where nobody else reads them."""
        return {
            "ed25519": self.ed25519.private_bytes_raw().hex(),
            "secret": self.secret.hex(),
            "key_id": self.key_id,
        }

    def whsec(self) -> str:
        """The shared secret in the spelling of Standard Webhooks."""
        return "whsec_" + base64.b64encode(self.secret).decode()

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public key as a JSON Web Key Set with one Ed25519 key."""
        raw = self.ed25519.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        key = {
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": "EdDSA",
            "kid": self.key_id,
            "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
        }
        return {"keys": [key]}

    def hmac_sha256(self, message: bytes) -> bytes:
        """The HMAC of the message under the shared secret, 32 bytes."""
        return hmac.digest(self.secret, message, "sha256")

    def standard_headers(
        self, message_id: str, timestamp: int, body: bytes
    ) -> dict[str, str]:
        """The three headers of Standard Webhooks 1.0.0 (OpenAI, Replicate, Kling)."""
        signed = f"{message_id}.{timestamp}.".encode() + body
        signature = base64.b64encode(self.hmac_sha256(signed)).decode()
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": f"v1,{signature}",
        }

    def ed25519_hex(
        self, request_id: str, user_id: str, timestamp: int, body: bytes
    ) -> str:
        """The signature that fal and Ideogram send, in lower-case hexadecimal.

        Signed are the four lines request id, user id, timestamp and hexadecimal
        SHA-256 of the body.
        """
        digest = hashlib.sha256(body).hexdigest()
        message = f"{request_id}\n{user_id}\n{timestamp}\n{digest}"
        return self.ed25519.sign(message.encode()).hex()


def secret_bytes(secret: str) -> bytes:
    """The key behind a shared secret: `whsec_` is followed by base64, else the text."""
    prefix, mark, encoded = secret.partition("whsec_")
    return base64.b64decode(encoded) if mark and not prefix else secret.encode()


@dataclass(frozen=True)
class WebhookMessage:
    """One callback, ready to be sent; the content type is JSON unless `headers` say."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


BuildMessage = Callable[[SigningKeys, float], WebhookMessage | None]
"""Makes a callback from the keys to sign with and the time, or None: nothing to say."""


class WebhookSender:
    """Sends callbacks when they are due; one per server, used inside its event loop."""

    def __init__(
        self,
        clock: Callable[[], float],
        allow_hosts: frozenset[str] = frozenset(),
        retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S,
    ) -> None:
        self.clock = clock
        self.allow_hosts = allow_hosts
        self.retry_delays_s = retry_delays_s
        self._session: aiohttp.ClientSession | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def send_at(
        self,
        at: float,
        url: str,
        build: BuildMessage,
        keys: SigningKeys,
        done: Callable[[], None] | None = None,
    ) -> None:
        """Send a callback at that time, and again until it is answered with 2xx.

        The message is built anew for each attempt, so that its timestamp is fresh.
        `done` is called when nothing more is to be sent.
        """
        if at == float("inf"):
            return
        loop = asyncio.get_running_loop()

        async def send() -> None:
            await self._deliver(url, build, keys)
            if done is not None:
                done()

        def start() -> None:
            self._timers.discard(timer)
            task = loop.create_task(send())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        # a callback before its time would find its job not yet ended
        delay_s = at - self.clock()
        timer = loop.call_later(delay_s + EARLY_S if delay_s > 0 else 0.0, start)
        self._timers.add(timer)

    async def _deliver(self, url: str, build: BuildMessage, keys: SigningKeys) -> None:
        for delay_s in (*self.retry_delays_s, None):
            message = build(keys, self.clock())
            if message is None:
                return
            answer = await self.post(url, message)
            if answer is not None and 200 <= answer[0] < 300:
                return
            if delay_s is None or not self.allows(url):
                return
            await asyncio.sleep(delay_s)

    async def post(self, url: str, message: WebhookMessage) -> tuple[int, bytes] | None:
        """Status and body (64 KiB at most) of one attempt.

        None when the address is not allowed or nobody answers in time.
        """
        if not self.allows(url):
            # the path of a callback may hold a secret
            host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
            log.warning("callback not sent, its host is not allowed: %s", host)
            return None
        headers = {"Content-Type": "application/json", **message.headers}
        try:
            async with self._open().post(
                url,
                data=message.body,
                headers=headers,
                allow_redirects=False,
                timeout=TIMEOUT,
            ) as reply:
                body = await reply.content.read(ANSWER_MOST_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        return reply.status, body

    def allows(self, url: str) -> bool:
        """Whether a callback may go there: this machine, or a host of the settings.

        Names other than `localhost` are never looked up to find out.
        """
        try:
            parsed = URL(url)
        except ValueError:
            return False
        host = parsed.host
        if parsed.scheme not in {"http", "https"} or not host:
            return False
        if host == "localhost" or host in self.allow_hosts:
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # one slow receiver must not hold back the callbacks to the others
            connector = aiohttp.TCPConnector(limit=500, limit_per_host=100)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def forget(self) -> None:
        """Drop every callback that is not yet sent."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Drop what is not yet sent and close the connections."""
        self.forget()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None
