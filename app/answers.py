"""What a client reads of a task: the body of GET and of its callback."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from app.lifecycle import STATUSES, State
from app.runtime import Runtime
from app.security import signatures
from app.store.tasks import Result, Task

RESULT_ROUTE = "/generation/tasks/{task_id}/results/{n}"


def accepted(new: Mapping[str, Any], created_at: int) -> dict[str, Any]:
    """`data` of the answer to a submit; `new` has id, media_type and model."""
    return {
        "task_id": new["id"],
        "status": STATUSES[State.QUEUED],
        "media_type": new["media_type"],
        "model": new["model"],
        "created_at": created_at // 1000,
    }


def task_data(
    rt: Runtime, task: Task, *, base_url: str | None = None
) -> dict[str, Any]:
    """`data` of GET, and of a callback; `base_url` is where the client reached us.

    Links are signed anew each time, so that they live their full time from now.
    """
    links = [result_link(rt, task.id, result, base_url) for result in task.results]
    return {
        "task_id": task.id,
        "media_type": task.media_type,
        "model": task.model,
        "status": STATUSES[task.state],
        "progress": f"{100 if task.state is State.SUCCEEDED else task.percent}%",
        "result_urls": [url for url, _ in links if url],
        "results": [
            _result(rt, task, result, url, expires_at)
            for result, (url, expires_at) in zip(task.results, links, strict=True)
        ],
        "error": task.error or "",
        "error_code": task.error_code,
        "created_at": seconds(task.created_at),
        "updated_at": seconds(task.updated_at),
        "submit_time": seconds(task.submitted_at),
        "start_time": seconds(task.started_at),
        "finish_time": seconds(task.finished_at),
        "usage": task.usage,
        "metadata": task.metadata,
        "callback": _callback(task),
    }


def result_link(
    rt: Runtime, task_id: str, result: Result, base_url: str | None = None
) -> tuple[str | None, int | None]:
    """A link that needs no key, and the unix second at which it dies."""
    if result.storage_key is None:
        expires_at = seconds(result.expires_at)
        return result.url, expires_at
    expires_at = int(rt.now()) + rt.settings.link_ttl_s
    signature = signatures.sign_link(rt.link_key, task_id, result.n, expires_at)
    path = RESULT_ROUTE.format(task_id=task_id, n=result.n)
    base = base_url or rt.public_url
    return f"{base}{path}?expires={expires_at}&signature={signature}", expires_at


def seconds(instant: int | None) -> int | None:
    """Unix seconds of an instant in milliseconds."""
    return None if instant is None else instant // 1000


def _result(
    rt: Runtime, task: Task, result: Result, url: str | None, expires_at: int | None
) -> dict[str, Any]:
    data = {
        "url": url,
        "content_type": result.content_type,
        "size_bytes": result.size_bytes,
        "width": result.width,
        "height": result.height,
        "duration_s": result.duration_s,
        "expires_at": expires_at,
        "title": result.title,
        "text": result.text,
    }
    if task.response_format == "b64_json" and result.storage_key:
        with rt.storage.open(result.storage_key) as file:
            data["b64_json"] = base64.b64encode(file.read()).decode()
    return data


def _callback(task: Task) -> dict[str, Any] | None:
    if task.callback_url is None:
        return None
    return {
        "url": task.callback_url,
        "state": task.callback_state or "waiting",
        "attempts": task.callback_attempts,
    }
