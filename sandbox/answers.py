"""Answers calls as the script of a prompt asks for, the same way for every dialect.

A dialect says how it accepts a submit, what its answers look like, and how it refuses;
the faults, in all their ways and counts, are made here.
"""

import asyncio
import inspect
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from sandbox import media
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.scripts import PLAIN, Fault, FaultKind

WEB_PAGE = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
    "<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n"
    "</body>\r\n</html>\r\n"
)
CHUNK_BYTES = 256 * 1024
LOOK_FOR_CALLER_S = 0.2
"""How often a call that is never answered looks whether the caller has gone."""

BAD_SECRET = "bad-key"
EMPTY_SECRET = "quota-key"

T = TypeVar("T")

Answer = Callable[[], web.StreamResponse]
"""Makes an answer; a new one each time, since a response can be sent only once."""
Respond = Callable[[Job], web.StreamResponse | Awaitable[web.StreamResponse]]
RespondAll = Callable[[list[Job]], web.StreamResponse | Awaitable[web.StreamResponse]]


def json_answer(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer, in UTF-8 and without spaces."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(
        body=text.encode("utf-8", "replace"),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def web_page(status: int = 200) -> web.Response:
    """The page of a proxy, where the caller expects something of the provider's."""
    title = {
        502: "502 Bad Gateway",
        503: "503 Service Temporarily Unavailable",
        504: "504 Gateway Time-out",
    }.get(status, "Welcome to nginx!")
    text = WEB_PAGE.format(title=title)
    return web.Response(text=text, status=status, content_type="text/html")


def gone() -> web.StreamResponse:
    """403 as an object store answers for a link that has expired."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
        "<Message>Request has expired.</Message></Error>"
    )
    return web.Response(text=text, status=403, content_type="application/xml")


def nothing_there() -> web.StreamResponse:
    """404 as an object store answers for a file it does not have."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
        "<Message>The specified key does not exist.</Message></Error>"
    )
    return web.Response(text=text, status=404, content_type="application/xml")


@dataclass(frozen=True)
class Refusals:
    """How a provider refuses, each as its own status and body.

    `bad_request` gets what is wrong in words, `server_error` the status (500, 502, 503
    or 504). `blocked` is moderation at submit, and stays None where the provider takes
    the job and lets it fail. `failed` and `blocked_result` answer a submit that brings
    its result along (`waits`) when the job failed; without them `server_error(500)` and
    `blocked` do. `not_found` is a status read of an unknown id, `expired` and `no_file`
    a result link that has died or never was.
    """

    unauthorized: Answer
    forbidden: Answer
    rate_limit: Answer
    quota: Answer
    bad_request: Callable[[str], web.StreamResponse]
    server_error: Callable[[int], web.StreamResponse]
    not_found: Answer
    blocked: Answer | None = None
    failed: Callable[[Job], web.StreamResponse] | None = None
    blocked_result: Callable[[Job], web.StreamResponse] | None = None
    expired: Answer = gone
    no_file: Answer = nothing_there


def admit(
    upstream: Upstream, kind: CallKind, secret: str | None, refusals: Refusals
) -> web.StreamResponse | None:
    """Count a call and check its secret: None lets it in, else the refusal to answer.

    The dialect reads the secret in its provider's way and gives None when it is missing
    or malformed.
    """
    upstream.ledger.count(upstream.name, kind)
    if not secret or secret == BAD_SECRET:
        return refusals.unauthorized()
    if upstream.secrets and secret not in upstream.secrets:
        return refusals.unauthorized()
    if secret == EMPTY_SECRET and kind is CallKind.SUBMIT:
        return refusals.quota()
    return None


async def answer_submit(
    request: web.Request,
    upstream: Upstream,
    prompt: str,
    accept: Callable[[], Job | Awaitable[Job]],
    respond: Respond,
    refusals: Refusals,
    *,
    waits: bool = False,
) -> web.StreamResponse:
    """Answer a submit as the tags of its prompt ask for.

    `accept` is called once if the submit is accepted (it calls `Upstream.accept`), and
    `respond` makes the answer that says so. With `waits` the answer carries the result:
    it is given when the job has ended, and failures are answered by `refusals`.
    """

    def answer(job: Job) -> web.StreamResponse | Awaitable[web.StreamResponse]:
        if waits:
            return _respond_at_end(request, upstream, job, respond, refusals)
        return respond(job)

    script = upstream.script(prompt)
    if script is not PLAIN:
        fault = _take(upstream, script.before, "before", prompt)
        if fault is not None:
            return await _spoil(request, fault, None, None, refusals)
        if script.blocked and refusals.blocked is not None:
            return refusals.blocked()
    job = await _await(accept())
    upstream.keep(job)
    if script is not PLAIN:
        fault = _take(upstream, script.after, "after", prompt)
        if fault is not None:
            return await _spoil(request, fault, job, answer, refusals)
        if script.answer_delay_s:
            await asyncio.sleep(script.answer_delay_s)
    return await _await(answer(job))


async def answer_poll(
    request: web.Request,
    upstream: Upstream,
    job: Job | None,
    respond: Respond,
    refusals: Refusals,
) -> web.StreamResponse:
    """Answer a read of a job's status; `refusals.not_found` when there is no job."""
    if job is None:
        return refusals.not_found()
    if job.script.poll or upstream.poll_script.poll:
        fault = _poll_fault(upstream, job)
        if fault is not None:
            return await _spoil(request, fault, job, respond, refusals)
    return await _await(respond(job))


async def answer_polls(
    request: web.Request,
    upstream: Upstream,
    jobs: Iterable[Job],
    respond: RespondAll,
    refusals: Refusals,
) -> web.StreamResponse:
    """Answer a read of several jobs at once; a fault of one spoils the whole answer."""
    found = list(jobs)
    for job in found:
        fault = _poll_fault(upstream, job)
        if fault is not None:
            return await _spoil(request, fault, job, lambda _: respond(found), refusals)
    return await _await(respond(found))


async def answer_media(
    request: web.Request,
    upstream: Upstream,
    job: Job | None,
    index: int,
    media_format: str,
    refusals: Refusals,
    *,
    media_type: MediaType | None = None,
) -> web.StreamResponse:
    """A result file, whole or the range asked for, as long as its link works.

    `index` counts a job's outputs from 0, `media_format` is a file ending (`png`).
    `media_type` asks for something else than the job makes, such as a song's cover.
    """
    upstream.ledger.count(upstream.name, CallKind.MEDIA)
    if job is None or not 0 <= index < job.count or job.output_fails(index):
        return refusals.no_file()
    if job.phase(upstream.clock()) is not JobPhase.SUCCEEDED:
        return refusals.no_file()
    if job.script.expired:
        return refusals.expired()
    content_type = media.CONTENT_TYPES.get(media_format)
    if content_type is None:
        return refusals.no_file()
    data = await make_output(job, index, media_format, media_type=media_type)
    return await _send_file(request, data, content_type, job.script.big_bytes)


async def make_output(
    job: Job, index: int, media_format: str, *, media_type: MediaType | None = None
) -> bytes:
    """The bytes of one output of a job, made beside the event loop."""
    wanted = media_type or job.media_type
    if wanted is MediaType.IMAGE:
        make = media.make_image
        return await asyncio.to_thread(
            make, job.prompt, job.width, job.height, media_format, index
        )
    if wanted is MediaType.VIDEO:
        return await asyncio.to_thread(
            media.make_video, job.prompt, job.width, job.height, job.seconds, index
        )
    if wanted is MediaType.AUDIO:
        return await asyncio.to_thread(
            media.make_audio, job.prompt, job.seconds, media_format, index
        )
    return job.prompt.encode()


async def wait_for_end(request: web.Request, upstream: Upstream, job: Job) -> bool:
    """Wait until a job has ended; False when the caller went away before."""
    while not job.is_over(now := upstream.clock()):
        if caller_is_gone(request):
            return False
        await asyncio.sleep(min(job.ends_at - now, LOOK_FOR_CALLER_S))
    return True


def caller_is_gone(request: web.Request) -> bool:
    """Whether nobody waits for the answer any more."""
    return request.transport is None or request.transport.is_closing()


async def _respond_at_end(
    request: web.Request,
    upstream: Upstream,
    job: Job,
    respond: Respond,
    refusals: Refusals,
) -> web.StreamResponse:
    if not await wait_for_end(request, upstream, job):
        return web.Response()
    if job.failure is Failure.BLOCKED:
        if refusals.blocked_result is not None:
            return refusals.blocked_result(job)
        if refusals.blocked is not None:
            return refusals.blocked()
    if job.failure is not None:
        if refusals.failed is not None:
            return refusals.failed(job)
        return refusals.server_error(500)
    return await _await(respond(job))


def _take(upstream: Upstream, faults: tuple[Fault, ...], *key: str) -> FaultKind | None:
    """The first of the faults whose turn it is."""
    for fault in faults:
        if upstream.turns.take(fault.times, *key, fault.kind):
            return fault.kind
    return None


def _poll_fault(upstream: Upstream, job: Job) -> FaultKind | None:
    faults = upstream.poll_script.poll + job.script.poll
    return _take(upstream, faults, "poll", job.id) if faults else None


async def _spoil(
    request: web.Request,
    fault: FaultKind,
    job: Job | None,
    respond: Respond | None,
    refusals: Refusals,
) -> web.StreamResponse:
    """Answer wrongly, or not at all; `job` and `respond` make the right answer."""
    match fault:
        case FaultKind.BAD_REQUEST:
            return refusals.bad_request("the request was refused, as its prompt asks")
        case FaultKind.UNAUTHORIZED:
            return refusals.unauthorized()
        case FaultKind.FORBIDDEN:
            return refusals.forbidden()
        case FaultKind.NOT_FOUND:
            return refusals.not_found()
        case FaultKind.RATE_LIMIT:
            return refusals.rate_limit()
        case FaultKind.QUOTA:
            return refusals.quota()
        case FaultKind.HANG:
            return await never_answer(request)
        case FaultKind.RESET:
            return reset(request)
        case FaultKind.HTML:
            return web_page()
        case FaultKind.CUT:
            return await _cut(request, await _right_answer(job, respond))
        case FaultKind.NO_ID:
            right = await _right_answer(job, respond)
            job_id = job.id if job is not None else ""
            return json_answer(without_id(body_of(right), job_id), right.status)
        case _:
            return refusals.server_error(int(fault))


async def _right_answer(job: Job | None, respond: Respond | None) -> web.StreamResponse:
    """The answer without the fault, or an empty object where nothing was accepted."""
    if job is None or respond is None:
        return json_answer({})
    return await _await(respond(job))


def body_of(answer: web.StreamResponse) -> bytes:
    """The body of an answer that is not yet sent; an empty object for a stream."""
    body = answer.body if isinstance(answer, web.Response) else None
    return body if isinstance(body, bytes) else b"{}"


def without_id(body: bytes, job_id: str) -> Any:
    """The JSON of an answer without the values that tell the job's id.

    An answer that tells none loses all it holds.
    """

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(v) for key, v in value.items() if not tells(v)}
        if isinstance(value, list):
            return [strip(item) for item in value if not tells(item)]
        return value

    def tells(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, str | int):
            return False
        return bool(job_id) and job_id in str(value)

    try:
        whole = json.loads(body)
    except ValueError:
        return {}
    stripped = strip(whole)
    return {} if stripped == whole else stripped


async def never_answer(request: web.Request) -> web.StreamResponse:
    """Hold the call open until the caller gives up or the server stops."""
    while not caller_is_gone(request):
        await asyncio.sleep(LOOK_FOR_CALLER_S)
    return web.Response()


def reset(request: web.Request) -> web.StreamResponse:
    """End the connection with a TCP reset and without an answer."""
    transport = request.transport
    if transport is not None:
        descriptor = transport.get_extra_info("socket").fileno()
        # the option belongs to the socket, so a second descriptor sets it for both:
        # the objects that event loops hand out do not all have setsockopt
        with socket.socket(fileno=os.dup(descriptor)) as same:
            linger = struct.pack("ii", 1, 0)
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response()


async def _cut(request: web.Request, right: web.StreamResponse) -> web.StreamResponse:
    """Announce the whole body, send half of it and close the connection."""
    whole = body_of(right)
    answer = web.StreamResponse(status=right.status)
    answer.content_type = right.content_type
    answer.content_length = max(2, len(whole))
    await answer.prepare(request)
    await answer.write(whole[: max(1, len(whole) // 2)])
    if request.transport is not None:
        request.transport.close()
    return answer


async def _send_file(
    request: web.Request, data: bytes, content_type: str, least_bytes: int
) -> web.StreamResponse:
    """Send a file, filled up with zeros to `least_bytes`, or the range asked for."""
    size = max(len(data), least_bytes)
    start, stop, status = 0, size, 200
    try:
        asked = request.http_range
    except ValueError:
        asked = slice(None, None, 1)
    if asked.start is not None or asked.stop is not None:
        start, stop, _ = asked.indices(size)
        if start >= stop:
            headers = {"Content-Range": f"bytes */{size}"}
            return web.Response(status=416, headers=headers)
        status = 206
    answer = web.StreamResponse(status=status)
    answer.content_type = content_type
    answer.content_length = stop - start
    answer.headers["Accept-Ranges"] = "bytes"
    if status == 206:
        answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    await answer.prepare(request)
    if request.method == "HEAD":
        return answer
    for at in range(start, stop, CHUNK_BYTES):
        end = min(at + CHUNK_BYTES, stop)
        chunk = data[at:end]
        await answer.write(chunk + bytes(end - at - len(chunk)))
    await answer.write_eof()
    return answer


async def _await(value: T | Awaitable[T]) -> T:
    return await value if inspect.isawaitable(value) else value
