"""Songs and lyrics over the "Suno-API" protocol, `/suno/submit` and `/suno/fetch`.

Suno sells no public API of its own. This is the protocol of the open-source Suno-API
server and of everything that imitates it: new-api and its resellers. A channel names
its own base URL; the default is where a Suno-API server listens on the same machine.

Sources, read November 2026: Suno-API/Suno-API (api.go, model.go, router.go, task.go,
entity/po, middleware/auth.go); QuantumNous/new-api (relay/channel/task/suno,
dto/suno.go, dto/task.go, service/task_polling.go, relay/relay_task.go) and
new-api-docs, "suno-music".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from providers import auth, errors, payload
from providers.dialects import songs
from providers.dialects.songs import Action
from providers.flow import Call, Flow, Reply
from providers.types import (
    Artifact,
    Callback,
    Failure,
    GenerationRequest,
    Heard,
    MediaType,
    Model,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
    by_name,
)

PHASES = {
    "": Phase.PENDING,
    "NOT_START": Phase.PENDING,
    "SUBMITTED": Phase.PENDING,
    "QUEUED": Phase.PENDING,
    "IN_PROGRESS": Phase.RUNNING,
    "SUCCESS": Phase.SUCCEEDED,
    "FAILURE": Phase.FAILED,
    "FAIL": Phase.FAILED,  # the word of new-api's documentation
    "UNKNOWN": Phase.FAILED,  # the server counts it as finished and stops looking
}

CODES: errors.Codes = {
    "insufficient_user_quota": errors.QuotaExhausted,
    "task_not_exist": errors.NotFound,
    "model_not_found": errors.ModelRefused,  # new-api has no channel for the model
}
# Suno's own HTTP status is passed through under the code "invalid_request", which
# therefore says nothing. "new_api_error" is the gate in front of the Suno handler, so
# nothing was handed on, whatever the status.
CODES_OF_STATUS: Mapping[int, errors.Codes] = {
    403: {"invalid_request": errors.RateLimited},  # Suno blocks the session for a while
    404: {"invalid_request": errors.Rejected},  # Suno does not know the clip
    503: {"new_api_error": errors.RateLimited},
}

# Suno's own words are not public: what fits neither reads as a plain failure.
MODERATED = re.compile(
    r"moderat|artist|copyright|content (check|policy)|sensitive|inappropriate", re.I
)
TIMED_OUT = re.compile(r"time(d)? ?out", re.I)
PERCENT = re.compile(r"(\d{1,3})(\.\d+)?%")


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one job of two songs, or of one text; billed when accepted."""
    action = songs.action_of(request)
    body = music_body(request) if action is Action.MUSIC else lyrics_body(request)
    reply = yield Call("POST", f"/suno/submit/{action}", json=body, paid=True)
    # 404: this base URL has no Suno routes
    return read_accepted(read_data(reply, not_found=errors.ChannelRefused))


def music_body(request: GenerationRequest) -> dict[str, Any]:
    """The fields of `/suno/submit/MUSIC`.

    A description makes the server ignore all other texts, so it is sent alone.
    """
    song = songs.read_song(request)
    body = payload.given(
        gpt_description_prompt=None if song.custom else song.text,
        prompt=song.text if song.custom else None,
        tags=song.style if song.custom else None,
        title=song.title if song.custom else None,
        mv=song.version if request.model == songs.MUSIC_MODEL else request.model,
        make_instrumental=song.instrumental,
        continue_clip_id=song.clip_id,
        continue_at=song.continue_at,
        notify_hook=request.callback_url,  # ignored by the original server
    )
    return payload.merged(body, song.rest, keep=("mv", "notify_hook"))


def lyrics_body(request: GenerationRequest) -> dict[str, Any]:
    """The fields of `/suno/submit/LYRICS`."""
    body = payload.given(prompt=request.text, notify_hook=request.callback_url)
    return payload.merged(body, request.metadata, keep=("mv", "notify_hook"))


@errors.documented("a Suno task id")
def read_accepted(data: str) -> Snapshot:
    """The bare text that names a new job."""
    if not isinstance(data, str) or not data:
        raise ValueError(f"data is {type(data).__name__}")
    return Snapshot(phase=Phase.PENDING, remote=Remote(data))


def poll(remote: Remote) -> Flow[Snapshot]:
    """One job, by the batch call.

    The call for a single job answers in two incompatible shapes, and the original
    server's has no task status; the batch call is the same everywhere.
    """
    tasks = yield from fetch([remote])
    if remote.id not in tasks:
        raise errors.NotFound(f"the upstream knows no Suno task {remote.id}")
    return read_task(tasks[remote.id])


def poll_many(remotes: Sequence[Remote]) -> Flow[Mapping[str, Snapshot]]:
    """Many jobs at once, by id; one that is unknown upstream is left out.

    A job whose answer cannot be read stays running, so that it is looked at again and
    does not spoil the look at the others.
    """
    tasks = yield from fetch(remotes)
    snapshots = {}
    for remote in remotes:
        if remote.id in tasks:
            try:
                snapshots[remote.id] = read_task(tasks[remote.id])
            except errors.UnexpectedReply:
                snapshots[remote.id] = Snapshot(phase=Phase.RUNNING, remote=remote)
    return snapshots


def fetch(remotes: Sequence[Remote]) -> Flow[Mapping[str, Mapping[str, Any]]]:
    """The task objects that the upstream has for these jobs, by id."""
    ids = [remote.id for remote in remotes]
    reply = yield Call("POST", "/suno/fetch", json={"ids": ids})
    # Unknown ids are left out silently, so a 404 speaks of the address, not of a job.
    return read_tasks(read_data(reply, not_found=errors.Unavailable))


@errors.documented("a list of Suno tasks")
def read_tasks(data: Any) -> Mapping[str, Mapping[str, Any]]:
    """`[{"task_id", ...}]`, or null for none, as a table by id."""
    return {task["task_id"]: task for task in data or []}


@errors.documented("a Suno task")
def read_task(task: Mapping[str, Any]) -> Snapshot:
    """`{"task_id", "status", "fail_reason", "progress"?, "data"}` as a snapshot.

    `data` is a list of clips for music, one object for lyrics, and null or empty before
    that. Before the end, a clip's URL is a live stream and no file.
    """
    phase = PHASES[task["status"]]
    remote = Remote(task["task_id"])
    if phase not in (Phase.SUCCEEDED, Phase.FAILED):
        return Snapshot(phase=phase, remote=remote, percent=read_percent(task))
    data = task.get("data") or []
    pieces = [data] if isinstance(data, Mapping) else data
    read_piece = read_lyrics if isinstance(data, Mapping) else read_clip
    artifacts = [artifact for piece in pieces if (artifact := read_piece(piece))]
    if not artifacts and phase is Phase.SUCCEEDED:
        raise ValueError("a success without a finished song or text")
    # One bad clip of two makes the whole task a FAILURE upstream.
    failed = phase is Phase.FAILED or len(artifacts) < len(pieces)
    return Snapshot(
        phase=Phase.SUCCEEDED if artifacts else Phase.FAILED,
        remote=remote,
        percent=100,
        artifacts=tuple(artifacts),
        failure=read_failure(task, pieces) if failed else None,
    )


def read_percent(task: Mapping[str, Any]) -> int | None:
    """`"progress": "30%"` as 30; the original server sends none."""
    match = PERCENT.fullmatch(str(task.get("progress", "")))
    return min(int(match[1]), 100) if match else None


def read_clip(clip: Mapping[str, Any]) -> Artifact | None:
    """A finished song; None for a clip that failed or only streams."""
    url = clip.get("audio_url") or ""
    if clip["status"] != "complete" or not url or streams(url):
        return None
    return Artifact(
        url=url,
        content_type="audio/mpeg",
        title=clip.get("title") or None,
        duration_s=(clip.get("metadata") or {}).get("duration"),
    )


def streams(url: str) -> bool:
    """Whether a URL is Suno's live stream of a song in the making."""
    return (urlsplit(url).hostname or "").startswith("audiopipe.")


def read_lyrics(lyrics: Mapping[str, Any]) -> Artifact | None:
    """A finished text; None when there is none."""
    text = lyrics.get("text")
    return Artifact(text=text, title=lyrics.get("title") or None) if text else None


def read_failure(
    task: Mapping[str, Any], pieces: Sequence[Mapping[str, Any]]
) -> Failure:
    """Why a job, or one of its clips, failed: its own words or those of a clip."""
    notes = [piece.get("metadata") or {} for piece in pieces]
    told = [note["error_message"] for note in notes if note.get("error_message")]
    codes = [str(note["error_type"]) for note in notes if note.get("error_type")]
    message = task.get("fail_reason") or next(iter(told), "")
    code = next(iter(codes), task["status"])
    if MODERATED.search(f"{code} {message}"):
        reason = Reason.CONTENT_REJECTED
    elif TIMED_OUT.search(message):
        reason = Reason.UPSTREAM_TIMEOUT
    else:
        reason = Reason.UPSTREAM_FAILED
    return Failure(reason, message or "the upstream gave no reason", code)


def read_data(reply: Reply, *, not_found: type[errors.ProviderError]) -> Any:
    """What `{"code": "success", "message", "data"}` carries, or the error it is.

    `not_found` is what a 404 means that does not speak of a task.
    """
    codes = {**CODES, **CODES_OF_STATUS.get(reply.status, {})}
    if not reply.ok:
        error = errors.refusal(reply, codes, read_refusal)
        if isinstance(error, errors.NotFound) and error.code not in codes:
            raise errors.make(not_found, str(error), status=reply.status)
        raise error
    return read_envelope(errors.read_json(reply), reply.status)


@errors.documented("a Suno envelope")
def read_envelope(body: Mapping[str, Any], status: int) -> Any:
    """The data of a success; some resellers refuse with status 200 and a code."""
    if body.get("code") == "success":
        return body["data"]
    code, message = read_refusal(body)
    raise errors.make(
        CODES.get(code, errors.Rejected), message, code=code, status=status
    )


def read_refusal(body: Mapping[str, Any]) -> tuple[str, str]:
    """Code and message, of a Suno handler or of the gate of a new-api in front."""
    if "error" in body:
        return errors.read_error_object(body)
    return str(body["code"]), str(body["message"])


@errors.documented("a Suno callback")
def receive(callback: Callback, model: str) -> Heard:
    """Which job calls home: a task object, bare or in the envelope; never signed.

    Only resellers call, and whether they wrap the task is not documented.
    """
    body = errors.read_json(Reply(200, {}, callback.body))
    told = body if "task_id" in body else body["data"]
    tasks = told if isinstance(told, list) else [told]
    ids = tuple(str(task["task_id"]) for task in tasks)
    return Heard(ids, remote=Remote(ids[0]))


def test() -> Flow[None]:
    """Ask for no task at all: free, and refused when the key is wrong."""
    yield from fetch([])


MUSIC = Model(
    name=songs.MUSIC_MODEL,
    media_type=MediaType.AUDIO,
    actions=("generate", Action.MUSIC),
    refuses=songs.NOT_FOR_SONGS | {"negative_prompt", "voice"},
    max_n=2,  # always two
    output_formats=("mp3",),
    typical_s=150.0,
    longest_s=1200.0,  # the server gives up after 10 min, plus its queue of 100
)
LYRICS = Model(
    name=songs.LYRICS_MODEL,
    media_type=MediaType.AUDIO,
    # The original server answers only when the text is there, after up to 2 min; then
    # the answer is still a task id. Elsewhere it answers at once.
    sync=True,
    actions=("generate", Action.LYRICS),
    refuses=songs.NOT_FOR_LYRICS,
    max_n=1,
    typical_s=20.0,
    longest_s=600.0,
)
# Suno's versions (`mv`), with the most characters of the words to sing.
VERSIONS = {
    "chirp-v3-0": None,
    "chirp-v3-5": 3000,
    "chirp-v4": 3000,
    "chirp-auk": 5000,  # v4.5
    "chirp-v4-5": 5000,
    "chirp-auk-turbo": 5000,  # v4.5-all
    "chirp-bluejay": 5000,  # v4.5+
    "chirp-v4-5-plus": 5000,
    "chirp-crow": 5000,  # v5
    "chirp-v5": 5000,
    "chirp-fenix": 5000,  # v5.5
}
MODELS = (
    MUSIC,
    LYRICS,
    *(replace(MUSIC, name=name, max_prompt=most) for name, most in VERSIONS.items()),
)
KNOWN = by_name(MODELS)


def describe(name: str) -> Model | None:
    """The model of this name; every `chirp-...` is a version for songs."""
    if name.startswith("chirp-"):
        return KNOWN(name) or replace(MUSIC, name=name)
    return KNOWN(name)


PROVIDER = Provider(
    name="suno",
    title="Suno (Suno-API protocol)",
    base_url="http://127.0.0.1:8000",
    models=MODELS,
    describe=describe,
    authorize=auth.bearer,
    submit=submit,
    poll=poll,
    poll_many=poll_many,
    poll_many_limit=100,
    poll_spacing_s=3.0,
    receive=receive,
    test=test,
    env=("SUNO_API_KEY",),
    sandbox_path="/suno",
)
