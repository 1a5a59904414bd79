"""ElevenLabs in the sandbox: sounds at once, jobs of "flows", voices and webhooks.

Wire format: the API reference and error pages of elevenlabs.io/docs, the articles of
help.elevenlabs.io on errors, and the Python client `elevenlabs` 2.78.0 (read
2026-11-22). Assumed, since it is not documented: the 404 of an unknown job, that a
webhook brings the job without an envelope, that moderation refuses speech in the words
it has for music, and HTTP 400 for it. Timestamps, plans, history and what belongs to
agents are not simulated.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from sandbox import elevenlabs_rules as rules
from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_polls,
    answer_submit,
    json_answer,
)
from sandbox.elevenlabs_sounds import make_sound
from sandbox.inputs import BadInput, get_text, read_form, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.webhooks import BuildMessage, SigningKeys, WebhookMessage

WORDS = {
    JobPhase.QUEUED: "pending",
    JobPhase.RUNNING: "generating",
    JobPhase.SUCCEEDED: "completed",
    JobPhase.FAILED: "failed",
}
FAILURES = {
    Failure.BLOCKED: ("moderated", "The prompt was refused by moderation."),
    Failure.ERROR: ("model_error", "The model could not finish."),
}
MADE = {
    "image": MediaType.IMAGE,
    "video": MediaType.VIDEO,
    "text-to-speech": MediaType.AUDIO,
}
ENDINGS = {"image": "png", "video": "mp4", "text-to-speech": "mp3"}
CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "pcm": "application/octet-stream",
    "ulaw": "application/octet-stream",
    "alaw": "application/octet-stream",
}
CHARACTERS_PER_S = 15.0
DEFAULT_SONG_S, DEFAULT_SOUND_S = 8.0, 2.0
DEFAULT_VIDEO_S = 5.0
MOST_SECONDS = 20.0
"""Of what is made: more would only take time."""
SIDES = {"512": 512, "1K": 1024, "2K": 2048, "3K": 3072, "4K": 4096}
SHORT_SIDES = {"480p": 480, "720p": 720, "1080p": 1080, "4K": 2160, "4k": 2160}
PACE_S = 3
PAGE, MOST_PAGE = 20, 100
MOST_THINGS = 20_000


def problem(status: int, word: str, message: str, **more: Any) -> web.Response:
    """An error with its code, as most routes tell it."""
    detail = {"status": word, "message": message, **more}
    return json_answer({"detail": detail}, status)


def invalid(issues: list[rules.Issue]) -> web.Response:
    """What does not fit the schema."""
    return json_answer({"detail": issues}, 422)


REFUSALS = Refusals(
    unauthorized=lambda: problem(401, "invalid_api_key", "Invalid API key"),
    forbidden=lambda: problem(403, "voice_access_denied", "No access to this voice"),
    rate_limit=lambda: problem(
        429, "too_many_concurrent_requests", "Too many concurrent requests"
    ),
    quota=lambda: problem(
        401,
        "quota_exceeded",
        "This request exceeds your quota of 10000. You have 0 credits remaining.",
    ),
    bad_request=lambda message: problem(400, "invalid_parameters", message),
    server_error=lambda status: problem(status, "internal_error", "Server error"),
    not_found=lambda: problem(404, "generation_not_found", "No such generation"),
)
NO_KEY = replace(
    REFUSALS,
    unauthorized=lambda: problem(
        401, "needs_authorization", "Neither a bearer token nor xi-api-key was received"
    ),
)
AT_ONCE = replace(
    REFUSALS,
    blocked=lambda: problem(
        400,
        "bad_prompt",
        "The prompt goes against our terms.",
        data={"prompt_suggestion": "a calm melody"},
    ),
)


def key_of(request: web.Request) -> str | None:
    return request.headers.get("xi-api-key") or None


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """ElevenLabs' paths, without the provider's prefix."""
    assets = upstream.shelf("assets", MOST_THINGS)
    hooks = upstream.shelf("webhooks", MOST_THINGS)
    upstream.message_of = lambda job, _: message(job)

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        secret = key_of(request)
        return admit(upstream, kind, secret, REFUSALS if secret else NO_KEY)

    async def answer_sound(
        request: web.Request, text: str, model: str, seconds: float, output_format: str
    ) -> web.StreamResponse:
        """The sound itself, when it is made."""
        request_id = secrets.token_hex(10)
        if output_format == "auto":
            usual = model == "music_v1"
            output_format = "mp3_44100_128" if usual else "mp3_48000_192"

        def accept() -> Job:
            return upstream.accept(
                request,
                request_id,
                prompt=text,
                media_type=MediaType.AUDIO,
                model=model,
                seconds=min(max(seconds, 0.5), MOST_SECONDS),
                secret=key_of(request) or "",
            )

        async def respond(job: Job) -> web.StreamResponse:
            data = await asyncio.to_thread(
                make_sound, job.prompt, job.seconds, output_format
            )
            headers = {
                "request-id": job.id,
                "history-item-id": secrets.token_hex(10),
                "character-cost": str(len(job.prompt)),
                "current-concurrent-requests": "1",
                "maximum-concurrent-requests": "10",
            }
            kind = CONTENT_TYPES[output_format.partition("_")[0]]
            return web.Response(body=data, headers=headers, content_type=kind)

        return await answer_submit(
            request, upstream, text, accept, respond, AT_ONCE, waits=True
        )

    async def speak(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request, CallKind.SUBMIT)) is not None:
            return refusal
        try:
            body = await read_json(request)
        except BadInput as error:
            return invalid([rules.issue("", "json_invalid", str(error))])
        issues = [
            *rules.check_fields(body, rules.SPEECH_FIELDS),
            *rules.check_voice_settings(body.get("voice_settings")),
        ]
        if issues:
            return invalid(issues)
        model = str(body.get("model_id") or "eleven_multilingual_v2")
        wrong = check_voice(request.match_info["voice"]) or check_speech(body, model)
        if wrong is None:
            wrong = check_format(request, rules.FORMATS)
        if wrong is not None:
            return wrong
        settings = body.get("voice_settings") or {}
        seconds = len(body["text"]) / CHARACTERS_PER_S / settings.get("speed", 1.0)
        return await answer_sound(
            request, body["text"], model, seconds, format_of(request)
        )

    async def talk(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request, CallKind.SUBMIT)) is not None:
            return refusal
        try:
            body = await read_json(request)
        except BadInput as error:
            return invalid([rules.issue("", "json_invalid", str(error))])
        issues = [
            *rules.check_fields(body, rules.DIALOGUE_FIELDS),
            *rules.check_dialogue(body.get("inputs")),
        ]
        if issues:
            return invalid(issues)
        for line in body["inputs"]:
            if (wrong := check_voice(line["voice_id"])) is not None:
                return wrong
        if (wrong := check_format(request, rules.FORMATS)) is not None:
            return wrong
        text = " ".join(line["text"] for line in body["inputs"])
        model = str(body.get("model_id") or "eleven_v3")
        seconds = len(text) / CHARACTERS_PER_S
        return await answer_sound(request, text, model, seconds, format_of(request))

    async def effect(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request, CallKind.SUBMIT)) is not None:
            return refusal
        try:
            body = await read_json(request)
        except BadInput as error:
            return invalid([rules.issue("", "json_invalid", str(error))])
        if issues := list(rules.check_fields(body, rules.SOUND_FIELDS)):
            return invalid(issues)
        model = str(body.get("model_id") or rules.SOUND_MODELS[0])
        if model not in rules.SOUND_MODELS:
            return problem(404, "model_not_found", f"There is no model {model}")
        if (wrong := check_format(request, rules.FORMATS)) is not None:
            return wrong
        seconds = float(body.get("duration_seconds") or DEFAULT_SOUND_S)
        return await answer_sound(
            request, body["text"], model, seconds, format_of(request)
        )

    async def compose(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request, CallKind.SUBMIT)) is not None:
            return refusal
        try:
            body = await read_json(request)
        except BadInput as error:
            return invalid([rules.issue("", "json_invalid", str(error))])
        issues = [
            *rules.check_fields(body, rules.MUSIC_FIELDS),
            *rules.check_music(body),
        ]
        if issues:
            return invalid(issues)
        model = str(body.get("model_id") or rules.MUSIC_MODELS[0])
        if model not in rules.MUSIC_MODELS:
            return problem(404, "model_not_found", f"There is no model {model}")
        if (wrong := check_format(request, rules.MUSIC_FORMATS)) is not None:
            return wrong
        text, length_ms = read_song(body)
        return await answer_sound(
            request, text, model, length_ms / 1000, format_of(request, "auto")
        )

    async def start(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request, CallKind.SUBMIT)) is not None:
            return refusal
        kind, owner = request.match_info["kind"], key_of(request) or ""
        try:
            body = await read_json(request)
        except BadInput as error:
            return invalid([rules.issue("", "json_invalid", str(error))])
        form = rules.FORMS[kind].get(str(body.get("model_id")))
        if form is None:
            return invalid([rules.issue("model_id", "union_tag_invalid", "No model")])
        issues = list(rules.check_job(body, kind, form, find_thing))
        targets = wanted_hooks(body.get("webhook"), owner)
        if targets is None:
            issues.append(rules.issue("webhook", "value_error", "No such webhook"))
        if issues or targets is None:
            return invalid(issues)
        if kind == "text-to-speech":
            wrong = check_voice(body["voice"]) or check_speech(body, body["model_id"])
            if wrong is not None:
                return wrong
        prompt = str(body.get("prompt") or body.get("text") or "")

        def accept() -> Job:
            width, height = pixels(body, kind)
            job = upstream.accept(
                request,
                f"gen_{secrets.token_hex(8)}",
                prompt=prompt,
                media_type=MADE[kind],
                model=body["model_id"],
                width=width,
                height=height,
                seconds=job_seconds(body, kind),
                secret=owner,
                extra={"kind": kind, "token": secrets.token_hex(8)},
            )
            for hook in targets:
                upstream.call_back(job, hook["url"], message(job))
            return job

        def respond(job: Job) -> web.Response:
            body = {"id": job.id, "status": "pending"}
            return json_answer(body, headers=pace(job))

        return await answer_submit(request, upstream, prompt, accept, respond, REFUSALS)

    def pace(job: Job) -> dict[str, str]:
        """When to look again: sooner than the real one where jobs are short."""
        left = job.ends_at - upstream.clock()
        return {"Retry-After": str(PACE_S if left > PACE_S else max(0, int(left)))}

    def find_job(kind: str, job_id: str) -> Job | None:
        job = upstream.jobs.find(job_id)
        return job if job is not None and job.extra.get("kind") == kind else None

    async def read(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request, CallKind.POLL)) is not None:
            return refusal
        job = find_job(request.match_info["kind"], request.match_info["id"])

        def respond(job: Job) -> web.Response:
            over = job.is_over(upstream.clock())
            return json_answer(shown(job), headers={} if over else pace(job))

        return await answer_poll(request, upstream, job, respond, REFUSALS)

    async def show_list(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request, CallKind.LIST)) is not None:
            return refusal
        kind, query = request.match_info["kind"], request.query
        size, start = query.get("page_size", str(PAGE)), query.get("cursor", "0")
        if not size.isdigit() or not 0 < int(size) <= MOST_PAGE or not start.isdigit():
            return invalid([rules.issue("page_size", "out_of_range", "1 to 100")])
        now = upstream.clock()
        own = [
            job
            for job in upstream.jobs
            if job.extra.get("kind") == kind
            and job.owner == key_of(request)
            and query.get("status") in (None, WORDS.get(job.phase(now)))
            and query.get("model_id") in (None, job.model)
        ]
        stop = int(start) + int(size)
        more = len(own) > stop

        def respond(jobs: list[Job]) -> web.Response:
            return json_answer(
                {
                    "generations": [shown(job) for job in jobs],
                    "next_cursor": str(stop) if more else None,
                    "has_more": more,
                }
            )

        page = own[int(start) : stop]
        return await answer_polls(request, upstream, page, respond, REFUSALS)

    def shown(job: Job, word: str | None = None) -> dict[str, Any]:
        """A job as it is now; `word` overrides its state."""
        status = word or upstream.status_word(job, WORDS)
        told: dict[str, Any] = {"status": status, "id": job.id}
        if status == "completed":
            ending = ENDINGS[job.extra["kind"]]
            told["content_url"] = (
                f"{job.base_url}/files/{job.id}.{ending}"
                f"?X-Goog-Signature={job.extra['token']}%2B"
            )
            told["content_mime_type"] = {
                "png": "image/png",
                "mp4": "video/mp4",
                "mp3": "audio/mpeg",
            }[ending]
        elif status == "failed" and job.failure is not None:
            reason, text = FAILURES[job.failure]
            told |= {"failure_reason": reason, "error_message": text}
        return told

    def message(job: Job) -> BuildMessage:
        def build(keys: SigningKeys, now: float) -> WebhookMessage | None:
            phase = job.phase(max(now, job.ends_at))
            body = json.dumps(shown(job, WORDS[phase])).encode()
            signed = f"{int(now)}.".encode() + body
            mac = signing_keys(keys).hmac_sha256(signed).hex()
            return WebhookMessage(
                body, {"ElevenLabs-Signature": f"t={int(now)},v0={mac}"}
            )

        return build

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        ending = request.match_info["ending"]
        if job is not None:
            signed = f"X-Goog-Signature={job.extra.get('token')}%2B"
            if request.rel_url.raw_query_string != signed:
                return REFUSALS.expired()
        return await answer_media(request, upstream, job, 0, ending, REFUSALS)

    def find_thing(kind: str, thing_id: str) -> str | None:
        if kind == "asset":
            found = assets.find(thing_id)
            return found["mime_type"] if found else None
        job = upstream.jobs.find(thing_id)
        if job is None or job.phase(upstream.clock()) is not JobPhase.SUCCEEDED:
            return None
        return str(job.media_type)

    async def upload(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request, CallKind.UPLOAD)) is not None:
            return refusal
        try:
            form = await read_form(request)
            name = get_text(form.fields, "name")
        except BadInput as error:
            issue = rules.issue(error.field or "", "missing", str(error))
            return invalid([issue])
        file = next((file for file in form.files if file.name == "asset"), None)
        if file is None or not file.data:
            return invalid([rules.issue("asset", "missing", "Field required")])
        asset_id = secrets.token_hex(10)
        asset = {
            "asset_id": asset_id,
            "name": name,
            "mime_type": file.content_type,
            "created_at_unix": int(upstream.clock()),
            "content_url": None,
        }
        assets.put(asset_id, asset)
        return json_answer(asset)

    def wanted_hooks(target: Any, owner: str) -> list[Mapping[str, str]] | None:
        """The webhooks that a job names; None when there is one it has not."""
        own = {hook["id"]: hook for hook in hooks.things() if hook["owner"] == owner}
        if target is None:
            return []
        if target == {"type": "all"}:
            return list(own.values())
        told = target if isinstance(target, dict) else {}
        ids = told.get("ids")
        if told.get("type") != "ids" or not isinstance(ids, list):
            return None
        if not own.keys() >= set(map(str, ids)):
            return None
        return [own[str(each)] for each in ids]

    async def add_hook(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request, CallKind.WEBHOOK)) is not None:
            return refusal
        try:
            settings = (await read_json(request)).get("settings") or {}
            if settings.get("auth_type") != "hmac":
                raise BadInput("auth_type must be hmac", "settings.auth_type")
            hook = {
                "id": f"wh_{secrets.token_hex(8)}",
                "owner": key_of(request) or "",
                "name": get_text(settings, "name"),
                "url": get_text(settings, "webhook_url"),
            }
        except (BadInput, AttributeError) as error:
            return invalid([rules.issue("settings", "value_error", str(error))])
        hooks.put(hook["id"], hook)
        secret = signing_secret(upstream.keys)
        return json_answer({"webhook_id": hook["id"], "webhook_secret": secret})

    async def show_voices(request: web.Request) -> web.StreamResponse:
        voices = [
            {"voice_id": voice_id, "name": name, "category": "premade"}
            for voice_id, name in rules.VOICES.items()
        ]
        return refused(request, CallKind.OTHER) or json_answer({"voices": voices})

    async def show_models(request: web.Request) -> web.StreamResponse:
        models = [
            {
                "model_id": name,
                "name": name,
                "can_do_text_to_speech": True,
                "maximum_text_length_per_request": longest,
            }
            for name, longest in rules.SPEECH_LENGTHS.items()
        ]
        return refused(request, CallKind.OTHER) or json_answer(models)

    async def show_user(request: web.Request) -> web.StreamResponse:
        user = {
            "user_id": "sandbox",
            "subscription": {"tier": "pro", "character_count": 0},
        }
        return refused(request, CallKind.OTHER) or json_answer(user)

    kinds = "|".join(rules.FORMS)
    return [
        web.post(r"/v1/text-to-speech/{voice}", speak),
        web.post(r"/v1/text-to-speech/{voice}/stream", speak),
        web.post("/v1/text-to-dialogue", talk),
        web.post("/v1/sound-generation", effect),
        web.post("/v1/music", compose),
        web.post("/v1/music/stream", compose),
        web.post(f"/v1/flows/{{kind:{kinds}}}", start),
        web.get(f"/v1/flows/{{kind:{kinds}}}", show_list),
        web.get(f"/v1/flows/{{kind:{kinds}}}/{{id}}", read),
        web.get(r"/files/{id}.{ending:[a-z0-9]{3}}", media),
        web.post("/v1/assets", upload),
        web.post("/v1/workspace/webhooks", add_hook),
        web.get("/v1/voices", show_voices),
        web.get("/v1/models", show_models),
        web.get("/v1/user", show_user),
    ]


def check_voice(voice: str) -> web.Response | None:
    if voice in rules.VOICES:
        return None
    return problem(400, "voice_not_found", f"A voice for {voice} was not found.")


def check_speech(body: Mapping[str, Any], model: str) -> web.Response | None:
    """The limits that a speech model has of its own."""
    longest = rules.SPEECH_LENGTHS.get(model)
    if longest is None:
        return problem(404, "model_not_found", f"There is no model {model}")
    if len(body["text"]) > longest:
        told = f"the text has {len(body['text'])} characters, {longest} are possible"
        return problem(400, "max_character_limit_exceeded", told)
    boosted = (body.get("voice_settings") or {}).get("use_speaker_boost")
    if model == "eleven_v3" and boosted:
        return problem(400, "invalid_voice_settings", "eleven_v3 has no speaker boost")
    if body.get("language_code") and model == "eleven_multilingual_v2":
        return problem(400, "unsupported_language", "The model takes no language_code")
    return None


def check_format(request: web.Request, formats: frozenset[str]) -> web.Response | None:
    wanted = request.query.get("output_format")
    if wanted is None or wanted in formats:
        return None
    return invalid(
        [{"type": "enum", "loc": ["query", "output_format"], "msg": "Not a format"}]
    )


def format_of(request: web.Request, usual: str = "mp3_44100_128") -> str:
    return request.query.get("output_format", usual)


def read_song(body: Mapping[str, Any]) -> tuple[str, float]:
    """What a song is about, and its length in milliseconds."""
    plan = body.get("composition_plan")
    if not plan:
        return body["prompt"], body.get("music_length_ms") or 1000 * DEFAULT_SONG_S
    parts = plan.get("chunks") or plan["sections"]
    words = plan.get("positive_global_styles") or parts[0].get("positive_styles") or []
    lines = [part.get("text") or "\n".join(part.get("lines", ())) for part in parts]
    text = "\n".join([", ".join(map(str, words)), *map(str, lines)])
    return text, float(sum(part["duration_ms"] for part in parts))


def job_seconds(body: Mapping[str, Any], kind: str) -> float:
    if kind == "text-to-speech":
        return min(max(len(body["text"]) / CHARACTERS_PER_S, 0.5), MOST_SECONDS)
    return min(float(body.get("duration_secs") or DEFAULT_VIDEO_S), MOST_SECONDS)


def pixels(body: Mapping[str, Any], kind: str) -> tuple[int, int]:
    """Width and height by the shape and the word for the resolution."""
    across, _, down = str(body.get("aspect_ratio") or "auto").partition(":")
    shape = int(across) / int(down) if down else (1.0 if kind == "image" else 16 / 9)
    word = str(body.get("resolution") or "")
    if kind == "image":
        side = SIDES.get(word, 1024)
        return round(side * math.sqrt(shape)), round(side / math.sqrt(shape))
    side = SHORT_SIDES.get(word, 720)
    return (round(side * shape), side) if shape >= 1 else (side, round(side / shape))


def signing_secret(keys: SigningKeys) -> str:
    """The shared secret as a text, which signs as it is written."""
    if keys.secret.isascii() and keys.secret.decode().isprintable():
        return keys.secret.decode()
    return f"wsec_{keys.secret.hex()}"


def signing_keys(keys: SigningKeys) -> SigningKeys:
    return replace(keys, secret=signing_secret(keys).encode())
