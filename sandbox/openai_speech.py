"""OpenAI's speech in the sandbox: `/audio/speech`, answered as raw bytes.

Wire format: the text to speech guide of developers.openai.com, the OpenAPI document
2.3.0, `openai` 3.54.0 for Python (read 2026-11-22). Answers as events (`sse`) are not
simulated. Which voices the older models lack is not published: all are taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.answers import admit, answer_submit, make_output
from sandbox.inputs import (
    BadInput,
    bearer,
    get_choice,
    get_number,
    get_text,
    read_json,
)
from sandbox.jobs import CallKind, Job, MediaType, Upstream
from sandbox.media import CONTENT_TYPES
from sandbox.openai_refusals import REFUSALS, check_names, model_not_found, refuse

MODELS = ("gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15", "tts-1", "tts-1-hd")
VOICES = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "onyx",
    "nova",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
FIELDS = frozenset(
    {
        "model",
        "input",
        "voice",
        "instructions",
        "response_format",
        "speed",
        "stream_format",
    }
)
CHARACTERS_PER_S = 15.0


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The speech path."""

    async def speak(request: web.Request) -> web.StreamResponse:
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, REFUSALS)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            check_names(body, FIELDS)
            model = get_text(body, "model")
            if model not in MODELS:
                return model_not_found(model)
            text = get_text(body, "input", longest=4096)
            check_voice(body)
            get_text(body, "instructions", default="")
            audio_format = get_choice(body, "response_format", FORMATS, default="mp3")
            speed = get_number(body, "speed", default=1.0, least=0.25, most=4.0)
            get_choice(body, "stream_format", ("audio",), default="audio")
        except BadInput as error:
            return refuse(error)

        def accept() -> Job:
            return upstream.accept(
                request,
                f"speech_{secrets.token_hex(12)}",
                prompt=text,
                media_type=MediaType.AUDIO,
                model=model,
                seconds=max(0.5, len(text) / CHARACTERS_PER_S / speed),
                secret=secret or "",
            )

        async def respond(job: Job) -> web.Response:
            data = await make_output(job, 0, audio_format)
            return web.Response(body=data, content_type=CONTENT_TYPES[audio_format])

        return await answer_submit(
            request, upstream, text, accept, respond, REFUSALS, waits=True
        )

    return [web.post("/v1/audio/speech", speak)]


def check_voice(body: Mapping[str, Any]) -> None:
    """A voice by its name, or one of the account's own as `{"id"}`."""
    voice = body.get("voice")
    if isinstance(voice, dict):
        get_text(voice, "id")
        return
    get_choice(body, "voice", VOICES)
