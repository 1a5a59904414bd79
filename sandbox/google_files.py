"""Result files of the Gemini API in the sandbox: told by a link, had with the key.

A link is `.../<version>/files/<id>`, with `:download?alt=media` for the bytes; that
answers with a redirect to a signed link which needs no key. A file is PROCESSING for a
moment, and gone after two days.
"""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.answers import answer_media, json_answer
from sandbox.google_calls import House, problem
from sandbox.jobs import CallKind, Job, JobPhase

ALPHABET = string.ascii_lowercase + string.digits
LIVES_S = 48 * 3600
PROCESSING_S = 0.2
"""How long a file is not there yet after its job has ended."""
MOST_FILES = 400_000
SDK_MARK = "google-genai-sdk"


def random_word(length: int) -> str:
    """Lower-case letters and digits, as Google's ids are."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def no_file() -> web.Response:
    """A file that is gone is refused like somebody else's."""
    return problem(
        403,
        "PERMISSION_DENIED",
        "You do not have permission to access the File or it may not exist.",
    )


class Files:
    """The files of one upstream's jobs."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._kept = house.upstream.shelf("files", MOST_FILES)

    def add(self, job: Job) -> None:
        """Give each output of a job an id."""
        for index in range(job.count):
            self._kept.put(f"{file_word(job)}{index}", [job.id, index])

    def uri(self, request: web.Request, job: Job, index: int, ending: str = "") -> str:
        """The link of an output, under the address that the caller knows.

        The official SDK downloads by links of https alone, of which it only reads the
        id; so it is told one.
        """
        base = job.base_url
        if SDK_MARK in request.headers.get("x-goog-api-client", ""):
            base = "https://" + base.partition("://")[2]
        version = request.match_info["version"]
        return f"{base}/{version}/files/{file_word(job)}{index}{ending}"

    def find(self, request: web.Request) -> tuple[Job, int] | None:
        """The job and output behind a file, as long as there is one."""
        found = self._kept.find(request.match_info["file"])
        upstream = self.house.upstream
        job = upstream.jobs.find(found[0]) if found else None
        if job is None or job.script.expired or job.output_fails(found[1]):
            return None
        now = upstream.clock()
        if job.phase(now) is not JobPhase.SUCCEEDED or now > job.ends_at + LIVES_S:
            return None
        return job, found[1]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """`GET /<version>/files/<id>`."""
        _, refused = self.house.admit(request, CallKind.RESULT)
        if refused is not None:
            return refused
        found = self.find(request)
        if found is None:
            return no_file()
        return json_answer(self.told(request, *found))

    def told(self, request: web.Request, job: Job, index: int) -> dict[str, Any]:
        """The resource; when it is ready, with the link to its bytes."""
        ready = self.house.upstream.clock() >= job.ends_at + PROCESSING_S
        shown = {
            "name": f"files/{file_word(job)}{index}",
            "mimeType": "video/mp4",
            "createTime": instant(job.created_at),
            "updateTime": instant(job.ends_at),
            "expirationTime": instant(job.ends_at + LIVES_S),
            "uri": self.uri(request, job, index),
            "state": "ACTIVE" if ready else "PROCESSING",
            "source": "GENERATED",
        }
        if ready:
            shown["downloadUri"] = self.uri(request, job, index, ":download?alt=media")
        return shown

    async def download(self, request: web.Request) -> web.StreamResponse:
        """`GET /<version>/files/<id>:download?alt=media`: where the bytes are."""
        _, refused = self.house.admit(request, CallKind.RESULT)
        if refused is not None:
            return refused
        found = self.find(request)
        if found is None:
            return no_file()
        if request.query.get("alt") != "media":
            return problem(400, "INVALID_ARGUMENT", "Only alt=media can be downloaded.")
        job, index = found
        base = self.house.upstream.base_url(request)
        path = f"/download/{file_word(job)}{index}?{self.signature(job)}"
        return web.Response(status=302, headers={"Location": base + path})

    async def send(self, request: web.Request) -> web.StreamResponse:
        """The bytes, for who knows the signed link."""
        found = self.find(request)
        if found is None:
            return no_file()
        job, index = found
        if request.rel_url.raw_query_string != self.signature(job):
            return no_file()
        return await answer_media(
            request, self.house.upstream, job, index, "mp4", self.house.refusals
        )

    def signature(self, job: Job) -> str:
        """The query of a signed link; it has to arrive as it was given."""
        mac = self.house.upstream.keys.hmac_sha256(job.id.encode()).hex()
        return f"alt=media&sig={mac[:24]}%3D%3D"


def file_word(job: Job) -> str:
    """What the ids of a job's files begin with."""
    return str(job.extra["file"])


def instant(at: float) -> str:
    """A time as Google writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
