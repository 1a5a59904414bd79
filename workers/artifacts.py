"""Bring what an upstream made into storage, and say what it is."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import unquote_to_bytes

from app import media
from app.settings import ResultCopy
from app.storage import StorageError
from app.store.tasks import Result
from providers.types import Artifact, Failure, Phase, Reason, Snapshot
from workers.http import Account, DownloadFailed
from workers.runtime import WorkerRuntime

logger = logging.getLogger(__name__)

COPY_TIMEOUT_S = 600.0
STORE_TRIES = 5
STORE_PAUSE_S = 1.0
MEDIA = ("image/", "video/", "audio/")
# Scripts run in it: it is handed out as a file, never as a page.
PLAIN = "application/octet-stream"
ARTIFACT_FIELDS = [f.name for f in fields(Artifact) if f.name != "content"]


@dataclass(frozen=True, slots=True)
class Item:
    """One output on its way into storage: kept already, or still to be copied.

    `error` says why the last try to copy it failed; `final` that another is in vain.
    """

    n: int
    result: Result | None = None
    artifact: Artifact | None = None
    error: str | None = None
    final: bool = False


def dump(snapshot: Snapshot, items: Sequence[Item]) -> dict[str, Any]:
    """A finished job whose outputs are not all here, as JSON for the submission's row.

    The upstream is not asked again, so what it said of the success is kept too.
    """
    failure = snapshot.failure
    return {
        "usage": dict(snapshot.usage),
        "failure": [failure.reason.value, failure.message] if failure else None,
        "items": [
            {
                "n": item.n,
                "result": asdict(item.result) if item.result else None,
                "artifact": {k: getattr(item.artifact, k) for k in ARTIFACT_FIELDS}
                if item.artifact
                else None,
                "error": item.error if item.final else None,
                "final": item.final,
            }
            for item in items
        ],
    }


def load(found: Mapping[str, Any]) -> tuple[Snapshot, list[Item]]:
    """What `dump` wrote; only what is lost for good keeps its error."""
    failure = None
    if found["failure"]:
        reason, message = found["failure"]
        failure = Failure(Reason(reason), message)
    snapshot = Snapshot(phase=Phase.SUCCEEDED, failure=failure, usage=found["usage"])
    return snapshot, [
        Item(
            item["n"],
            Result(**item["result"]) if item["result"] else None,
            Artifact(**item["artifact"]) if item["artifact"] else None,
            item["error"],
            item["final"],
        )
        for item in found["items"]
    ]


async def keep_inline(
    rt: WorkerRuntime, task_id: str, artifacts: Sequence[Artifact]
) -> list[Item]:
    """Store at once what came with the answer: it cannot be asked for again."""
    return [
        await _keep_inline(rt, task_id, n, artifact)
        for n, artifact in enumerate(artifacts)
    ]


async def copy(
    rt: WorkerRuntime, account: Account, task_id: str, items: Sequence[Item]
) -> list[Item]:
    """Copy what is still at the upstream; items that failed say why."""
    return list(
        await asyncio.gather(*(_copy(rt, account, task_id, item) for item in items))
    )


async def _keep_inline(
    rt: WorkerRuntime, task_id: str, n: int, artifact: Artifact
) -> Item:
    content, content_type = artifact.content, artifact.content_type
    if content is None and artifact.url and artifact.url.startswith("data:"):
        content, content_type = _read_data_url(artifact.url)
    if content is None:
        if artifact.url is None:
            return Item(n, _result(n, artifact))
        return Item(n, artifact=artifact)
    key = storage_key(task_id, n)
    for tried in range(STORE_TRIES):
        try:
            await rt.engine.in_thread(rt.base.storage.put, key, content)
            break
        except StorageError:
            logger.exception("a result cannot be stored", extra={"task": task_id})
            if tried + 1 == STORE_TRIES:
                return Item(n, error="the result could not be stored", final=True)
            await asyncio.sleep(STORE_PAUSE_S * 2**tried)
    return Item(
        n,
        await _describe(
            rt,
            _result(n, artifact),
            key,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            sniffed=media.sniff(content[:4096]),
            declared=artifact.content_type or content_type,
        ),
    )


async def _copy(rt: WorkerRuntime, account: Account, task_id: str, item: Item) -> Item:
    artifact = item.artifact
    if item.result is not None or item.final:
        return item
    if artifact is None or artifact.url is None:
        return item
    if rt.settings.result_copy is ResultCopy.PASS and not artifact.protected:
        return Item(item.n, passed_on(account, item))
    key = storage_key(task_id, item.n)
    try:
        file = await rt.engine.download(
            account,
            artifact.url,
            key,
            protected=artifact.protected,
            timeout_s=COPY_TIMEOUT_S,
        )
    except (DownloadFailed, StorageError) as error:
        final = isinstance(error, DownloadFailed) and error.final
        return Item(item.n, artifact=artifact, error=str(error), final=final)
    result = await _describe(
        rt,
        _result(item.n, artifact),
        key,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        sniffed=file.sniffed_type,
        declared=artifact.content_type or file.content_type,
    )
    return Item(item.n, result)


def passed_on(account: Account, item: Item) -> Result | None:
    """The upstream's own link as the result; None for one that needs the key."""
    artifact = item.artifact
    if artifact is None or artifact.url is None or artifact.protected:
        return None
    expires_at = None
    if artifact.expires_at:
        expires_at = artifact.expires_at * 1000
    elif live_s := account.provider.links_live_s:
        expires_at = int((time.time() + live_s) * 1000)
    result = _result(item.n, artifact)
    return Result(**{**asdict(result), "url": artifact.url, "expires_at": expires_at})


def storage_key(task_id: str, n: int) -> str:
    """Where a result lies: spread over folders by the random end of the task's id."""
    return f"results/{task_id[-2:]}/{task_id}/{n}"


def _result(n: int, artifact: Artifact) -> Result:
    return Result(
        n=n,
        content_type=artifact.content_type,
        width=artifact.width,
        height=artifact.height,
        duration_s=artifact.duration_s,
        title=artifact.title,
        text=artifact.text,
    )


async def _describe(
    rt: WorkerRuntime,
    result: Result,
    key: str,
    *,
    size_bytes: int,
    sha256: str,
    sniffed: str | None,
    declared: str | None,
) -> Result:
    """The result with what its bytes say; they count more than what was declared."""
    content_type = sniffed or declared or PLAIN
    if not content_type.startswith(MEDIA):
        content_type = PLAIN

    def probe() -> media.MediaInfo:
        with rt.base.storage.open(key) as file:
            return media.probe(file, content_type)

    info = await rt.engine.in_thread(probe)
    return Result(
        **{
            **asdict(result),
            "storage_key": key,
            "content_type": content_type,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "width": info.width or result.width,
            "height": info.height or result.height,
            "duration_s": info.duration_s or result.duration_s,
        }
    )


def _read_data_url(url: str) -> tuple[bytes, str | None]:
    """Bytes and type of a data URL; what cannot be read is an empty file."""
    header, _, payload = url.partition(",")
    words = header.removeprefix("data:").split(";")
    try:
        content = (
            base64.b64decode(payload)
            if "base64" in words
            else unquote_to_bytes(payload)
        )
    except ValueError:  # not base64, or not even ASCII
        content = b""
    return content, words[0] or None
