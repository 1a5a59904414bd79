"""DashScope (Alibaba Model Studio): images, video and speech behind one task API.

Wire format: help.aliyun.com/zh/model-studio (manage-asynchronous-tasks, async-task-api,
error-code and the models' API references), read November 2026.

Status reads, lists and cancels are limited to 20 a second only for secrets that contain
`20qps`: a benchmark of many thousand tasks needs an upstream that keeps up.
"""

import hashlib
import hmac
import math
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
)
from sandbox.dashscope_rules import (
    ASYNC_PATHS,
    MULTIMODAL,
    SYNC_PATHS,
    Shape,
    Wanted,
    find_rule,
)
from sandbox.inputs import (
    BadInput,
    bearer,
    get_flag,
    get_object,
    get_text,
    get_whole,
    read_form,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, Upstream
from sandbox.media import NotAnImage

WORDS = {
    JobPhase.QUEUED: "PENDING",
    JobPhase.RUNNING: "RUNNING",
    JobPhase.SUCCEEDED: "SUCCEEDED",
    JobPhase.FAILED: "FAILED",
    JobPhase.CANCELLED: "CANCELED",
}
BEIJING = timezone(timedelta(hours=8))
DAY_S = 24 * 3600
MOST_PER_SECOND = 20
MOST_UPLOADS = 1000
SIGNING_SECRET = b"result links of the sandbox"
INSPECTED = "Output data may contain inappropriate content."


def refusal(status: int, code: str, message: str) -> web.Response:
    """DashScope's error body: flat, and without `output`."""
    return json_answer(
        {"code": code, "message": message, "request_id": str(uuid.uuid4())}, status
    )


def unauthorized() -> web.Response:
    return refusal(401, "InvalidApiKey", "Invalid API-key provided.")


def rate_limit() -> web.Response:
    return refusal(
        429,
        "Throttling.RateQuota",
        "Requests rate limit exceeded, please try again later.",
    )


def server_error(status: int) -> web.Response:
    code = "ModelServingError" if status == 503 else "InternalError"
    return refusal(status, code, "The service has a problem, please try again later.")


def unknown_task(task_id: str) -> web.Response:
    """An id that never was, or is older than a day, is no error but a state."""
    return answered({"task_id": task_id, "task_status": "UNKNOWN"})


REFUSALS = Refusals(
    unauthorized=unauthorized,
    forbidden=lambda: refusal(403, "AccessDenied", "Access denied."),
    rate_limit=rate_limit,
    quota=lambda: refusal(
        400, "Arrearage", "Access denied, please make sure your account is in good"
    ),
    bad_request=lambda message: refusal(400, "InvalidParameter", message),
    server_error=server_error,
    not_found=lambda: unknown_task(""),
    blocked=lambda: refusal(
        400, "DataInspectionFailed", "Input data may contain inappropriate content."
    ),
)


def answered(output: Mapping[str, Any], usage: Any = None) -> web.Response:
    body: dict[str, Any] = {"request_id": str(uuid.uuid4()), "output": output}
    if usage is not None:
        body["usage"] = usage
    return json_answer(body)


def wall_clock(at: float) -> str:
    """Beijing time without a zone, to the millisecond."""
    moment = datetime.fromtimestamp(at, UTC).astimezone(BEIJING)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def uploads_of(value: Any) -> list[str]:
    """The keys of the temporary uploads that a body names."""
    if isinstance(value, dict):
        return [key for inner in value.values() for key in uploads_of(inner)]
    if isinstance(value, list):
        return [key for inner in value for key in uploads_of(inner)]
    if isinstance(value, str) and value.startswith("oss://"):
        return [value.removeprefix("oss://")]
    return []


class Refused(Exception):
    """A request is refused with this answer."""

    def __init__(self, answer: web.StreamResponse) -> None:
        super().__init__()
        self.answer = answer


def check_header(request: web.Request, path: str) -> None:
    """The header that makes a task is needed on some paths, forbidden on others."""
    asks = request.headers.get("X-DashScope-Async") == "enable"
    if path in ASYNC_PATHS and not asks:
        message = "current user api does not support synchronous calls."
    elif path in SYNC_PATHS and asks:
        message = "current user api does not support asynchronous calls."
    else:
        return
    raise Refused(refusal(403, "AccessDenied", message))


def signature_of(folder: str) -> str:
    """The signature that opens one folder of temporary uploads."""
    return hmac.new(SIGNING_SECRET, folder.encode(), hashlib.sha1).hexdigest()


def whole(request: web.Request, name: str, default: int) -> int:
    """A number of the query, from 1."""
    return get_whole(
        request.query, name, default=default, least=1, most=10_000, strict=False
    )


def window(request: web.Request, now: float) -> tuple[float, float]:
    """Between which instants tasks are listed: a day at most, else the last one."""
    start = moment_of(request, "start_time")
    end = moment_of(request, "end_time")
    if start is None and end is None:
        return now - DAY_S, now
    if start is None or end is None:
        raise BadInput("start_time and end_time are given together")
    if not 0 <= end - start <= DAY_S:
        raise BadInput("start_time and end_time may be 24 hours apart")
    return start, end + 1


def moment_of(request: web.Request, name: str) -> float | None:
    """Unix time of `YYYYMMDDhhmmss` in Beijing."""
    text = request.query.get(name)
    if not text:
        return None
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S")
    except ValueError as error:
        raise BadInput(f"{name} must be YYYYMMDDhhmmss", name) from error
    return moment.replace(tzinfo=BEIJING).timestamp()


# Results


def file_query(job: Job, index: int) -> str:
    """The signature of a result link, spelled as an object store does."""
    expires = int(job.created_at) + DAY_S
    text = f"{job.id}/{index}/{expires}".encode()
    digest = hmac.new(SIGNING_SECRET, text, hashlib.sha1).hexdigest()
    return f"Expires={expires}&OSSAccessKeyId=LTAI5tSandbox&Signature={digest[:27]}%3D"


def file_url(job: Job, index: int) -> str:
    file_format = job.extra["format"]
    query = file_query(job, index)
    return f"{job.base_url}/files/{job.id}/{index}.{file_format}?{query}"


def metrics(job: Job, *, ended: bool) -> dict[str, int]:
    good = 0
    if ended and job.failure is None:
        good = sum(1 for index in range(job.count) if not job.output_fails(index))
    bad = job.count - good if ended else 0
    return {"TOTAL": job.count, "SUCCEEDED": good, "FAILED": bad}


def choices(job: Job, *, typed: bool) -> list[dict[str, Any]]:
    """One choice per image that was made."""
    kind = {"type": "image"} if typed else {}
    return [
        {
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": [{"image": file_url(job, index), **kind}],
            },
        }
        for index in range(job.count)
        if not job.output_fails(index)
    ]


def image_results(job: Job) -> list[dict[str, Any]]:
    """Good and bad images mixed, in the order they were asked for."""
    return [
        {"code": "DataInspectionFailed", "message": INSPECTED}
        if job.output_fails(index)
        else {
            "orig_prompt": job.prompt,
            "actual_prompt": f"{job.prompt}, in fine detail",
            "url": file_url(job, index),
        }
        for index in range(job.count)
    ]


def result_of(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a finished task adds to `output`, and its `usage`."""
    counted = metrics(job, ended=True)
    pictures = {"image_count": counted["SUCCEEDED"]}
    match job.extra["shape"]:
        case Shape.CHOICES:
            size = f"{job.width}*{job.height}"
            tokens = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
            return (
                {"finished": True, "choices": choices(job, typed=True)},
                pictures | {"size": size} | tokens,
            )
        case Shape.VIDEO:
            return (
                {"orig_prompt": job.prompt, "video_url": file_url(job, 0)},
                video_usage(job),
            )
        case Shape.TALKING:
            return (
                {"results": {"video_url": file_url(job, 0)}},
                {"duration": job.seconds + 0.13, "SR": 480},
            )
        case Shape.IMAGE_URL:
            return {"image_url": file_url(job, 0)}, {"image_count": 1}
        case Shape.REPAINT:
            return (
                {
                    "error_code": 0,
                    "error_message": "Success",
                    "style_index": job.extra["style_index"],
                    "start_time": wall_clock(job.starts_at),
                    "results": [{"url": file_url(job, 0)}],
                },
                {"image_count": 1},
            )
        case Shape.BACKGROUND:
            layers = {"urls": [{"url": file_url(job, 0)}]}
            results = [
                result if "code" in result else {"url": result["url"]}
                for result in image_results(job)
            ]
            return (
                {"results": results, "text_results": layers, "task_metrics": counted},
                pictures,
            )
        case _:
            return (
                {"results": image_results(job), "task_metrics": counted},
                pictures,
            )


def video_usage(job: Job) -> dict[str, Any]:
    """The newer models tell more, and the resolution as a number."""
    seconds = int(job.seconds)
    if job.model.startswith(("wanx2.1", "wan2.2")):
        return {"video_duration": seconds, "video_count": 1, "video_ratio": "standard"}
    return {
        "duration": seconds,
        "input_video_duration": 0,
        "output_video_duration": seconds,
        "video_count": 1,
        "SR": min(job.width, job.height),
        "ratio": "16:9",
    }


def failure_of(job: Job) -> dict[str, str]:
    if job.failure is Failure.BLOCKED:
        return {"code": "DataInspectionFailed", "message": INSPECTED}
    return {"code": "InternalError.Algo", "message": "the model could not finish"}


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """DashScope's paths, without the provider's prefix."""
    uploaded = upstream.shelf("uploads", MOST_UPLOADS)
    asked: dict[tuple[str, CallKind], deque[float]] = {}

    def admitted(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        """Check the key, and the 20 calls a second that each account has."""
        secret = bearer(request)
        refused = admit(upstream, kind, secret, REFUSALS)
        if refused is not None or not secret or "20qps" not in secret:
            return refused
        now = upstream.clock()
        recent = asked.setdefault((secret, kind), deque())
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= MOST_PER_SECOND:
            return rate_limit()
        recent.append(now)
        return None

    def submitting(path: str) -> Callable[[web.Request], Any]:
        async def submit(request: web.Request) -> web.StreamResponse:
            refused = admit(upstream, CallKind.SUBMIT, bearer(request), REFUSALS)
            if refused is not None:
                return refused
            try:
                wanted, body = await read_submit(request, path)
            except (BadInput, NotAnImage) as error:
                return REFUSALS.bad_request(str(error))
            except RecursionError:
                return REFUSALS.bad_request("the body is nested too deeply")
            except Refused as error:
                return error.answer
            return await generate(request, path, wanted, body)

        return submit

    async def read_submit(
        request: web.Request, path: str
    ) -> tuple[Wanted, dict[str, Any]]:
        """What is wanted, after all that the service checks; further fields pass."""
        body = await read_json(request)
        model = get_text(body, "model")
        rule = find_rule(model)
        if rule is None:
            raise BadInput("Model not exist.", "model")
        if path not in rule.paths:
            raise BadInput("url error, please check url", "model")
        check_header(request, path)
        fields = get_object(body, "input")
        parameters = get_object(body, "parameters")
        if not fields:
            raise BadInput("input is required", "input")
        check_uploads(request, fields)
        if path == MULTIMODAL and get_flag(parameters, "enable_interleave"):
            raise BadInput("enable_interleave needs a stream or a task", "parameters")
        return rule.read(fields, parameters), body

    def check_uploads(request: web.Request, fields: dict[str, Any]) -> None:
        keys = uploads_of(fields)
        if not keys:
            return
        if request.headers.get("X-DashScope-OssResourceResolve") != "enable":
            raise BadInput("an oss URL needs X-DashScope-OssResourceResolve: enable")
        for key in keys:
            if key not in uploaded:
                raise Refused(refusal(400, "InvalidURL", f"oss://{key} cannot be read"))

    async def generate(
        request: web.Request, path: str, wanted: Wanted, body: dict[str, Any]
    ) -> web.StreamResponse:
        def accept() -> Job:
            return upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=wanted.prompt,
                media_type=wanted.media_type,
                model=body["model"],
                width=wanted.width,
                height=wanted.height,
                seconds=wanted.seconds,
                count=wanted.count,
                secret=bearer(request) or "",
                extra={
                    "shape": wanted.shape,
                    "format": wanted.file_format,
                    "path": path,
                    "style_index": body["input"].get("style_index"),
                },
            )

        if path in ASYNC_PATHS:
            respond = accepted
        elif wanted.shape is Shape.SPEECH:
            respond = spoken
        else:
            respond = drawn
        return await answer_submit(
            request,
            upstream,
            wanted.prompt,
            accept,
            respond,
            REFUSALS,
            waits=path in SYNC_PATHS,
        )

    def accepted(job: Job) -> web.Response:
        return answered({"task_id": job.id, "task_status": "PENDING"})

    def drawn(job: Job) -> web.Response:
        """The synchronous image answer; Wan's parts say their type, Qwen's do not."""
        counted = metrics(job, ended=True)
        if job.model.startswith("wan"):
            return answered(
                {"finished": True, "choices": choices(job, typed=True)},
                {
                    "image_count": counted["SUCCEEDED"],
                    "size": f"{job.width}*{job.height}",
                },
            )
        return answered(
            {"choices": choices(job, typed=False), "task_metric": counted},
            {
                "image_count": counted["SUCCEEDED"],
                "width": job.width,
                "height": job.height,
            },
        )

    def spoken(job: Job) -> web.Response:
        audio = {
            "data": "",
            "expires_at": int(job.created_at) + DAY_S,
            "id": f"audio_{job.id}",
            "url": file_url(job, 0),
        }
        return answered(
            {"finish_reason": "stop", "audio": audio},
            {"characters": len(job.prompt)},
        )

    async def poll(request: web.Request) -> web.StreamResponse:
        refused = admitted(request, CallKind.POLL)
        if refused is not None:
            return refused
        task_id = request.match_info["id"]
        job = find_task(task_id)
        if job is None:
            return unknown_task(task_id)
        refusals = replace(REFUSALS, not_found=lambda: unknown_task(task_id))
        return await answer_poll(request, upstream, job, shown, refusals)

    def find_task(task_id: str) -> Job | None:
        """Synchronous results are no tasks."""
        job = upstream.jobs.find(task_id)
        return job if job is not None and job.extra["path"] in ASYNC_PATHS else None

    def shown(job: Job) -> web.Response:
        """The task in its state; HTTP 200 in every one."""
        word = upstream.status_word(job, WORDS)
        output: dict[str, Any] = {
            "task_id": job.id,
            "task_status": word,
            "submit_time": wall_clock(job.created_at),
        }
        usage = None
        if word not in {"PENDING", "CANCELED"}:
            output["scheduled_time"] = wall_clock(job.starts_at)
        if word == "RUNNING":
            output["task_metrics"] = metrics(job, ended=False)
        elif word == "CANCELED":
            output["end_time"] = wall_clock(job.cancelled_at or 0)
        elif word in {"SUCCEEDED", "FAILED"}:
            output["end_time"] = wall_clock(job.ends_at)
        if word == "SUCCEEDED":
            result, usage = result_of(job)
            output.update(result)
        elif word == "FAILED":
            output.update(failure_of(job), task_metrics=metrics(job, ended=True))
        return answered(output, usage)

    async def cancel(request: web.Request) -> web.StreamResponse:
        refused = admitted(request, CallKind.CANCEL)
        if refused is not None:
            return refused
        job = find_task(request.match_info["id"])
        now = upstream.clock()
        if job is None or job.phase(now) is not JobPhase.QUEUED or not job.cancel(now):
            return refusal(
                400,
                "UnsupportedOperation",
                "Failed to cancel the task, please confirm if the task is in PENDING "
                "status.",
            )
        return json_answer({"request_id": str(uuid.uuid4())})

    async def list_tasks(request: web.Request) -> web.StreamResponse:
        refused = admitted(request, CallKind.LIST)
        if refused is not None:
            return refused
        try:
            page_no = whole(request, "page_no", 1)
            page_size = whole(request, "page_size", 10)
            start_at, end_at = window(request, upstream.clock())
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        found = [
            job
            for job in upstream.jobs
            if start_at <= job.created_at <= end_at and listed(request, job)
        ]
        first = (page_no - 1) * page_size
        return json_answer(
            {
                "total": len(found),
                "data": [row(job) for job in found[first : first + page_size]],
                "total_page": math.ceil(len(found) / page_size),
                "page_no": page_no,
                "page_size": page_size,
                "request_id": str(uuid.uuid4()),
            }
        )

    def listed(request: web.Request, job: Job) -> bool:
        """Whether a task is the account's own and fits the filters."""
        wanted = request.query
        return (
            job.extra["path"] in ASYNC_PATHS
            and job.owner == (bearer(request) or "")
            and wanted.get("model_name", job.model) == job.model
            and wanted.get("task_id", job.id) == job.id
            and wanted.get("status", state_of(job)) == state_of(job)
        )

    def state_of(job: Job) -> str:
        return WORDS[job.phase(upstream.clock())]

    def row(job: Job) -> dict[str, Any]:
        """A listed task: epoch milliseconds, `status`, and no results."""
        path = job.extra["path"].removeprefix("/services/").strip("/")
        shown: dict[str, Any] = {
            "api_key_id": "11111",
            "caller_parent_id": "22222",
            "caller_uid": "22222",
            "gmt_create": int(job.created_at * 1000),
            "model_name": job.model,
            "region": "cn-beijing",
            "request_id": str(uuid.uuid5(uuid.NAMESPACE_URL, job.id)),
            "status": state_of(job),
            "task_id": job.id,
            "user_api_unique_key": f"apikey:v1:{path.replace('/', ':')}:{job.model}",
        }
        now = upstream.clock()
        if job.starts_at <= now:
            shown["start_time"] = int(job.starts_at * 1000)
        if job.is_over(now):
            shown["end_time"] = int((job.cancelled_at or job.ends_at) * 1000)
        return shown

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        index = int(request.match_info["index"])
        if job is not None:
            signed = request.rel_url.raw_query_string == file_query(job, index)
            if not signed or upstream.clock() > job.created_at + DAY_S:
                return REFUSALS.expired()
        file_format = request.match_info["format"]
        return await answer_media(request, upstream, job, index, file_format, REFUSALS)

    async def policy(request: web.Request) -> web.StreamResponse:
        """Where and how a temporary file may be uploaded."""
        refused = admit(upstream, CallKind.UPLOAD, bearer(request), REFUSALS)
        if refused is not None:
            return refused
        if request.query.get("action") != "getPolicy" or not request.query.get("model"):
            return REFUSALS.bad_request("action=getPolicy and model are required")
        folder = f"dashscope-instant/{uuid.uuid4()}"
        data = {
            "policy": "eyJzYW5kYm94IjogdHJ1ZX0=",
            "signature": signature_of(folder),
            "upload_dir": folder,
            "upload_host": f"{upstream.base_url(request)}/oss",
            "expire_in_seconds": 300,
            "max_file_size_mb": 1024,
            "capacity_limit_mb": 999999999,
            "oss_access_key_id": "LTAI5tSandbox",
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }
        return json_answer({"data": data, "request_id": str(uuid.uuid4())})

    async def upload(request: web.Request) -> web.StreamResponse:
        """The object store's side: the form's signature opens it, not the key."""
        upstream.ledger.count(upstream.name, CallKind.UPLOAD)
        try:
            form = await read_form(request)
            key = get_text(form.fields, "key")
            folder = key.rpartition("/")[0]
            if get_text(form.fields, "Signature") != signature_of(folder):
                return REFUSALS.expired()
        except BadInput as error:
            return web.Response(status=400, text=str(error))
        if not form.files:
            return web.Response(status=400, text="the form has no file")
        uploaded.put(key, None)
        return web.Response(status=200)

    api = "/api/v1"
    return [
        *(
            web.post(api + path, submitting(path))
            for path in (*ASYNC_PATHS, *SYNC_PATHS)
        ),
        web.get(api + "/tasks", list_tasks),
        web.get(api + "/tasks/", list_tasks),
        web.get(api + "/tasks/{id}", poll),
        web.post(api + "/tasks/{id}/cancel", cancel),
        web.get(api + "/uploads", policy),
        web.post("/oss", upload),
        web.get(r"/files/{id}/{index:\d{1,3}}.{format:[a-z0-9]+}", media),
    ]
