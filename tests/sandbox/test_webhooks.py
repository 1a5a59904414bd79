import asyncio
import base64
import hashlib
import time
from collections.abc import Awaitable, Callable

import openai
import pytest
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sandbox.server import new_event_loop, serving
from sandbox.webhooks import SigningKeys, WebhookMessage, WebhookSender

BODY = b'{"status":"done"}'


class Receiver:
    """Takes callbacks, answers them with the statuses given (the last for good)."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.followed = False
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""
        self._came = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self._came:
            self.got.append((dict(request.headers), body))
            self._came.notify_all()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(
            status=status, headers={"Location": "/elsewhere"}, text="thanks"
        )

    async def follow(self, _: web.Request) -> web.Response:
        self.followed = True
        return web.Response()

    async def has(self, count: int) -> None:
        """Wait until so many callbacks came."""
        async with self._came:
            await asyncio.wait_for(
                self._came.wait_for(lambda: len(self.got) >= count), 5
            )


def receiving(
    receiver: Receiver, act: Callable[[WebhookSender], Awaitable[None]]
) -> None:
    """Run `act` with a sender that may reach the receiver."""

    async def run() -> None:
        server = web.Application()
        server.router.add_post("/hook", receiver.take)
        server.router.add_get("/elsewhere", receiver.follow)
        sender = WebhookSender(time.time, retry_delays_s=(0.0, 0.0))
        async with serving(server, "127.0.0.1", 0) as url:
            receiver.url = f"{url}/hook"
            await act(sender)
            await sender.close()

    asyncio.run(run())


def message(keys: SigningKeys, now: float) -> WebhookMessage:
    return WebhookMessage(BODY, {"X-Key": keys.key_id, "X-Now": str(now)})


def test_standard_signature_is_accepted_by_the_official_openai_sdk() -> None:
    keys = SigningKeys.generate()
    headers = keys.standard_headers("wh_1", int(time.time()), BODY)
    client = openai.OpenAI(api_key="k", webhook_secret=keys.whsec())
    client.webhooks.verify_signature(BODY.decode(), headers)


def test_standard_signature_of_other_keys_is_refused_by_the_official_sdk() -> None:
    headers = SigningKeys.generate().standard_headers("wh_1", int(time.time()), BODY)
    client = openai.OpenAI(api_key="k", webhook_secret=SigningKeys.generate().whsec())
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.verify_signature(BODY.decode(), headers)


def test_callback_is_never_made_before_its_time() -> None:
    early: list[float] = []

    async def run() -> None:
        sender = WebhookSender(time.time)
        made = asyncio.Event()

        def plan(at: float, *, last: bool) -> None:
            def build(_: SigningKeys, now: float) -> None:
                early.append(at - now)
                if last:
                    made.set()

            sender.send_at(at, "http://127.0.0.1:9/", build, SigningKeys.generate())

        start = time.time()
        for number in range(300):
            plan(start + 0.1 + number * 0.00037, last=number == 299)
        await asyncio.wait_for(made.wait(), 10)
        await sender.close()

    loop = new_event_loop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
    assert max(early) <= 0


def test_shared_secret_can_be_fixed_in_both_spellings() -> None:
    encoded = "whsec_" + base64.b64encode(b"secret bytes").decode()
    assert SigningKeys.generate(encoded).secret == b"secret bytes"
    assert SigningKeys.generate("plain").secret == b"plain"
    assert SigningKeys.generate(encoded).whsec() == encoded


def test_ed25519_signature_is_verified_by_the_published_key() -> None:
    keys = SigningKeys.generate()
    key = keys.jwks()["keys"][0]
    public = Ed25519PublicKey.from_public_bytes(
        base64.urlsafe_b64decode(key["x"] + "=")
    )
    signature = bytes.fromhex(keys.ed25519_hex("req", "user", 1_780_000_000, BODY))
    digest = hashlib.sha256(BODY).hexdigest()
    public.verify(signature, f"req\nuser\n1780000000\n{digest}".encode())
    with pytest.raises(InvalidSignature):
        public.verify(signature, f"req\nuser\n1780000001\n{digest}".encode())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:80/x",
        "http://127.8.8.8/x",
        "http://[::1]:9/x",
        "https://localhost/x",
        "http://hooks.example.com/x",
    ],
)
def test_callback_may_go_to_this_machine_and_to_hosts_allowed(url: str) -> None:
    sender = WebhookSender(time.time, frozenset({"hooks.example.com"}))
    assert sender.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "http://10.0.0.1/x",
        "http://169.254.169.254/x",
        "http://0.0.0.0/x",
        "http://localhost.example.com/x",
        "http://127.0.0.1@example.com/x",
        "ftp://127.0.0.1/x",
        "/x",
        "",
        "http://[::1/x",
        "http://127.0.0.1:99999/x",
    ],
)
def test_callback_may_go_nowhere_else(url: str) -> None:
    assert not WebhookSender(time.time).allows(url)


def test_callback_is_sent_at_its_time() -> None:
    receiver = Receiver(200)

    async def act(sender: WebhookSender) -> None:
        due_at = time.time() + 0.05
        sender.send_at(due_at, receiver.url, message, SigningKeys.generate())
        await receiver.has(1)
        assert time.time() >= due_at - 0.005

    receiving(receiver, act)
    headers, body = receiver.got[0]
    assert body == BODY
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("refusal", [500, 404, 302])
def test_callback_is_repeated_until_it_is_taken(refusal: int) -> None:
    receiver = Receiver(refusal, 204)

    async def act(sender: WebhookSender) -> None:
        sender.send_at(0, receiver.url, message, SigningKeys.generate())
        await receiver.has(2)
        await asyncio.sleep(0.05)

    receiving(receiver, act)
    assert len(receiver.got) == 2


def test_redirect_of_a_callback_is_not_followed() -> None:
    receiver = Receiver(302)

    async def act(sender: WebhookSender) -> None:
        answer = await sender.post(receiver.url, WebhookMessage(BODY))
        assert answer == (302, b"thanks")

    receiving(receiver, act)
    assert not receiver.followed


def test_callback_is_given_up_after_the_last_attempt() -> None:
    receiver = Receiver(500)

    async def act(sender: WebhookSender) -> None:
        sender.send_at(0, receiver.url, message, SigningKeys.generate())
        await receiver.has(3)
        await asyncio.sleep(0.05)

    receiving(receiver, act)
    assert len(receiver.got) == 3


def test_every_attempt_is_built_anew() -> None:
    receiver = Receiver(500, 200)

    async def act(sender: WebhookSender) -> None:
        sender.send_at(0, receiver.url, message, SigningKeys.generate())
        await receiver.has(2)

    receiving(receiver, act)
    first, second = (headers["X-Now"] for headers, _ in receiver.got)
    assert float(first) < float(second)


def test_callback_with_nothing_to_say_is_not_sent() -> None:
    receiver = Receiver(200)

    async def act(sender: WebhookSender) -> None:
        keys = SigningKeys.generate()
        sender.send_at(0, receiver.url, lambda keys, now: None, keys)
        sender.send_at(0, receiver.url, message, keys)
        await receiver.has(1)

    receiving(receiver, act)
    assert receiver.got[0][1] == BODY


def test_forgotten_callback_is_not_sent() -> None:
    receiver = Receiver(200)

    async def act(sender: WebhookSender) -> None:
        keys = SigningKeys.generate()
        sender.send_at(time.time() + 0.05, receiver.url, message, keys)
        sender.forget()
        await asyncio.sleep(0.1)

    receiving(receiver, act)
    assert receiver.got == []


def test_callback_of_a_job_that_never_ends_is_not_planned() -> None:
    receiver = Receiver(200)

    async def act(sender: WebhookSender) -> None:
        keys = SigningKeys.generate()
        sender.send_at(float("inf"), receiver.url, message, keys)

    receiving(receiver, act)
    assert receiver.got == []


def test_single_post_gives_status_and_body() -> None:
    receiver = Receiver(201)
    answers = []

    async def act(sender: WebhookSender) -> None:
        answers.append(await sender.post(receiver.url, WebhookMessage(b"{}")))
        answers.append(await sender.post("http://127.0.0.1:1/", WebhookMessage(b"{}")))
        answers.append(await sender.post("http://10.0.0.1/", WebhookMessage(b"{}")))

    receiving(receiver, act)
    assert answers == [(201, b"thanks"), None, None]
