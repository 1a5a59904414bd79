"""Midjourney as the midjourney-proxy protocol tells it: submits, windows, tasks.

Three kinds of server speak it, and differ where they refuse and in what they leave out:
under `/midjourney` one like novicezk's with the actions of its successors, under
`/midjourney/trueai` one like trueai-org's, under `/midjourney/new-api` a new-api that
relays. Tasks are the same for all.

Wire format: novicezk/midjourney-proxy (docs/api.md and sources), trueai-org and
QuantumNous/new-api (sources), read 2026-11. A lost callback is sent again here, which
the real servers do not do.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_polls,
    answer_submit,
    json_answer,
    web_page,
)
from sandbox.inputs import (
    BadInput,
    bearer,
    get_choice,
    get_flag,
    get_list,
    get_text,
    get_whole,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.media import NotAnImage, read_image
from sandbox.webhooks import SigningKeys, WebhookMessage

WORDS = {
    JobPhase.QUEUED: "SUBMITTED",
    JobPhase.RUNNING: "IN_PROGRESS",
    JobPhase.SUCCEEDED: "SUCCESS",
    JobPhase.FAILED: "FAILURE",
    JobPhase.CANCELLED: "CANCEL",
}
REASONS = {
    Failure.BLOCKED: "[Banned prompt detected] The prompt may break the rules.",
    Failure.ERROR: "[Failed to process your command] Please try again.",
}
CANCELLED = "取消任务"
AT_ONCE = 3
"""How many tasks an account draws at the same time; others wait."""
MOST_WINDOWS = 20_000
MEGAPIXEL = 1024 * 1024
FILM_SECONDS = 2.0
GRID_FILES = 5  # the grid itself, and its four pictures
GRIDS = frozenset({"IMAGINE", "BLEND", "VARIATION", "REROLL"})
BOTS = ("MID_JOURNEY", "NIJI_JOURNEY")
DIMENSIONS = {"PORTRAIT": (2, 3), "SQUARE": (1, 1), "LANDSCAPE": (3, 2)}
VIDEO_TYPES = ("vid_1.1_i2v_480", "vid_1.1_i2v_720")
SHAPE = re.compile(r"(?:--|—)(?:ar|aspect)\s+(\S+)")
RATIO = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})")
SHORT = re.compile(r"(\S+) (?:([UV])([1-4])|(R))")

# What the buttons of a finished task are called, and the actions behind them. The
# actions of the last two open a window.
GRID_BUTTONS = {
    **{f"U{index}": f"JOB::upsample::{index}" for index in range(1, 5)},
    **{f"V{index}": f"JOB::variation::{index}" for index in range(1, 5)},
    "🔄": "JOB::reroll::0",
}
SINGLE_BUTTONS = {
    "Vary (Strong)": "JOB::high_variation::1",
    "Vary (Subtle)": "JOB::low_variation::1",
    "Zoom Out 2x": "Outpaint::50::1",
    "⬅️": "JOB::pan_left::1",
    "Custom Zoom": "CustomZoom",
    "Vary (Region)": "Inpaint::1",
}
ACTIONS = {
    "JOB::upsample": "UPSCALE",
    "JOB::variation": "VARIATION",
    "JOB::reroll": "REROLL",
    "JOB::high_variation": "HIGH_VARIATION",
    "JOB::low_variation": "LOW_VARIATION",
    "JOB::pan_": "PAN",
    "Outpaint": "ZOOM",
    "CustomZoom": "CUSTOM_ZOOM",
    "Inpaint": "INPAINT",
}
WINDOWS = frozenset({"CUSTOM_ZOOM", "INPAINT"})


class NoTask(BadInput):
    """The task to work on is not there."""


@dataclass(frozen=True)
class Server:
    """How one kind of server refuses, and what it has besides."""

    prefix: str
    refuse: Callable[[int, str], web.Response]
    refusals: Refusals
    no_task: int = 200
    separate: bool = False
    lists: bool = True
    cancels: bool = True


def plain(code: int, text: str, **properties: Any) -> web.Response:
    """A refusal of a proxy: HTTP calls it a success."""
    return json_answer({"code": code, "description": text, "properties": properties})


def relayed(code: int, text: str, status: int = 400) -> web.Response:
    """A refusal that a new-api relays."""
    body = {"description": f"{text} ", "type": "upstream_error", "code": code}
    return json_answer(body, status)


def gate(status: int, text: str) -> web.Response:
    """A refusal of a new-api itself."""
    body = {"description": text, "type": "new_api_error", "code": 4}
    return json_answer(body, status)


def server_error(status: int) -> web.StreamResponse:
    if status != 500:
        return web_page(status)
    return json_answer({"status": 500, "error": "Internal Server Error"}, 500)


NOVICE = Server(
    "",
    plain,
    Refusals(
        unauthorized=lambda: web.Response(status=401),
        forbidden=lambda: web.Response(status=403, text="forbidden"),
        rate_limit=lambda: json_answer(
            {
                "code": 23,
                "description": "队列已满，请稍后尝试",
                "result": new_id(),  # of a task that is not there
                "properties": {},
            }
        ),
        quota=lambda: plain(4, "quota_not_enough"),
        bad_request=lambda message: plain(4, message),
        server_error=server_error,
        not_found=lambda: web.Response(content_type="application/json"),
        blocked=lambda: plain(24, "可能包含敏感词", promptEn="", bannedWord="gory"),
    ),
)
TRUEAI = replace(
    NOVICE,
    prefix="/trueai",
    refusals=replace(
        NOVICE.refusals,
        unauthorized=lambda: web.Response(
            status=401, text="Authorization header missing."
        ),
        rate_limit=lambda: web.Response(status=429, text="Too many requests."),
        not_found=lambda: web.Response(status=204),
    ),
    no_task=404,
    separate=True,
)
NEW_API = Server(
    "/new-api",
    relayed,
    Refusals(
        unauthorized=lambda: gate(401, "无效的令牌"),
        forbidden=lambda: gate(403, "该令牌无权访问模型"),
        rate_limit=lambda: relayed(30, "当前分组负载已饱和", 429),
        quota=lambda: gate(403, "quota_not_enough"),
        bad_request=lambda message: relayed(4, message),
        server_error=server_error,
        not_found=lambda: relayed(4, "task_no_found"),
        blocked=lambda: relayed(24, "可能包含敏感词"),
    ),
    no_task=400,
    lists=False,
    cancels=False,
)


@dataclass(frozen=True)
class Wanted:
    """One checked submit; `window` is one that asks for a prompt first.

    `twin` names the same action on the same picture, `text` what a task of texts tells.
    """

    action: str
    prompt: str
    media_type: MediaType = MediaType.IMAGE
    shape: tuple[int, int] = (1, 1)
    count: int = 1
    window: bool = False
    twin: str | None = None
    text: str = ""
    source: str = ""


def new_id() -> str:
    return str(10**15 + secrets.randbelow(9 * 10**15))


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The protocol as the three kinds of server speak it."""
    servers = (NOVICE, TRUEAI, NEW_API)
    return [route for server in servers for route in server_routes(upstream, server)]


def server_routes(upstream: Upstream, server: Server) -> list[web.RouteDef]:
    """The paths of one kind of server below its prefix."""
    refusals, prefix = server.refusals, server.prefix
    windows = upstream.shelf("windows", MOST_WINDOWS)

    def secret_of(request: web.Request) -> str | None:
        secret = request.headers.get("mj-api-secret")
        if not secret and server is not NOVICE:
            secret = bearer(request) or request.headers.get("Authorization")
        return secret or None

    def source_of(body: Mapping[str, Any]) -> Job:
        job = upstream.jobs.find(get_text(body, "taskId"))
        if job is None:
            raise NoTask("关联任务不存在或已失效")
        if job.phase(upstream.clock()) is not JobPhase.SUCCEEDED:
            raise BadInput("关联任务状态错误")
        return job

    async def submit(request: web.Request) -> web.StreamResponse:
        secret = secret_of(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, refusals)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            wanted = READERS[request.match_info["path"]](body, source_of)
            hook = get_text(body, "notifyHook", default="")
            state = get_text(body, "state", default="")
        except NoTask as error:
            answer = server.refuse(3, str(error))
            answer.set_status(server.no_task)
            return answer
        except BadInput as error:
            return refusals.bad_request(str(error))
        told = {"action": wanted.action, "state": state, "hook": hook}
        if wanted.window:
            window_id = new_id()
            window = {**told, "prompt": wanted.prompt, "shape": wanted.shape}
            windows.put(window_id, {**window, "id": window_id, "owner": secret})
            return accepted(21, "Waiting for window confirm", window_id, remix=True)
        twin = upstream.jobs.find_by_reference(wanted.twin or "")
        if twin is not None:
            now = task(twin)
            return accepted(
                *(21, "任务已存在", twin.id),
                status=now["status"],
                imageUrl=now["imageUrl"],
            )
        return await start(request, wanted, new_id(), told, secret or "")

    async def modal(request: web.Request) -> web.StreamResponse:
        """The second step: what a window asked for."""
        secret = secret_of(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, refusals)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            window = windows.find(get_text(body, "taskId"))
            if window is None:
                raise BadInput("关联任务不存在或已失效")
            prompt = get_text(body, "prompt", default="") or window["prompt"]
            if window["action"] == "INPAINT":
                check_image(get_text(body, "maskBase64"), "maskBase64")
            hook = get_text(body, "notifyHook", default="") or window["hook"]
            state = get_text(body, "state", default="") or window["state"]
        except BadInput as error:
            return refusals.bad_request(str(error))
        wanted = Wanted(window["action"], prompt, shape=tuple(window["shape"]))
        told = {"action": wanted.action, "state": state, "hook": hook}
        return await start(request, wanted, window["id"], told, secret or "")

    async def start(
        request: web.Request,
        wanted: Wanted,
        job_id: str,
        told: Mapping[str, Any],
        secret: str,
    ) -> web.StreamResponse:
        is_upload = wanted.action == "UPLOAD"

        def accept() -> Job:
            windows.take(job_id)
            across, down = wanted.shape
            scale = (MEGAPIXEL / (across * down)) ** 0.5
            job = upstream.accept(
                request,
                job_id,
                prompt=wanted.prompt,
                media_type=wanted.media_type,
                model=f"mj_{wanted.action.lower()}",
                width=round(across * scale),
                height=round(down * scale),
                seconds=FILM_SECONDS,
                count=wanted.count,
                reference=wanted.twin,
                secret=secret,
                duration_s=0.0 if is_upload else None,
                extra={
                    **told,
                    "server": prefix,
                    "text": wanted.text,
                    "shape": wanted.shape,
                    "token": secrets.token_hex(4),
                },
            )
            if told["hook"]:
                for at in (job.created_at, job.starts_at, None):
                    upstream.call_back(job, told["hook"], partial(message, job), at)
            return job

        def respond(job: Job) -> web.Response:
            if is_upload:
                result = [link(job, index) for index in range(job.count)]
                return json_answer({"code": 1, "description": "ok", "result": result})
            waiting = busy(job)
            if waiting:
                text = f"排队中，前面还有{waiting}个任务"
                return accepted(22, text, job.id, numberOfQueues=waiting)
            return accepted(1, "提交成功", job.id)

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, refusals
        )

    def busy(job: Job) -> int:
        """How many of the newest tasks of that key are drawn before this one."""
        now = upstream.clock()
        newest = islice(iter(upstream.jobs), 1 + AT_ONCE)
        before = [other for other in newest if other is not job]
        under_way = [j for j in before if j.owner == job.owner and not j.is_over(now)]
        return 1 if len(under_way) >= AT_ONCE else 0

    async def fetch(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, secret_of(request), refusals)
        if refused is not None:
            return refused
        task_id = request.match_info["id"]
        window = windows.find(task_id)
        if window is not None:
            return json_answer(waiting_task(window))
        return await answer_poll(
            request,
            upstream,
            upstream.jobs.find(task_id),
            lambda job: json_answer(task(job)),
            refusals,
        )

    async def fetch_many(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, secret_of(request), refusals)
        if refused is not None:
            return refused
        try:
            ids = [str(each) for each in get_list(await read_json(request), "ids")]
        except BadInput as error:
            return refusals.bad_request(str(error))
        waiting = [waiting_task(w) for each in ids if (w := windows.find(each))]
        found = [job for each in ids if (job := upstream.jobs.find(each))]
        return await answer_polls(
            request,
            upstream,
            found,
            lambda jobs: json_answer([*waiting, *map(task, jobs)]),
            refusals,
        )

    async def show_list(request: web.Request) -> web.StreamResponse:
        """Every task, or those that have not ended."""
        refused = admit(upstream, CallKind.LIST, secret_of(request), refusals)
        if refused is not None:
            return refused
        jobs: Iterable[Job] = upstream.jobs
        if request.match_info["which"] == "queue":
            now = upstream.clock()
            jobs = [job for job in jobs if not job.is_over(now)]
        return json_answer([task(job) for job in jobs])

    async def image_seed(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.OTHER, secret_of(request), refusals)
        if refused is not None:
            return refused
        job = upstream.jobs.find(request.match_info["id"])
        if job is None:
            return server.refuse(3, "任务不存在")
        return json_answer({"code": 1, "description": "ok", "result": job.id[-9:]})

    async def cancel(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.CANCEL, secret_of(request), refusals)
        if refused is not None:
            return refused
        job = upstream.jobs.find(request.match_info["id"])
        if job is None:
            return server.refuse(3, "任务不存在")
        if not job.cancel(upstream.clock()):
            return server.refuse(4, "任务已结束")
        return json_answer({"code": 1, "description": "ok", "properties": {}})

    def task(job: Job) -> dict[str, Any]:
        """The task object, bare wherever it is told."""
        now = upstream.clock()
        phase, status = job.phase(now), upstream.status_word(job, WORDS, now)
        wrong = wrong_flag(job.prompt)
        reason: str | None = None
        if phase is JobPhase.SUCCEEDED and wrong:
            phase, status, reason = JobPhase.FAILED, "FAILURE", wrong
        elif phase is JobPhase.FAILED:
            reason = REASONS[job.failure or Failure.ERROR]
        elif phase is JobPhase.CANCELLED and server is NOVICE:
            status, reason = "FAILURE", CANCELLED
        done, over = phase is JobPhase.SUCCEEDED, job.is_over(now)
        told = {
            **blank(job.id, job.extra, job.prompt, job.created_at),
            "status": status,
            "startTime": milliseconds(job.starts_at) if now >= job.starts_at else None,
            "finishTime": milliseconds(job.ends_at) if over else None,
            "progress": progress_of(job, now, done, over),
            "failReason": reason,
        }
        if phase is JobPhase.RUNNING and job.percent(now):
            told["imageUrl"] = f"{files(job)}/preview.webp"
        if done:
            told |= results(job)
        return told

    def results(job: Job) -> dict[str, Any]:
        """What a success adds to a task."""
        action, text = job.extra["action"], job.extra["text"]
        if text:
            return {
                "promptEn": text,
                "properties": {"finalPrompt": text},
                "imageUrl": f"{files(job)}/input.png",
            }
        if job.media_type is MediaType.VIDEO:
            links = [link(job, index) for index in range(job.count)]
            return {
                "videoUrl": links[0],
                "videoUrls": [{"url": url} for url in links],
            }
        is_grid = action in GRIDS
        told: dict[str, Any] = {
            "imageUrl": link(job, 0),
            "properties": {"finalPrompt": job.prompt},
            "buttons": buttons(job, GRID_BUTTONS if is_grid else SINGLE_BUTTONS),
        }
        if server.separate and is_grid:
            told["imageUrls"] = [
                {"url": link(job, index), "thumbnail": link(job, index)}
                for index in range(1, GRID_FILES)
            ]
        return told

    def files(job: Job) -> str:
        return f"{job.base_url}{prefix}/attachments/{job.id}"

    def link(job: Job, index: int) -> str:
        ending = "mp4" if job.media_type is MediaType.VIDEO else "png"
        return f"{files(job)}/{index}.{ending}?ex={job.extra['token']}&hm=a%2Bb&"

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        signed = request.rel_url.raw_query_string
        if job is not None and signed != f"ex={job.extra['token']}&hm=a%2Bb&":
            return refusals.expired()
        index, ending = int(request.match_info["index"]), request.match_info["ending"]
        return await answer_media(request, upstream, job, index, ending, refusals)

    def message(job: Job, keys: SigningKeys, now: float) -> WebhookMessage:
        return WebhookMessage(json.dumps(task(job)).encode())

    if server is NOVICE:
        # after a restart every callback is told as the first server would
        upstream.message_of = lambda job, _: partial(message, job)
    paths = "|".join(READERS)
    extra = []
    if server.cancels:
        extra.append(web.post(f"{prefix}/mj/task/{{id}}/cancel", cancel))
    if server.lists:
        extra.append(web.get(f"{prefix}/mj/task/{{which:list|queue}}", show_list))
        extra.append(web.post(f"{prefix}/mj/task/list-by-ids", fetch_many))
    return [
        web.post(f"{prefix}/mj/submit/modal", modal),
        web.post(f"{prefix}/mj/submit/{{path:{paths}}}", submit),
        web.post(f"{prefix}/mj/insight-face/{{path:swap}}", submit),
        web.get(f"{prefix}/mj/task/{{id}}/fetch", fetch),
        web.get(f"{prefix}/mj/task/{{id}}/image-seed", image_seed),
        web.post(f"{prefix}/mj/task/list-by-condition", fetch_many),
        *extra,
        web.get(rf"{prefix}/attachments/{{id}}/{{index:\d}}.{{ending:png|mp4}}", media),
    ]


def accepted(code: int, text: str, job_id: str, **properties: Any) -> web.Response:
    told = {**properties, "discordInstanceId": "1118138338562560102"}
    return json_answer(
        {"code": code, "description": text, "result": job_id, "properties": told}
    )


def milliseconds(at: float) -> int:
    return int(1000 * at)


def blank(
    task_id: str, extra: Mapping[str, Any], prompt: str, at: float
) -> dict[str, Any]:
    """A task of which nothing is known but what was asked for."""
    return {
        "id": task_id,
        "action": extra["action"],
        "prompt": prompt,
        "promptEn": prompt,
        "description": f"/{extra['action'].lower()} {prompt}",
        "state": extra["state"],
        "submitTime": milliseconds(at),
        "startTime": None,
        "finishTime": None,
        "progress": "0%",
        "imageUrl": None,
        "failReason": None,
        "properties": {},
    }


def waiting_task(window: Mapping[str, Any]) -> dict[str, Any]:
    told = blank(window["id"], window, window["prompt"], 0.0)
    return {**told, "status": "MODAL", "progress": ""}


def progress_of(job: Job, now: float, done: bool, over: bool) -> str:
    if over:
        return "100%" if done else ""
    percent = job.percent(now)
    return "Waiting to start" if now >= job.starts_at and not percent else f"{percent}%"


def buttons(job: Job, names: Mapping[str, str]) -> list[dict[str, Any]]:
    told = []
    for name, button in names.items():
        is_emoji = not name.isascii()
        ending = "::SOLO" if "reroll" in button else ""
        told.append(
            {
                "customId": f"MJ::{button}::{job.id}{ending}",
                "emoji": name if is_emoji else "",
                "label": "" if is_emoji else name,
                "type": 2,
                "style": 2,
            }
        )
    return told


def wrong_flag(prompt: str) -> str:
    """Why Midjourney cannot draw that; it says so only when it tries."""
    given = SHAPE.search(prompt)
    if given is None or RATIO.fullmatch(given[1]):
        return ""
    return f"[Invalid parameter] Invalid value {given[1]} for --ar"


def shape_of(prompt: str) -> tuple[int, int]:
    given = SHAPE.search(prompt)
    ratio = RATIO.fullmatch(given[1]) if given else None
    return (int(ratio[1]), int(ratio[2])) if ratio else (1, 1)


# What each submit takes


def check_image(given: str, name: str, *, links: bool = False) -> None:
    """A data URL that holds an image, or an address where those are taken."""
    if not given.startswith("data:") and not (links and given.startswith("http")):
        raise BadInput(f"{name}格式错误", name)
    try:
        read_image(given)
    except NotAnImage as error:
        raise BadInput(f"{name}格式错误", name) from error


def check_images(body: Mapping[str, Any], least: int, most: int) -> int:
    """How many images of a list there are, each a data URL."""
    images = get_list(body, "base64Array")
    if not least <= len(images) <= most:
        raise BadInput(f"base64List参数错误: {least} to {most}", "base64Array")
    for image in images:
        check_image(str(image), "base64")
    return len(images)


def prompt_of(body: Mapping[str, Any]) -> str:
    prompt = get_text(body, "prompt", default="")
    if not prompt.strip():
        raise BadInput("prompt不能为空", "prompt")
    return prompt


SourceOf = Callable[[Mapping[str, Any]], Job]


def read_imagine(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    prompt = prompt_of(body)
    get_choice(body, "botType", BOTS, default=BOTS[0])
    check_images(body, 0, 10)
    return Wanted("IMAGINE", prompt, shape=shape_of(prompt), count=GRID_FILES)


def read_blend(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    check_images(body, 2, 5)
    name = get_choice(body, "dimensions", tuple(DIMENSIONS), default="SQUARE")
    return Wanted("BLEND", "", shape=DIMENSIONS[name], count=GRID_FILES)


def read_describe(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    check_image(get_text(body, "base64"), "base64")
    text = "1️⃣ a quay in the rain --ar 1:1\n\n2️⃣ boats, ink on paper --ar 1:1"
    return Wanted("DESCRIBE", "", MediaType.TEXT, text=text)


def read_shorten(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    prompt = prompt_of(body)
    words = " ".join(prompt.split()[:3])
    return Wanted("SHORTEN", prompt, MediaType.TEXT, text=f"1️⃣ {words}")


def read_change(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    action = get_choice(body, "action", ("UPSCALE", "VARIATION", "REROLL"))
    index = 0
    if action != "REROLL":
        index = get_whole(body, "index", least=1, most=4)
    return changed(source_of(body), action, index)


def read_simple_change(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    match = SHORT.fullmatch(get_text(body, "content").strip())
    if match is None:
        raise BadInput("content参数错误", "content")
    action = {"U": "UPSCALE", "V": "VARIATION", None: "REROLL"}[match[2]]
    return changed(source_of({"taskId": match[1]}), action, int(match[3] or 0))


def read_action(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    custom_id = get_text(body, "customId")
    source = source_of(body)
    offered = {**GRID_BUTTONS} if source.extra["action"] in GRIDS else SINGLE_BUTTONS
    ids = {button["customId"] for button in buttons(source, offered)}
    if custom_id not in ids:
        raise BadInput("customId参数错误", "customId")
    name = custom_id.removeprefix("MJ::")
    action = next(ACTIONS[begin] for begin in ACTIONS if name.startswith(begin))
    index = name.removeprefix("JOB::").split("::")[1]
    return changed(source, action, int(index) if action in GRIDS | {"UPSCALE"} else 0)


def changed(source: Job, action: str, index: int) -> Wanted:
    """A task that goes on from another; its prompt is the other's."""
    repeats = action in {"UPSCALE", "VARIATION"}
    return Wanted(
        action,
        source.prompt,
        shape=tuple(source.extra["shape"]),
        count=GRID_FILES if action in GRIDS else 1,
        window=action in WINDOWS,
        twin=f"{source.id}/{action}/{index}" if repeats else None,
    )


def read_edits(action: str, body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    prompt = prompt_of(body)
    check_image(get_text(body, "image"), "image", links=True)
    return Wanted(action, prompt, shape=shape_of(prompt))


def read_video(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    prompt = get_text(body, "prompt", default="")
    get_choice(body, "motion", ("low", "high"), default="low")
    get_choice(body, "videoType", VIDEO_TYPES, default=VIDEO_TYPES[0])
    get_flag(body, "loop")
    count = get_whole(body, "batchSize", default=4)
    if count not in {1, 2, 4}:
        raise BadInput("batchSize参数错误", "batchSize")
    if body.get("action") == "extend":
        get_whole(body, "index", default=0, least=0, most=3)
        prompt = prompt or source_of(body).prompt
    else:
        for name in ("image", "endImage"):
            if name == "image" or body.get(name) is not None:
                check_image(get_text(body, name), name, links=True)
    return Wanted("VIDEO", prompt, MediaType.VIDEO, shape=(16, 9), count=count)


def read_swap(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    for name in ("sourceBase64", "targetBase64"):
        check_image(get_text(body, name), name)
    return Wanted("SWAP_FACE", "")


def read_upload(body: Mapping[str, Any], source_of: SourceOf) -> Wanted:
    return Wanted("UPLOAD", "", count=check_images(body, 1, 10))


READERS: Mapping[str, Callable[[Mapping[str, Any], SourceOf], Wanted]] = {
    "imagine": read_imagine,
    "blend": read_blend,
    "describe": read_describe,
    "shorten": read_shorten,
    "change": read_change,
    "simple-change": read_simple_change,
    "action": read_action,
    "edits": partial(read_edits, "EDITS"),
    "retexture": partial(read_edits, "RETEXTURE"),
    "video": read_video,
    "swap": read_swap,
    "upload-discord-images": read_upload,
}
