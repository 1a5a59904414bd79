"""Recraft in the sandbox: images and tools, answered when finished, and styles.

`/recraft/v1` stands for external.api.recraft.ai/v1, `/recraft/img` for the host of
results, whose links have no ending. Only 401 and 404 have published bodies; those of
the other errors, and their codes, are guesses that read like the real ones. The limits
of requests per second and the improving of prompts are not simulated. Wire format:
recraft.ai/docs (API reference), the OpenAPI document, read 2026-11.
"""

from __future__ import annotations

import base64
import html
import secrets
import uuid
from dataclasses import replace
from typing import Any

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_submit,
    json_answer,
    make_output,
)
from sandbox.inputs import BadInput, bearer, get_choice, read_form, read_json
from sandbox.jobs import CallKind, Job, JobPhase, MediaType, Upstream
from sandbox.recraft_rules import (
    MODELS,
    ROUTES,
    STYLES,
    Route,
    TooLarge,
    Wanted,
    read_fields,
    read_picture,
    read_wanted,
)

CREDITS = {"svg": 80, "png": 40, "webp": 40}
TOOL_CREDITS = 10
STYLE_CREDITS = 40
MOST_STYLES = 10_000
BALANCE = 1000
TYPES = {"svg": "image/svg+xml"}


def problem(status: int, code: str, message: str) -> web.Response:
    return json_answer({"code": code, "message": message}, status)


def plain(status: int, text: str) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/plain")


REFUSALS = Refusals(
    unauthorized=lambda: plain(401, "request unauthorized"),
    forbidden=lambda: problem(403, "forbidden", "this account may not do that"),
    rate_limit=lambda: problem(429, "too_many_requests", "slow down"),
    quota=lambda: problem(400, "not_enough_credits", "the balance is too low"),
    bad_request=lambda message: problem(400, "invalid_parameter", message),
    server_error=lambda status: problem(status, "internal_error", "try again later"),
    not_found=lambda: plain(404, "404 page not found"),
    blocked=lambda: problem(400, "prompt_rejected", "the prompt was found to be NSFW"),
)


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Recraft's paths, without the provider's prefix."""
    styles = upstream.shelf("styles", MOST_STYLES)

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        refusal = admit(upstream, kind, bearer(request), REFUSALS)
        billing = request.query.get("billing", "api")
        if refusal is None and billing not in {"api", "subscription"}:
            return REFUSALS.bad_request("billing must be api or subscription")
        return refusal

    async def make(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.SUBMIT)
        if refusal is not None:
            return refusal
        route = ROUTES[request.match_info["route"]]
        try:
            wanted = await read(request, route)
        except TooLarge as error:
            return problem(413, "file_too_large", str(error))
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        return await answer(request, route, wanted)

    async def read(request: web.Request, route: Route) -> Wanted:
        body: dict[str, Any]
        loose = request.content_type != "application/json"
        files: dict[str, bytes] = {}
        if loose:
            body, files = read_fields(await read_form(request))
        else:
            body = await read_json(request)
        wanted = read_wanted(route, body, files, loose=loose)
        source = body.get("source_image_id")
        if source is not None:
            first = find(str(source))[0]
            if first is None:
                raise BadInput("source_image_id is not known", "source_image_id")
            wanted = replace(wanted, prompt=first.prompt)
        style_id = body.get("style_id")
        if style_id is not None and styles.find(str(style_id).lower()) is None:
            raise BadInput("style_id is not known", "style_id")
        return wanted

    async def answer(
        request: web.Request, route: Route, wanted: Wanted
    ) -> web.StreamResponse:
        def accept() -> Job:
            # the last two digits of an image's id are its number within the job
            return upstream.accept(
                request,
                str(uuid.uuid4())[:-2] + "00",
                prompt=wanted.prompt,
                media_type=MediaType.IMAGE,
                model="" if route.tool else wanted.model,
                width=wanted.width,
                height=wanted.height,
                count=wanted.count,
                secret=bearer(request) or "",
                extra={"form": wanted.form, "sig": secrets.token_hex(6)},
            )

        async def respond(job: Job) -> web.Response:
            made = [index for index in range(job.count) if not job.output_fails(index)]
            items = [await item(job, index, wanted) for index in made]
            told: dict[str, Any] = {"created": int(job.ends_at)}
            if route.tool:
                return json_answer({**told, "credits": TOOL_CREDITS, "image": items[0]})
            told |= {"credits": CREDITS[wanted.form] * len(items), "data": items}
            if wanted.styled:
                told["style_id"] = add_style()
            return json_answer(told)

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, REFUSALS, waits=True
        )

    async def item(job: Job, index: int, wanted: Wanted) -> dict[str, Any]:
        image_id = f"{job.id[:-2]}{index:02x}"
        told: dict[str, Any] = {"image_id": image_id}
        if wanted.scored:
            told["features"] = {"nsfw_score": 0.01}
        if wanted.as_url:
            place = f"{job.base_url}/img/{job.extra['sig']}/plain"
            return {**told, "url": f"{place}/abs://external/images/{image_id}"}
        data = await image_file(job, index)
        return {**told, "b64_json": base64.b64encode(data).decode()}

    def find(image_id: str) -> tuple[Job | None, int]:
        try:
            index = int(image_id[-2:], 16)
        except ValueError:
            return None, 0
        return upstream.jobs.find(image_id[:-2] + "00"), index

    async def show_file(request: web.Request) -> web.StreamResponse:
        job, index = find(request.match_info["id"])
        if job is not None and request.match_info["sig"] != job.extra["sig"]:
            return REFUSALS.expired()
        form = str(job.extra["form"]) if job is not None else "png"
        if job is None or form not in TYPES:
            return await answer_media(request, upstream, job, index, form, REFUSALS)
        upstream.ledger.count(upstream.name, CallKind.MEDIA)
        over = job.phase(upstream.clock()) is JobPhase.SUCCEEDED
        if not over or index >= job.count or job.output_fails(index):
            return REFUSALS.no_file()
        if job.script.expired:
            return REFUSALS.expired()
        data = await image_file(job, index)
        return web.Response(body=data, content_type=TYPES[form])

    def add_style() -> str:
        style_id = str(uuid.uuid4())
        styles.put(style_id, {"id": style_id, "creation_time": int(upstream.clock())})
        return style_id

    async def create_style(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.UPLOAD)
        if refusal is not None:
            return refusal
        try:
            form = await read_form(request)
            get_choice(form.fields, "style", STYLES)
            if not form.files:
                raise BadInput("images are required", "images")
            for file in form.files:
                read_picture(file.data, None, file.name)
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        return json_answer({"id": add_style(), "credits": STYLE_CREDITS})

    async def show_styles(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.LIST)
        return refusal or json_answer({"styles": styles.things()})

    async def show_basic_styles(request: web.Request) -> web.StreamResponse:
        named = [{"style": style, "model": "recraftv3"} for style in STYLES]
        return refused(request, CallKind.LIST) or json_answer({"styles": named})

    async def show_models(request: web.Request) -> web.StreamResponse:
        told = [
            {
                "id": name,
                "name": name,
                "created": 1_790_000_000,
                "input_modalities": ["text"],
                "output_modalities": ["image"],
                "pricing": {"image": "0.04"},
            }
            for name in MODELS
        ]
        return refused(request, CallKind.LIST) or json_answer({"data": told})

    async def show_me(request: web.Request) -> web.StreamResponse:
        me = {
            "id": "b0c1d2e3-0000-4000-8000-00000000000a",
            "name": "Sandbox",
            "email": "sandbox@example.com",
            "credits": BALANCE,
        }
        return refused(request, CallKind.OTHER) or json_answer(me)

    async def show_status(_: web.Request) -> web.StreamResponse:
        return json_answer({"service": True, "generation": True})

    async def ping(_: web.Request) -> web.StreamResponse:
        return web.Response()

    async def nowhere(_: web.Request) -> web.StreamResponse:
        return REFUSALS.not_found()

    paths = "|".join(sorted(ROUTES, key=len, reverse=True))
    return [
        web.get("/ping", ping),
        web.get("/status", show_status),
        web.get("/v1/users/me", show_me),
        web.get("/v1/models", show_models),
        web.get("/v1/styles/basic", show_basic_styles),
        web.get("/v1/styles", show_styles),
        web.post("/v1/styles", create_style),
        web.post(f"/v1/images/{{route:{paths}}}", make),
        web.get("/img/{sig}/plain/abs:{slashes:/{1,2}}external/images/{id}", show_file),
        web.route("*", "/v1/{rest:.*}", nowhere),
    ]


async def image_file(job: Job, index: int) -> bytes:
    """The image in its form; vectors are a rectangle with the prompt on it."""
    if job.extra["form"] != "svg":
        return await make_output(job, index, str(job.extra["form"]))
    size = f'width="{job.width}" height="{job.height}"'
    colour = f"#{(0x335577 + 0x1A2B3C * index) % 0x1000000:06x}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
        f'<rect width="100%" height="100%" fill="{colour}"/>'
        f'<text x="8%" y="52%" fill="white">{html.escape(job.prompt)}</text></svg>'
    ).encode()
