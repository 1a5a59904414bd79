"""The simulated upstream as one HTTP server.

Every provider lives under its own name (`/openai/v1/...`); what all share is under
`/_sandbox`: health, the ledger of what was paid, and the behaviour set from outside.
"""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from aiohttp import web

try:
    import uvloop as event_loops
except ImportError:  # there is none for Windows
    import asyncio as event_loops  # type: ignore[no-redef]

from sandbox import (
    ark,
    bfl,
    dashscope,
    elevenlabs,
    fal,
    gemini,
    hunyuan,
    ideogram,
    jimeng,
    kling,
    luma,
    midjourney,
    minimax,
    mothlight,
    openai,
    pixverse,
    recraft,
    replicate,
    runway,
    stability,
    suno,
    sunoapi,
    vertex,
    vidu,
    xai,
    zhipu,
)
from sandbox.answers import json_answer, web_page
from sandbox.inputs import BadInput, read_json
from sandbox.jobs import (
    MOST_AGE_S,
    MOST_JOBS,
    Behaviour,
    CallKind,
    Durations,
    Jobs,
    Ledger,
    Upstream,
)
from sandbox.journal import Journal
from sandbox.memory import recall
from sandbox.webhooks import SigningKeys, WebhookSender, secret_bytes

Routes = Callable[[Upstream], list[web.RouteDef]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# every provider, by hand, A to Z: one line here and one import
DIALECTS: Mapping[str, Routes] = {
    "ark": ark.routes,
    "bfl": bfl.routes,
    "dashscope": dashscope.routes,
    "elevenlabs": elevenlabs.routes,
    "fal": fal.routes,
    "gemini": gemini.routes,
    "hunyuan": hunyuan.routes,
    "ideogram": ideogram.routes,
    "jimeng": jimeng.routes,
    "kie": sunoapi.kie_routes,
    "kling": kling.routes,
    "luma": luma.routes,
    "midjourney": midjourney.routes,
    "minimax": minimax.routes,
    "mothlight": mothlight.routes,
    "openai": openai.routes,
    "pixverse": pixverse.routes,
    "recraft": recraft.routes,
    "replicate": replicate.routes,
    "runway": runway.routes,
    "stability": stability.routes,
    "suno": suno.routes,
    "sunoapi": sunoapi.routes,
    "vertex": vertex.routes,
    "vidu": vidu.routes,
    "xai": xai.routes,
    "zhipu": zhipu.routes,
}

new_event_loop = event_loops.new_event_loop
"""The fastest event loop there is."""

STOP_S = 1.0
"""How long calls under way may still take when the server stops."""
START_S = 120.0
"""How long a server may take to answer its first call, with a full journal to read."""


@dataclass(frozen=True)
class SandboxSettings:
    """How the sandbox is to be.

    `secrets` are the only ones a provider accepts, where given; `webhook_secret` signs
    callbacks (`whsec_<base64>` or plain text; a random one when empty), which go to
    this machine and to `allow_webhook_hosts` only. `seed` makes drawn durations repeat.
    `journal` is a file in which jobs, owed callbacks and signing keys outlive the
    process; one server at a time can have it.
    """

    durations: Durations = field(default_factory=Durations)
    secrets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    allow_webhook_hosts: frozenset[str] = frozenset()
    webhook_secret: str = ""
    most_jobs: int = MOST_JOBS
    most_age_s: float = MOST_AGE_S
    most_body_bytes: int = 100 * 1000**2
    seed: int | None = None
    journal: Path | None = None
    clock: Callable[[], float] = time.time


@dataclass
class World:
    """All that one server remembers; its journal is open while it serves."""

    ledger: Ledger
    upstreams: Mapping[str, Upstream]
    journal: Journal | None = None

    def open_journal(self, path: Path, webhook_secret: str, now: float) -> None:
        """Remember what the journal tells; OSError when it cannot be used."""
        journal = Journal(path)
        try:
            for name, keys in journal.keys_of(self.upstreams).items():
                if webhook_secret:
                    keys = replace(keys, secret=secret_bytes(webhook_secret))
                self.upstreams[name].keys = keys
            recall(journal, self.upstreams, now)
        except OSError:
            journal.close()
            raise
        self.journal = journal

    def reset(self) -> None:
        """Forget every job, count and behaviour; the signing keys stay."""
        self.ledger.clear()
        for upstream in self.upstreams.values():
            upstream.webhooks.forget()
            upstream.forget()
        if self.journal is not None:
            self.journal.clear()


WORLD = web.AppKey("WORLD", World)


def create_server(
    settings: SandboxSettings | None = None,
    dialects: Mapping[str, Routes] = DIALECTS,
) -> web.Application:
    """The server with every dialect under its provider's name."""
    settings = settings or SandboxSettings()
    server = web.Application(client_max_size=settings.most_body_bytes)
    ledger = Ledger(settings.most_jobs)
    webhooks = WebhookSender(settings.clock, settings.allow_webhook_hosts)
    upstreams = {}
    for name, routes in dialects.items():
        upstream = Upstream(
            name=name,
            ledger=ledger,
            jobs=Jobs(settings.most_jobs, settings.most_age_s),
            keys=SigningKeys.generate(settings.webhook_secret),
            clock=settings.clock,
            webhooks=webhooks,
            default_durations=settings.durations,
            secrets=settings.secrets.get(name, frozenset()),
            chance=random.Random(settings.seed),
        )
        upstreams[name] = upstream
        server.add_routes(mounted(route, upstream) for route in routes(upstream))
    world = server[WORLD] = World(ledger, upstreams)
    server.add_routes(
        [
            web.get("/_sandbox/healthz", health),
            web.get("/_sandbox/ledger", show_ledger),
            web.post("/_sandbox/reset", reset),
            web.get("/_sandbox/behaviour", show_behaviour),
            web.put("/_sandbox/behaviour", set_behaviour),
        ]
    )

    async def start(_: web.Application) -> None:
        if settings.journal is not None:
            now = settings.clock()
            world.open_journal(settings.journal, settings.webhook_secret, now)

    async def close(_: web.Application) -> None:
        await webhooks.close()
        if world.journal is not None:
            world.journal.close()

    server.on_startup.append(start)
    server.on_cleanup.append(close)
    return server


def mounted(route: web.RouteDef, upstream: Upstream) -> web.RouteDef:
    """A dialect's route under its provider's name, obeying the behaviour that is set.

    A prefix costs nothing when a call is routed, a sub-application would.
    """
    handler: Handler = route.handler

    async def handle(request: web.Request) -> web.StreamResponse:
        behaviour = upstream.behaviour
        if behaviour.latency_ms:
            await asyncio.sleep(behaviour.latency_ms / 1000)
        if behaviour.down:
            upstream.ledger.count(upstream.name, CallKind.DOWN)
            return web_page(503)
        return await handler(request)

    path = f"/{upstream.name}{route.path}"
    return web.RouteDef(route.method, path, handle, route.kwargs)


async def health(request: web.Request) -> web.Response:
    """`GET /_sandbox/healthz`: alive, and which providers are here."""
    return json_answer(
        {"status": "ok", "providers": list(request.app[WORLD].upstreams)}
    )


async def show_ledger(request: web.Request) -> web.Response:
    """`GET /_sandbox/ledger?provider=&prompt_contains=`: what was paid and called.

    With `&moments=poll` also when the newest calls of that kind came.
    """
    world = request.app[WORLD]
    provider = request.query.get("provider", "")
    contained = request.query.get("prompt_contains", "")
    kind = request.query.get("moments", "")
    names = [provider] if provider else list(world.upstreams)
    told: dict[str, Any] = {
        "submits": [asdict(s) for s in world.ledger.submits(provider, contained)],
        "calls": {name: world.ledger.calls_of(name) for name in names},
    }
    if kind:
        told["moments"] = {name: world.ledger.moments_of(name, kind) for name in names}
    return json_answer(told)


async def reset(request: web.Request) -> web.Response:
    """`POST /_sandbox/reset`: as if newly started."""
    request.app[WORLD].reset()
    return json_answer({"status": "ok"})


async def show_behaviour(request: web.Request) -> web.Response:
    """`GET /_sandbox/behaviour`: of each upstream that does not behave as usual."""
    upstreams = request.app[WORLD].upstreams
    return json_answer(
        {
            name: asdict(upstream.behaviour)
            for name, upstream in upstreams.items()
            if upstream.behaviour != Behaviour()
        }
    )


async def set_behaviour(request: web.Request) -> web.Response:
    """`PUT /_sandbox/behaviour`: `{"fal": {"down": true}, "suno": {}}`.

    Each provider named behaves as its object says and is else as usual; the others stay
    as they are. Nothing is changed when any part is wrong.
    """
    upstreams = request.app[WORLD].upstreams
    try:
        wanted = {
            name: read_behaviour(upstreams, name, value)
            for name, value in (await read_json(request)).items()
        }
    except ValueError as error:
        return json_answer({"error": str(error)}, 400)
    for name, behaviour in wanted.items():
        upstreams[name].set_behaviour(behaviour)
    return await show_behaviour(request)


def read_behaviour(
    upstreams: Mapping[str, Upstream], name: str, value: Any
) -> Behaviour:
    """A behaviour from its JSON; raises BadInput."""
    if name not in upstreams:
        raise BadInput(f"{name!r} is no provider here: {', '.join(upstreams)}")
    if not isinstance(value, dict):
        raise BadInput(f"{name} must be an object", name)
    allowed = {field.name: type(field.default) for field in fields(Behaviour)}
    for key, given in value.items():
        if key not in allowed:
            raise BadInput(f"{name}.{key} is not one of {', '.join(allowed)}", key)
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        fits = is_number if allowed[key] is float else isinstance(given, allowed[key])
        if not fits:
            raise BadInput(f"{name}.{key} must be a {allowed[key].__name__}", key)
    return Behaviour(**value)


class Sandbox:
    """A server running in a thread of its own; `close` stops it.

    `url` has no final slash; a provider is at `<url>/<provider>`. The ledger may be
    read from any thread.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: SandboxSettings | None = None,
        dialects: Mapping[str, Routes] = DIALECTS,
    ) -> None:
        """Start it and return once it answers; OSError when the address is taken."""
        self._server = create_server(settings, dialects)
        self._world = self._server[WORLD]
        self.ledger = self._world.ledger
        self.url = ""
        self._loop = new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(
            target=self._run, args=(host, port), name="sandbox", daemon=True
        )
        self._thread.start()
        if not self._ready.wait(START_S):
            raise TimeoutError("the sandbox did not start")
        if self._error is not None:
            self._thread.join()
            raise self._error

    def upstream(self, provider: str) -> Upstream:
        """What one provider remembers: for looking, its state belongs to the server."""
        return self._world.upstreams[provider]

    def behave(self, provider: str, **behaviour: Any) -> None:
        """Let a provider behave so: the fields of `Behaviour`; none means as usual."""
        upstream = self.upstream(provider)
        self._call(lambda: upstream.set_behaviour(Behaviour(**behaviour)))

    def reset(self) -> None:
        """As if newly started."""
        self._call(self._world.reset)

    def close(self) -> None:
        """Stop the server; calls under way are cut off after a moment."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _call(self, action: Callable[[], None]) -> None:
        async def run() -> None:
            action()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(START_S)

    def _run(self, host: str, port: int) -> None:
        try:
            self._loop.run_until_complete(self._serve(host, port))
        except OSError as error:
            self._error = error
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._ready.set()

    async def _serve(self, host: str, port: int) -> None:
        async with serving(self._server, host, port) as url:
            self.url = url
            self._ready.set()
            await self._stop.wait()


@asynccontextmanager
async def serving(server: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Answer calls while the block runs; gives the URL without a final slash."""
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=2048).start()
        address = runner.addresses[0]
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        yield f"http://{shown}:{address[1]}"
    finally:
        await runner.cleanup()


@contextmanager
def running(
    host: str = "127.0.0.1",
    port: int = 0,
    settings: SandboxSettings | None = None,
    dialects: Mapping[str, Routes] = DIALECTS,
) -> Iterator[Sandbox]:
    """A server in a thread of its own while the block runs; port 0 takes a free one."""
    sandbox = Sandbox(host, port, settings, dialects)
    try:
        yield sandbox
    finally:
        sandbox.close()
