"""Songs and lyrics at sunoapi.org, and at kie.ai, which speaks the same format.

HTTP 200 says little here: the `code` in the body is the real status, and 429 means "no
credits" at sunoapi.org but "too fast" at kie.ai. Keys of answers are in camel case,
those of callbacks in snake case.

Sources, read November 2026: docs.sunoapi.org ("Generate Music", its callbacks and
details, "Extend Music", "Generate Lyrics" and details, "Get Remaining Credits", status
codes); docs.kie.ai ("Suno API", "Get Remaining Credits", webhook verification).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from providers import auth, errors, payload
from providers.dialects import songs
from providers.dialects.songs import Action, Song
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
    Signed,
    Snapshot,
    by_name,
)

# Status word: phase, and percent where a word tells one of several stages.
STATUSES = {
    "PENDING": (Phase.PENDING, None),
    "TEXT_SUCCESS": (Phase.RUNNING, 30),
    "FIRST_SUCCESS": (Phase.RUNNING, 60),
    "SUCCESS": (Phase.SUCCEEDED, 100),
    "CREATE_TASK_FAILED": (Phase.FAILED, 100),
    "GENERATE_AUDIO_FAILED": (Phase.FAILED, 100),
    "GENERATE_LYRICS_FAILED": (Phase.FAILED, 100),
    "SENSITIVE_WORD_ERROR": (Phase.FAILED, 100),
    # Their call to us broke, not the song: it counts as finished once all that the
    # record lists is there, and is looked at until its deadline else.
    "CALLBACK_EXCEPTION": (Phase.RUNNING, None),
}
REASONS = {  # by status word, else by `errorCode`
    "SENSITIVE_WORD_ERROR": Reason.CONTENT_REJECTED,
    "400": Reason.CONTENT_REJECTED,  # copyrighted lyrics
    "413": Reason.CONTENT_REJECTED,  # the uploaded audio is somebody's work
    "408": Reason.UPSTREAM_TIMEOUT,
    "501": Reason.UPSTREAM_FAILED,
    "531": Reason.UPSTREAM_FAILED,  # credits were given back
}

SHARED_CODES: errors.Codes = {
    "400": errors.Rejected,
    "401": errors.KeyRefused,
    "405": errors.RateLimited,  # over a limit of the account
    "413": errors.Rejected,  # the prompt is too long
    "430": errors.RateLimited,
    "455": errors.RateLimited,  # maintenance: nothing is accepted
    "500": errors.Unavailable,
}
CODES: errors.Codes = {**SHARED_CODES, "429": errors.QuotaExhausted}
KIE_CODES: errors.Codes = {
    **SHARED_CODES,
    "402": errors.QuotaExhausted,
    "409": errors.OutcomeUnknown,
    "422": errors.Rejected,
    "429": errors.RateLimited,
    "451": errors.Rejected,  # an input file could not be fetched
}
# How an unknown id is answered is not documented: `data` null at sunoapi.org, and 422
# "recordInfo is null" for kie.ai's other jobs.
RECORD_CODES: errors.Codes = {"404": errors.NotFound, "422": errors.NotFound}

VERSIONS = {  # Suno's own name of a version: its name here
    "chirp-v3-5": "V3_5",
    "chirp-v4": "V4",
    "chirp-auk": "V4_5",
    "chirp-v4-5": "V4_5",
    "chirp-auk-turbo": "V4_5ALL",
    "chirp-bluejay": "V4_5PLUS",
    "chirp-v4-5-plus": "V4_5PLUS",
    "chirp-crow": "V5",
    "chirp-v5": "V5",
    "chirp-fenix": "V5_5",
}
DEFAULT_VERSION = "V5"
GENDERS = {"male": "m", "m": "m", "female": "f", "f": "f"}
# An address is documented as required. This one can never exist, so that no stranger
# hears of our songs; the job then ends as CALLBACK_EXCEPTION, which is read above.
NO_CALLBACK = "https://callback.invalid/"

RECORDS = {  # kind of job: where its record is
    Action.MUSIC: "/api/v1/generate/record-info",
    Action.LYRICS: "/api/v1/lyrics/record-info",
}


def submit(request: GenerationRequest, codes: errors.Codes = CODES) -> Flow[Snapshot]:
    """Start one job of two songs, or of a few texts; billed when accepted."""
    action = songs.action_of(request)
    if action is Action.LYRICS:
        path, body = "/api/v1/lyrics", lyrics_body(request)
    else:
        path, body = music_body(request)
    reply = yield Call("POST", path, json=body, paid=True)
    # 404: this base URL has no such API
    data = read_data(reply, {**codes, "404": errors.ChannelRefused})
    return read_accepted(data, action)


def music_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and fields for a new song, or for more of an earlier one."""
    song = songs.read_song(request)
    if song.clip_id:
        path, mode = "/api/v1/generate/extend", extension(song)
    else:
        path = "/api/v1/generate"
        mode = {"customMode": song.custom, "instrumental": song.instrumental}
    body = payload.given(
        **mode,
        model=version_of(request, song),
        callBackUrl=request.callback_url or NO_CALLBACK,
        prompt=song.text or None,
        style=song.style if song.custom else None,
        title=song.title if song.custom else None,
        negativeTags=request.negative_prompt,
        vocalGender=read_gender(request.voice),
    )
    return path, payload.merged(body, song.rest, keep=("model", "callBackUrl"))


def extension(song: Song) -> dict[str, Any]:
    """What to continue; without own words on it, all is as in the earlier song."""
    own = any((song.style, song.title, song.continue_at is not None))
    return payload.given(
        defaultParamFlag=own, audioId=song.clip_id, continueAt=song.continue_at
    )


def version_of(request: GenerationRequest, song: Song) -> str:
    """The model version to send: the model itself, or what `metadata.mv` says."""
    if request.model != songs.MUSIC_MODEL:
        return VERSIONS.get(request.model, request.model)
    wanted = song.version or DEFAULT_VERSION
    return VERSIONS.get(wanted, wanted)


def read_gender(voice: str | None) -> str | None:
    """The singer's gender as the upstream spells it."""
    if voice is None:
        return None
    if voice.lower() not in GENDERS:
        raise errors.Rejected(
            f"voice {voice!r} is unknown; allowed are male and female"
        )
    return GENDERS[voice.lower()]


def lyrics_body(request: GenerationRequest) -> dict[str, Any]:
    """The fields of `/api/v1/lyrics`; the prompt has 200 words at most."""
    body = {
        "prompt": request.text,
        "callBackUrl": request.callback_url or NO_CALLBACK,
    }
    return payload.merged(body, request.metadata, keep=("model", "callBackUrl"))


@errors.documented("an accepted Suno job")
def read_accepted(data: Mapping[str, Any], action: Action) -> Snapshot:
    """`{"taskId"}` of a new job."""
    if not isinstance(data["taskId"], str) or not data["taskId"]:
        raise ValueError("taskId is no text")
    return Snapshot(phase=Phase.PENDING, remote=remote_of(data["taskId"], action))


def remote_of(task_id: str, action: Action) -> Remote:
    """How a job is known: its record lies elsewhere for songs than for texts."""
    return Remote(task_id, {"kind": action.value})


def poll(remote: Remote, codes: errors.Codes = CODES) -> Flow[Snapshot]:
    """The record of one job; there is no call for several."""
    action = Action(remote.links.get("kind", Action.MUSIC))
    reply = yield Call("GET", RECORDS[action], params={"taskId": remote.id})
    data = read_data(reply, {**codes, **RECORD_CODES})
    if data is None:
        raise errors.NotFound(f"the upstream has no record of {remote.id}")
    return read_record(data, action)


@errors.documented("a Suno record")
def read_record(data: Mapping[str, Any], action: Action) -> Snapshot:
    """`{"taskId", "status", "response", "errorCode", "errorMessage"}` as a snapshot."""
    phase, percent = STATUSES[data["status"]]
    remote = remote_of(data["taskId"], action)
    pieces, artifacts = read_pieces(data.get("response"), action)
    done = artifacts and all(is_done(piece, action) for piece in pieces)
    if data["status"] == "CALLBACK_EXCEPTION" and done:
        phase, percent = Phase.SUCCEEDED, 100
    if phase not in (Phase.SUCCEEDED, Phase.FAILED):
        return Snapshot(phase=phase, remote=remote, percent=percent)
    if phase is Phase.SUCCEEDED and not artifacts and action is Action.MUSIC:
        raise ValueError("a success without a song")
    failed = phase is Phase.FAILED or len(artifacts) < len(pieces) or not artifacts
    return Snapshot(
        phase=Phase.SUCCEEDED if artifacts else Phase.FAILED,
        remote=remote,
        percent=percent,
        artifacts=artifacts,
        failure=read_failure(data, pieces) if failed else None,
    )


def read_pieces(
    response: Mapping[str, Any] | None, action: Action
) -> tuple[Sequence[Mapping[str, Any]], tuple[Artifact, ...]]:
    """The listed songs or texts of a record, and those of them that are finished."""
    names = {Action.MUSIC: "sunoData", Action.LYRICS: "data"}
    pieces = (response or {}).get(names[action]) or []
    read_piece = read_track if action is Action.MUSIC else read_text
    return pieces, tuple(found for piece in pieces if (found := read_piece(piece)))


def is_done(piece: Mapping[str, Any], action: Action) -> bool:
    """Whether a piece will not change any more; a failed song is not told from a late
    one, a failed text is.
    """
    if action is Action.MUSIC:
        return bool(piece.get("audioUrl"))
    return piece["status"] in ("complete", "failed")


def read_track(track: Mapping[str, Any]) -> Artifact | None:
    """A finished song; None while it has only a stream."""
    if not track.get("audioUrl"):
        return None
    return Artifact(
        url=track["audioUrl"],
        content_type="audio/mpeg",
        title=track.get("title") or None,
        duration_s=track.get("duration"),
    )


def read_text(piece: Mapping[str, Any]) -> Artifact | None:
    """One variant of a text; None when it failed."""
    if piece["status"] != "complete" or not piece.get("text"):
        return None
    return Artifact(text=piece["text"], title=piece.get("title") or None)


def read_failure(
    data: Mapping[str, Any], pieces: Sequence[Mapping[str, Any]]
) -> Failure:
    """Why a job, or one of its pieces, failed; `errorCode` may be number or text."""
    code = "" if data.get("errorCode") is None else str(data["errorCode"])
    told = [piece["errorMessage"] for piece in pieces if piece.get("errorMessage")]
    message = data.get("errorMessage") or next(iter(told), "")
    reason = REASONS.get(data["status"]) or REASONS.get(code, Reason.UPSTREAM_FAILED)
    return Failure(
        reason, message or "the upstream gave no reason", code or data["status"]
    )


def read_data(reply: Reply, codes: errors.Codes) -> Any:
    """What `{"code": 200, "msg", "data"}` carries, or the error that it is."""
    if reply.ok:
        return read_envelope(errors.read_json(reply), reply, codes)
    error = errors.refusal(reply, codes, read_refusal)
    if isinstance(error, errors.NotFound) and not error.code:
        # A page, not an answer of the API: it says nothing of a job.
        raise errors.Unavailable(str(error), status=reply.status)
    raise error


@errors.documented("a Suno envelope")
def read_envelope(body: Mapping[str, Any], reply: Reply, codes: errors.Codes) -> Any:
    """The data of a success; the body's code is the status, whatever HTTP says."""
    code, message = read_refusal(body)
    if code == "200":
        return body["data"]
    raise errors.make(
        codes.get(code) or errors.by_status(int(code)),
        message,
        code=code,
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def read_refusal(body: Mapping[str, Any]) -> tuple[str, str]:
    """Code and message of an envelope."""
    return str(body["code"]), str(body["msg"])


@errors.documented("a Suno callback")
def receive(callback: Callback, model: str) -> Heard:
    """Which job calls home; never signed at sunoapi.org.

    A lyrics callback names its job `taskId`, the others `task_id`.
    """
    data = errors.read_json(Reply(200, {}, callback.body))["data"]
    task_id = str(data["task_id"] if "task_id" in data else data["taskId"])
    action = Action.LYRICS if model == songs.LYRICS_MODEL else Action.MUSIC
    return Heard((task_id,), remote=remote_of(task_id, action))


@errors.documented("a kie.ai callback")
def receive_kie(callback: Callback, model: str) -> Heard:
    """The same at kie.ai, signed when the account has a webhook key.

    The signature covers only id and time, not the body.
    """
    heard = receive(callback, model)
    signature = callback.headers.get("x-webhook-signature")
    if signature is None:
        return heard
    timestamp = callback.headers["x-webhook-timestamp"]
    signed = Signed(
        scheme="hmac-sha256",
        message=f"{heard.ids[0]}.{timestamp}".encode(),
        signature=signature,
        timestamp=float(timestamp),
    )
    return replace(heard, signed=signed)


def ask_credits(path: str, codes: errors.Codes) -> Flow[None]:
    """Prove a key by asking for the credits that are left: free."""
    reply = yield Call("GET", path)
    read_data(reply, codes)


MUSIC = Model(
    name=songs.MUSIC_MODEL,
    media_type=MediaType.AUDIO,
    actions=("generate", Action.MUSIC),
    refuses=songs.NOT_FOR_SONGS,
    max_prompt=5000,
    max_n=2,  # always two
    output_formats=("mp3",),
    typical_s=150.0,
    longest_s=1200.0,
)
LYRICS = Model(
    name=songs.LYRICS_MODEL,
    media_type=MediaType.AUDIO,
    actions=("generate", Action.LYRICS),
    refuses=songs.NOT_FOR_LYRICS,
    max_n=1,
    typical_s=20.0,
    longest_s=600.0,
)
MODELS = (
    MUSIC,
    LYRICS,
    replace(MUSIC, name="V3_5", max_prompt=3000),
    replace(MUSIC, name="V4", max_prompt=3000),
    replace(MUSIC, name="V4_5"),
    replace(MUSIC, name="V4_5ALL"),
    replace(MUSIC, name="V4_5PLUS"),
    replace(MUSIC, name="V5"),
    replace(MUSIC, name="V5_5"),
)
KNOWN = by_name(MODELS)


def describe(name: str) -> Model | None:
    """The model of this name, or of Suno's own name for the same version."""
    model = KNOWN(VERSIONS.get(name, name))
    return replace(model, name=name) if model else None


PROVIDER = Provider(
    name="sunoapi",
    title="sunoapi.org (Suno)",
    base_url="https://api.sunoapi.org",
    models=MODELS,
    describe=describe,
    authorize=auth.bearer,
    submit=submit,
    poll=poll,
    poll_spacing_s=5.0,  # 30 s is advised, 3 a second are allowed
    links_live_s=15 * 24 * 3600,
    receive=receive,
    test=partial(ask_credits, "/api/v1/generate/credit", CODES),
    env=("SUNOAPI_API_KEY",),
    sandbox_path="/sunoapi",
)
KIE = replace(
    PROVIDER,
    name="kie",
    title="kie.ai (Suno)",
    base_url="https://api.kie.ai",
    submit=partial(submit, codes=KIE_CODES),
    poll=partial(poll, codes=KIE_CODES),
    links_live_s=14 * 24 * 3600,
    receive=receive_kie,
    test=partial(ask_credits, "/api/v1/chat/credit", KIE_CODES),
    env=("KIE_API_KEY",),
    sandbox_path="/kie",
)
