"""A made-up provider, as small as a dialect can be: images later, or at once."""

import itertools
import json

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_polls,
    answer_submit,
    json_answer,
    make_output,
)
from sandbox.inputs import BadInput, bearer, get_text, get_whole, read_json
from sandbox.jobs import CallKind, Job, JobPhase, MediaType, Upstream
from sandbox.webhooks import SigningKeys, WebhookMessage

SECRET = {"Authorization": "Bearer some-key"}
WORDS = {phase: phase.upper() for phase in JobPhase}


def problem(status: int, code: str) -> web.Response:
    return json_answer({"error": code}, status)


REFUSALS = Refusals(
    unauthorized=lambda: problem(401, "unauthorized"),
    forbidden=lambda: problem(403, "forbidden"),
    rate_limit=lambda: problem(429, "rate_limit"),
    quota=lambda: problem(402, "quota"),
    bad_request=lambda message: problem(400, message),
    server_error=lambda status: problem(status, "server_error"),
    not_found=lambda: problem(404, "not_found"),
    blocked=lambda: problem(400, "blocked"),
)
LATE_MODERATION = Refusals(
    **{**vars(REFUSALS), "blocked": None},
)


def routes(upstream: Upstream, refusals: Refusals = REFUSALS) -> list[web.RouteDef]:
    numbers = itertools.count(1)

    async def submit(request: web.Request) -> web.StreamResponse:
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, refusals)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            prompt = get_text(body, "prompt")
            count = get_whole(body, "n", default=1, least=1, most=4)
            hook = get_text(body, "hook", default="")
        except BadInput as error:
            return refusals.bad_request(str(error))
        waits = request.path.endswith("/now")

        def accept() -> Job:
            job = upstream.accept(
                request,
                f"job-{next(numbers)}",
                prompt=prompt,
                media_type=MediaType.IMAGE,
                width=64,
                height=64,
                count=count,
                reference=body.get("reference"),
                secret=secret or "",
            )
            if hook:
                upstream.call_back(job, hook, lambda keys, now: message(job, keys, now))
            return job

        async def respond(job: Job) -> web.StreamResponse:
            if waits:
                return web.Response(
                    body=await make_output(job, 0, "png"), content_type="image/png"
                )
            return json_answer({"id": job.id, "of": "tiny"}, 202)

        return await answer_submit(
            request, upstream, prompt, accept, respond, refusals, waits=waits
        )

    async def poll(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, bearer(request), refusals)
        if refused is not None:
            return refused
        job = upstream.jobs.find(request.match_info["id"])
        return await answer_poll(
            request, upstream, job, lambda job: json_answer(state(job)), refusals
        )

    async def polls(request: web.Request) -> web.StreamResponse:
        ids = request.query["ids"].split(",")
        jobs = [job for id in ids if (job := upstream.jobs.find(id)) is not None]
        return await answer_polls(
            request,
            upstream,
            jobs,
            lambda jobs: json_answer([state(job) for job in jobs]),
            refusals,
        )

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        index = int(request.match_info["index"])
        ending = request.match_info["ending"]
        return await answer_media(request, upstream, job, index, ending, refusals)

    def state(job: Job) -> dict[str, str]:
        return {"id": job.id, "status": upstream.status_word(job, WORDS)}

    def message(job: Job, keys: SigningKeys, now: float) -> WebhookMessage:
        body = json.dumps(state(job)).encode()
        return WebhookMessage(body, keys.standard_headers(job.id, int(now), body))

    return [
        web.post("/jobs", submit),
        web.post("/now", submit),
        web.get("/jobs", polls),
        web.get("/jobs/{id}", poll),
        web.get(r"/files/{id}/{index:\d+}.{ending}", media),
    ]


def late_routes(upstream: Upstream) -> list[web.RouteDef]:
    """The same provider, if it moderates only after it has accepted."""
    return routes(upstream, LATE_MODERATION)
