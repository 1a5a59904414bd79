"""Jimeng (Volcengine): images and videos behind one path, asked for by `Action`.

Wire format: volcengine.com/docs/85621 (1777001, 1792707, 1817045) and 6444/69728, read
November 2026. Assumptions, since they are not documented: the body and status of a
refused signature, the code 50215 for all bad parameters, that the `req_key` of a poll
must be the one of the submit, and when a result counts as `expired`.

Of the access key `sandbox-id`, whose secret is `sandbox-key`, and of those in the
settings (`<id>:<secret>`) the signature is checked; of others only its form.
"""

import base64
import hashlib
import json
import secrets
from typing import Any

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
    make_output,
)
from sandbox.inputs import BadInput, get_text, read_json
from sandbox.jimeng_rules import (
    SYNC_KEYS,
    NoSuchKey,
    Wanted,
    find_rule,
    read_wanted,
    wants_links,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.volcengine_v4 import (
    BadSignature,
    Signer,
    check_signature,
    read_signer,
)

WORDS = {
    JobPhase.QUEUED: "in_queue",
    JobPhase.RUNNING: "generating",
    JobPhase.SUCCEEDED: "done",
    JobPhase.FAILED: "done",  # without a file
    JobPhase.CANCELLED: "done",
}
REGION = "cn-north-1"
SERVICE = "cv"
VERSION = "2022-08-31"
SUBMIT = "CVSync2AsyncSubmitTask"
RESULT = "CVSync2AsyncGetResult"
PROCESS = "CVProcess"
KINDS = {
    SUBMIT: CallKind.SUBMIT,
    PROCESS: CallKind.SUBMIT,
    RESULT: CallKind.POLL,
}
OPEN_KEYS = {"sandbox-id": "sandbox-key"}
RECORD_LIVES_S = 12 * 3600
LINK_LIVES_S = {MediaType.IMAGE: 24 * 3600, MediaType.VIDEO: 3600}
BLOCKED_CODES = {MediaType.IMAGE: 50511, MediaType.VIDEO: 50516}
BLOCKED_TEXTS = {
    MediaType.IMAGE: "Post Img Risk Not Pass",
    MediaType.VIDEO: "Post Video Risk Not Pass",
}


def shell(code: int, message: str, data: Any, status: int = 200) -> web.Response:
    """The body that every answer of the service itself has."""
    return json_answer(
        {
            "code": code,
            "data": data,
            "message": message,
            "request_id": secrets.token_hex(12).upper(),
            "status": code,
            "time_elapsed": "12.3ms",
        },
        status,
    )


def success(data: Any) -> web.Response:
    return shell(10000, "Success", data)


def refusal(status: int, code: int, message: str) -> web.Response:
    return shell(code, message, None, status)


def gate_refusal(status: int, number: int, code: str, message: str) -> web.Response:
    """The body of the platform in front of the service."""
    return json_answer(
        {
            "ResponseMetadata": {
                "RequestId": secrets.token_hex(12).upper(),
                "Service": SERVICE,
                "Region": REGION,
                "Error": {"CodeN": number, "Code": code, "Message": message},
            }
        },
        status,
    )


def bad_signature(why: str) -> web.Response:
    return gate_refusal(401, 100010, "SignatureDoesNotMatch", why)


def blocked_output(job: Job) -> web.Response:
    return refusal(400, BLOCKED_CODES[job.media_type], BLOCKED_TEXTS[job.media_type])


def no_task(status: str = "not_found") -> web.Response:
    return success(state(status))


def state(status: str, **files: Any) -> dict[str, Any]:
    """`data` of a poll; the fields of files are always there."""
    nothing = {"image_urls": None, "binary_data_base64": None, "video_url": ""}
    return {"status": status, **nothing, **files}


REFUSALS = Refusals(
    unauthorized=lambda: gate_refusal(
        401, 100009, "InvalidAccessKey", "The access key is not valid."
    ),
    forbidden=lambda: gate_refusal(403, 100013, "AccessDenied", "Not authorized."),
    rate_limit=lambda: refusal(
        429, 50429, "Request Has Reached API Limit, Please Try Later"
    ),
    # there is no code for an account without money
    quota=lambda: refusal(400, 50400, "Access Denied: Internal Error"),
    bad_request=lambda message: refusal(400, 50215, f"Input invalid: {message}"),
    server_error=lambda status: refusal(status, 50500, "Internal Error"),
    not_found=no_task,
    blocked=lambda: refusal(400, 50412, "Text Risk Not Pass"),
    failed=lambda job: success(state("done")),
    blocked_result=blocked_output,
)


def file_query(job: Job) -> str:
    """The signature of a link, in which the time of its death is written."""
    expires = int(job.ends_at) + LINK_LIVES_S[job.media_type]
    digest = hashlib.sha256(f"{job.id}/{expires}".encode()).hexdigest()
    return f"rk3s=8e244e95&x-expires={expires}&x-signature={digest[:26]}%3D"


def file_url(job: Job, index: int) -> str:
    ending = "mp4" if job.media_type is MediaType.VIDEO else "png"
    return f"{job.base_url}/files/{job.id}/{index}.{ending}?{file_query(job)}"


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Jimeng's one path and its files, without the provider's prefix."""
    known = dict(OPEN_KEYS)
    for pair in upstream.secrets:
        key_id, _, secret = pair.replace("|", ":").partition(":")
        known[key_id] = secret

    async def call(request: web.Request) -> web.StreamResponse:
        action = request.query.get("Action", "")
        kind = KINDS.get(action, CallKind.OTHER)
        body = await request.read()
        try:
            signer = read_signer(
                request, body, region=REGION, service=SERVICE, now=upstream.clock()
            )
            refused = admit(upstream, kind, secret_of(signer), REFUSALS)
            if refused is not None:
                return refused
            if signer is not None and signer.key_id in known:
                digest = hashlib.sha256(body).hexdigest()
                check_signature(request, signer, known[signer.key_id], digest)
        except BadSignature as error:
            return bad_signature(str(error))
        if action not in KINDS or request.query.get("Version") != VERSION:
            text = "Could not find operation for this version"
            return gate_refusal(404, 100008, "InvalidActionOrVersion", text)
        owner = signer.key_id if signer is not None else ""
        if action == RESULT:
            return await poll(request, owner)
        return await submit(request, owner, waits=action == PROCESS)

    def secret_of(signer: Signer | None) -> str | None:
        """The whole secret where the settings have it, else the access key alone."""
        if signer is None:
            return None
        for pair in upstream.secrets:
            if pair.replace("|", ":").partition(":")[0] == signer.key_id:
                return pair
        return signer.key_id

    async def submit(
        request: web.Request, owner: str, *, waits: bool
    ) -> web.StreamResponse:
        try:
            body = await read_json(request)
            req_key = get_text(body, "req_key")
            rule = find_rule(req_key)
            if (req_key in SYNC_KEYS) is not waits:
                raise NoSuchKey(req_key)
            wanted = read_wanted(body, rule)
        except NoSuchKey:
            return refusal(400, 50400, "Access Denied: Internal Error")
        except BadInput as error:
            return REFUSALS.bad_request(str(error))

        def accept() -> Job:
            return accept_task(request, req_key, wanted, owner)

        async def respond(job: Job) -> web.StreamResponse:
            if waits:
                return success(await outputs(job, wanted.return_url))
            return success({"task_id": job.id})

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, REFUSALS, waits=waits
        )

    def accept_task(
        request: web.Request, req_key: str, wanted: Wanted, owner: str
    ) -> Job:
        return upstream.accept(
            request,
            str(secrets.randbelow(9 * 10**18) + 10**18),
            prompt=wanted.prompt,
            media_type=wanted.media_type,
            model=req_key,
            width=wanted.width,
            height=wanted.height,
            seconds=wanted.seconds,
            count=wanted.count,
            secret=owner,
        )

    async def poll(request: web.Request, owner: str) -> web.StreamResponse:
        try:
            body = await read_json(request)
            req_key = get_text(body, "req_key")
            find_rule(req_key)
            task_id = get_text(body, "task_id")
            with_links = wants_links(body)
        except NoSuchKey:
            return refusal(400, 50400, "Access Denied: Internal Error")
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        job = upstream.jobs.find(task_id)
        if job is not None and (job.model, job.owner) != (req_key, owner):
            job = None

        async def respond(job: Job) -> web.StreamResponse:
            if upstream.clock() > job.created_at + RECORD_LIVES_S:
                return no_task("expired")
            word = upstream.status_word(job, WORDS)
            if word != "done":
                return success(state(word))
            if job.failure is Failure.BLOCKED:
                return blocked_output(job)
            return success(await outputs(job, with_links))

        return await answer_poll(request, upstream, job, respond, REFUSALS)

    async def outputs(job: Job, with_links: bool) -> dict[str, Any]:
        """`data` of a task that is done; one that failed has no file."""
        if job.phase(upstream.clock()) is not JobPhase.SUCCEEDED:
            return state("done")
        if job.media_type is MediaType.VIDEO:
            files: dict[str, Any] = {"video_url": file_url(job, 0)}
        elif with_links:
            files = {"image_urls": [file_url(job, i) for i in range(job.count)]}
        else:
            made = [await make_output(job, i, "png") for i in range(job.count)]
            files = {"binary_data_base64": [base64.b64encode(m).decode() for m in made]}
        told = json.dumps({"seed": -1})
        return {**state("done", **files), "resp_data": told, "task_id": job.id}

    async def media(request: web.Request) -> web.StreamResponse:
        """A result file; its link is good byte for byte only, and for its time."""
        job = upstream.jobs.find(request.match_info["id"])
        if job is not None:
            expires = job.ends_at + LINK_LIVES_S[job.media_type]
            if request.rel_url.raw_query_string != file_query(job):
                return REFUSALS.expired()
            if upstream.clock() > expires:
                return REFUSALS.expired()
        return await answer_media(
            request,
            upstream,
            job,
            int(request.match_info["index"]),
            request.match_info["format"],
            REFUSALS,
        )

    return [
        web.post("/", call),
        web.get(r"/files/{id}/{index:\d{1,2}}.{format:png|mp4}", media),
    ]
