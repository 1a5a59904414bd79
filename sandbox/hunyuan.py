"""Hunyuan (Tencent Cloud): three services of one path each; the action is a header.

Wire format: the classes of the official SDK (vclm 2024-05-23, hunyuan 2023-09-01, aiart
2022-12-29) and cloud.tencent.com/document/product/213/30654, read November 2026.
Assumptions, since they are not documented: the text in `ResultDetails` of an image
that failed and its empty link, that an action answers for its own jobs only, the HTTP
status of a gateway in trouble, and the code for a `ChatId` nobody knows. The limit of
one running job for each action is left to the tag `[429]`.

Of the SecretId `sandbox-id`, whose key is `sandbox-key`, and of those in the settings
(`<id>:<key>`) the signature is checked; of others only its form.
"""

import base64
import hashlib
import secrets
import uuid
from dataclasses import dataclass
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
    web_page,
)
from sandbox.hunyuan_rules import (
    FILM_JOB,
    IMAGE_JOB,
    LITE,
    MOVING_JOB,
    PRO_JOB,
    TALK_JOB,
    Action,
    UnknownField,
    Wanted,
    read_wanted,
)
from sandbox.inputs import BadInput, get_text, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.tencent_tc3 import BadSignature, Signer, check_signature, read_signer

REGION = "ap-guangzhou"
OPEN_KEYS = {"sandbox-id": "sandbox-key"}
FILM_WORDS = {
    JobPhase.QUEUED: "WAIT",
    JobPhase.RUNNING: "RUN",
    JobPhase.SUCCEEDED: "DONE",
    JobPhase.FAILED: "FAIL",
    JobPhase.CANCELLED: "FAIL",
}
IMAGE_WORDS = {
    JobPhase.QUEUED: "1",
    JobPhase.RUNNING: "2",
    JobPhase.SUCCEEDED: "5",
    JobPhase.FAILED: "4",
    JobPhase.CANCELLED: "4",
}
TOLD = {"1": "排队中", "2": "处理中", "4": "处理失败", "5": "处理完成"}
HOUR_S = 3600
LINKS_LIVE_S = {
    FILM_JOB.name: 24 * HOUR_S,
    MOVING_JOB.name: 24 * HOUR_S,
    TALK_JOB.name: 7 * 24 * HOUR_S,
}
BLOCKED_IMAGE = ("OperationDenied.ImageIllegalDetected", "The image is not allowed.")
BLOCKED_FILM = ("FailedOperation.ModerationFailed", "Moderation did not pass it.")


@dataclass(frozen=True)
class Service:
    """One product: the path it has here, and its words where they differ."""

    path: str
    name: str
    version: str
    actions: tuple[Action, ...]
    empty: str
    blocked: str


SERVICES = (
    Service(
        "images",
        "hunyuan",
        "2023-09-01",
        (IMAGE_JOB, TALK_JOB, LITE),
        empty="ResourceInsufficient.ChargeResourceExhaust",
        blocked="OperationDenied.TextIllegalDetected",
    ),
    Service(
        "videos",
        "vclm",
        "2024-05-23",
        (FILM_JOB, MOVING_JOB),
        empty="ResourceInsufficient",
        blocked="FailedOperation.ModerationFailed",
    ),
    Service(
        "aiart",
        "aiart",
        "2022-12-29",
        (PRO_JOB,),
        empty="ResourceUnavailable.LowBalance",
        blocked="OperationDenied.TextIllegalDetected",
    ),
)


def shell(**fields: Any) -> web.Response:
    """The body that every answer has; its status is always 200."""
    return json_answer({"Response": {**fields, "RequestId": str(uuid.uuid4())}})


def refusal(code: str, message: str) -> web.Response:
    return shell(Error={"Code": code, "Message": message})


def trouble(status: int) -> web.Response:
    """The service's own fault comes with 200, that of a proxy in front does not."""
    if status == 500:
        return refusal("InternalError", "An internal error.")
    return web_page(status)


def refusals_of(service: Service) -> Refusals:
    return Refusals(
        unauthorized=lambda: refusal(
            "AuthFailure.SecretIdNotFound", "The SecretId is not found."
        ),
        forbidden=lambda: refusal("UnauthorizedOperation", "Not authorized."),
        rate_limit=lambda: refusal(
            "RequestLimitExceeded.JobNumExceed", "Too many jobs are running."
        ),
        quota=lambda: refusal(service.empty, "The resource pack is used up."),
        bad_request=lambda message: refusal(
            "InvalidParameterValue.ParameterValueError"
            if service.name != "vclm"
            else "InvalidParameterValue",
            message,
        ),
        server_error=trouble,
        not_found=lambda: refusal("FailedOperation.JobNotExist", "No such job."),
        blocked=lambda: refusal(service.blocked, "The text is not allowed."),
        failed=lambda job: refusal(
            "FailedOperation.GenerateImageFailed", "The image could not be made."
        ),
        blocked_result=lambda job: refusal(*BLOCKED_IMAGE),
    )


def expires_at(job: Job) -> int:
    return int(job.ends_at) + LINKS_LIVE_S.get(job.model, HOUR_S)


def file_query(job: Job) -> str:
    """The signature of a link, as the object store writes it."""
    end = expires_at(job)
    digest = hashlib.sha1(f"{job.id}/{end}".encode(), usedforsecurity=False)
    span = f"{int(job.created_at)}%3B{end}"
    return (
        f"q-sign-algorithm=sha1&q-ak=AKIDsandbox&q-sign-time={span}&q-key-time={span}"
        f"&q-header-list=host&q-url-param-list=&q-signature={digest.hexdigest()}"
    )


def file_url(job: Job, index: int) -> str:
    ending = "mp4" if job.media_type is MediaType.VIDEO else "png"
    return f"{job.base_url}/files/{job.id}/{index}.{ending}?{file_query(job)}"


def failure_of(job: Job, upstream: Upstream) -> tuple[str, str]:
    """Code and text of a job that failed; both are empty otherwise."""
    if job.phase(upstream.clock()) is not JobPhase.FAILED:
        return "", ""
    if job.media_type is MediaType.VIDEO:
        if job.failure is Failure.BLOCKED:
            return BLOCKED_FILM
        return "FailedOperation.InnerError", "The job broke off."
    if job.failure is Failure.BLOCKED:
        return BLOCKED_IMAGE
    return "FailedOperation.GenerateImageFailed", "The image could not be made."


def film_answer(job: Job, upstream: Upstream) -> web.Response:
    code, message = failure_of(job, upstream)
    is_done = job.phase(upstream.clock()) is JobPhase.SUCCEEDED
    return shell(
        Status=upstream.status_word(job, FILM_WORDS),
        ErrorCode=code,
        ErrorMessage=message,
        ResultVideoUrl=file_url(job, 0) if is_done else "",
    )


def images_answer(job: Job, upstream: Upstream) -> web.Response:
    code, message = failure_of(job, upstream)
    word = upstream.status_word(job, IMAGE_WORDS)
    is_done = job.phase(upstream.clock()) is JobPhase.SUCCEEDED
    made = range(job.count if is_done else 0)
    fields: dict[str, Any] = {
        "JobStatusCode": word,
        "JobStatusMsg": TOLD.get(word, word),
        "JobErrorCode": code,
        "JobErrorMsg": message,
        "ResultImage": ["" if job.output_fails(i) else file_url(job, i) for i in made],
        "ResultDetails": [
            BLOCKED_IMAGE[0] if job.output_fails(i) else "Success" for i in made
        ],
    }
    if job.model == TALK_JOB.name:
        fields["ChatId"] = job.reference if is_done else ""
        fields["History"] = job.extra.get("history", [])
    else:
        revised = f"{job.prompt}, in detail" if job.extra["revises"] else job.prompt
        fields["RevisedPrompt"] = [revised for _ in made]
    return shell(**fields)


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The one path of each service, and the files, without the provider's prefix."""
    known = dict(OPEN_KEYS)
    for pair in upstream.secrets:
        secret_id, _, key = pair.replace("|", ":").partition(":")
        known[secret_id] = key

    def secret_of(signer: Signer | None) -> str | None:
        """The whole secret where the settings have it, else the id alone."""
        if signer is None:
            return None
        for pair in upstream.secrets:
            if pair.replace("|", ":").partition(":")[0] == signer.secret_id:
                return pair
        return signer.secret_id

    def service_route(service: Service) -> web.RouteDef:
        submits = {action.name: action for action in service.actions}
        queries = {action.query: action for action in service.actions if action.query}
        refusals = refusals_of(service)

        async def call(request: web.Request) -> web.StreamResponse:
            name = request.headers.get("X-TC-Action", "")
            kind = CallKind.OTHER
            if name in submits:
                kind = CallKind.SUBMIT
            elif name in queries:
                kind = CallKind.POLL
            body = await request.read()
            try:
                signer = read_signer(request, service.name, upstream.clock())
                refused = admit(upstream, kind, secret_of(signer), refusals)
                if refused is not None:
                    return refused
                if signer is not None and signer.secret_id in known:
                    check_signature(request, signer, known[signer.secret_id], body)
            except BadSignature as error:
                return refusal(error.code, str(error))
            refused = check_common(request, service, kind)
            if refused is not None:
                return refused
            owner = signer.secret_id if signer is not None else ""
            try:
                given = await read_json(request)
                if name in queries:
                    return await poll(request, queries[name], given, owner)
                return await submit(request, submits[name], given, owner)
            except UnknownField as error:
                text = f"The parameter {error} is not recognized."
                return refusal("UnknownParameter", text)
            except BadInput as error:
                if str(error).endswith("is required"):
                    return refusal("MissingParameter", str(error))
                return refusals.bad_request(str(error))

        async def submit(
            request: web.Request, action: Action, given: dict[str, Any], owner: str
        ) -> web.StreamResponse:
            wanted = read_wanted(given, action)
            last = last_round(wanted, owner)

            def accept() -> Job:
                return accept_job(request, action, wanted, owner, last)

            async def respond(job: Job) -> web.StreamResponse:
                if action.query:
                    return shell(JobId=job.id)
                if wanted.as_url:
                    return shell(ResultImage=file_url(job, 0))
                made = await make_output(job, 0, "png")
                return shell(ResultImage=base64.b64encode(made).decode())

            return await answer_submit(
                request,
                upstream,
                wanted.prompt,
                accept,
                respond,
                refusals,
                waits=not action.query,
            )

        async def poll(
            request: web.Request, action: Action, given: dict[str, Any], owner: str
        ) -> web.StreamResponse:
            if given.keys() - {"JobId"}:
                raise UnknownField(sorted(given.keys() - {"JobId"})[0])
            job = upstream.jobs.find(get_text(given, "JobId"))
            if job is not None and (job.model, job.owner) != (action.name, owner):
                job = None

            def respond(job: Job) -> web.StreamResponse:
                if job.media_type is MediaType.VIDEO:
                    return film_answer(job, upstream)
                return images_answer(job, upstream)

            return await answer_poll(request, upstream, job, respond, refusals)

        return web.post(f"/{service.path}/", call)

    def check_common(
        request: web.Request, service: Service, kind: CallKind
    ) -> web.Response | None:
        """What is wrong with the headers that every action has."""
        if request.headers.get("X-TC-Version") != service.version:
            return refusal("NoSuchVersion", "The API has no such version.")
        if kind is CallKind.OTHER:
            return refusal("InvalidAction", "The API has no such action.")
        region = request.headers.get("X-TC-Region")
        if not region:
            return refusal("MissingParameter", "X-TC-Region is required")
        if region != REGION:
            return refusal("UnsupportedRegion", f"{region} is not a region of this.")
        return None

    def last_round(wanted: Wanted, owner: str) -> Job | None:
        """The round of a talk that this one goes on with; raises BadInput."""
        if not wanted.chat_id:
            return None
        last = upstream.jobs.find_by_reference(wanted.chat_id)
        if last is None or last.owner != owner:
            raise BadInput("ChatId is not known", "ChatId")
        return last

    def accept_job(
        request: web.Request,
        action: Action,
        wanted: Wanted,
        owner: str,
        last: Job | None,
    ) -> Job:
        extra: dict[str, Any] = {"revises": wanted.revises}
        if last is not None:
            told = {
                "ChatId": last.reference,
                "Prompt": last.prompt,
                "RevisedPrompt": f"{last.prompt}, in detail",
                "Seed": "1",
            }
            extra["history"] = [*last.extra.get("history", []), told]
        return upstream.accept(
            request,
            str(secrets.randbelow(9 * 10**18) + 10**18),
            prompt=wanted.prompt,
            media_type=action.media_type,
            model=action.name,
            width=wanted.width,
            height=wanted.height,
            count=wanted.count,
            reference=str(uuid.uuid4()) if action.has_talk else None,
            secret=owner,
            extra=extra,
        )

    async def media(request: web.Request) -> web.StreamResponse:
        """A result file; its link is good byte for byte only, and for its time."""
        refusals = refusals_of(SERVICES[0])
        job = upstream.jobs.find(request.match_info["id"])
        if job is not None and (
            request.rel_url.raw_query_string != file_query(job)
            or upstream.clock() > expires_at(job)
        ):
            return refusals.expired()
        return await answer_media(
            request,
            upstream,
            job,
            int(request.match_info["index"]),
            request.match_info["format"],
            refusals,
        )

    return [
        *(service_route(service) for service in SERVICES),
        web.get(r"/files/{id}/{index:\d{1,2}}.{format:png|mp4}", media),
    ]
