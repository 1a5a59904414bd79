"""ElevenLabs' adapter: every row of its mappings, states, result shapes and errors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from app.capabilities import find_problems
from app.security.signatures import verify_hmac_sha256
from providers import elevenlabs, errors
from providers.dialects import elevenlabs_bodies as bodies
from providers.dialects import elevenlabs_models as catalogue
from providers.dialects import elevenlabs_results as results
from providers.dialects.elevenlabs_models import Api
from providers.flow import Call, Reply
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    GenerationRequest,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

A = "https://cdn.example.com/a.png"
CLIP, SOUND = "https://cdn.example.com/c.mp4", "https://cdn.example.com/s.mp3"
PNG, MP3, MP4 = b"\x89PNG\r\n\x1a\n", b"ID3\x04sound", b"\0\0\0\x18ftypisom"
PROMPT = "a lighthouse made of paper, dawn"
GEORGE, EDITH = "JBFqnCBsd6RMkjVDRZzb", "K7yTzq3mWn8Lb2VcXd5R"
TTS, V3, SFX, MUSIC = (
    "eleven_multilingual_v2",
    "eleven_v3",
    "eleven_text_to_sound_v2",
    "music_v2",
)
VEO, DANCE, AURORA = (
    "veo-3.1-fast-generate-001",
    "bytedance-seedance-v2",
    "creatify-aurora",
)
GPT = "gpt-image-2"
JOB = Remote("gen_7pQe2Lx9", {"kind": "video"})
LYRICS = (
    "[Verse 1]\nThe sea is wide\nThe night is long\n\n[Chorus]\nLight, light, light"
)


def ref(content: bytes = PNG, mime_type: str = "image/png") -> dict[str, str]:
    return {
        "type": "inline_base64",
        "content_base64": base64.b64encode(content).decode(),
        "mime_type": mime_type,
    }


def a_sound(**headers: str) -> Reply:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(200, {"content-type": "audio/mpeg", **named}, MP3)


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    described = catalogue.describe(model)
    media_type = described.media_type if described else MediaType.AUDIO
    return a_request(model=model, media_type=media_type, images=images, **fields)


def submitted(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit, which is the last and the only one."""
    offer = catalogue.find_offer(model)
    assert offer is not None
    files = [raw(PNG, "image/png")] * len(images)
    if fields.get("video_url"):
        files.append(raw(MP4, "video/mp4"))
    if fields.get("audio_url"):
        files.append(raw(MP3, "audio/mp3"))
    last = a_sound() if offer.model.sync else recorded("elevenlabs/submit")
    request = wanted(model, *images, **fields)
    calls = calls_of(elevenlabs.submit(request), *files, last)
    assert [call.paid for call in calls] == [False] * len(files) + [True]
    assert all(call.public for call in calls[:-1])
    return calls[-1]


def body_of(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = submitted(model, *images, **fields).json
    return body


def answered(model: str, reply: Reply, **fields: Any) -> Snapshot:
    return play(elevenlabs.submit(wanted(model, **fields)), reply)


def looked(name: str, **headers: str) -> Snapshot:
    return play(elevenlabs.poll(JOB), recorded(f"elevenlabs/{name}", **headers))


# Submit: speech


def test_speech_has_its_voice_in_the_path_and_its_format_in_the_query():
    call = submitted(
        TTS,
        input="Mind the step.",
        voice=EDITH,
        speed=1.1,
        seed=7,
        output_format="WAV",
        metadata={
            "stability": 0.4,
            "voice_settings": {"use_speaker_boost": False},
            "previous_text": "Careful.",
            "enable_logging": False,
            "model_id": "eleven_v4",
            "webhook": {"type": "all"},
        },
    )
    assert (call.method, call.url) == ("POST", f"/v1/text-to-speech/{EDITH}")
    assert call.params == {"output_format": "wav_44100", "enable_logging": "false"}
    assert call.json == {
        "text": "Mind the step.",
        "model_id": TTS,
        "seed": 7,
        "voice_settings": {
            "speed": 1.1,
            "stability": 0.4,
            "use_speaker_boost": False,
        },
        "previous_text": "Careful.",
    }


def test_what_is_not_asked_for_is_left_to_the_model():
    call = submitted(TTS)
    assert call.url == f"/v1/text-to-speech/{GEORGE}"
    assert call.params == {"output_format": "mp3_44100_128"}
    assert call.json == {"text": PROMPT, "model_id": TTS}


@pytest.mark.parametrize(
    ("speed", "sent"), [(0.25, 0.7), (0.7, 0.7), (1.0, 1.0), (4.0, 1.2)]
)
def test_speed_is_brought_within_what_there_is(speed: float, sent: float):
    assert body_of(TTS, speed=speed)["voice_settings"] == {"speed": sent}


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("mp3", "mp3_44100_128"),
        ("wav", "wav_44100"),
        ("pcm", "pcm_24000"),
        ("opus", "opus_48000_128"),
        ("ulaw", "ulaw_8000"),
        ("alaw", "alaw_8000"),
        ("pcm_16000", "pcm_16000"),
    ],
)
def test_format_is_named_as_elevenlabs_does(wish: str, name: str):
    for model in (TTS, SFX):
        assert submitted(model, output_format=wish).params["output_format"] == name


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (TTS, {}),
        (V3, {"inputs": [{"text": "x", "voice_id": GEORGE}]}),
        (SFX, {}),
        (MUSIC, {}),
        (MUSIC, {"composition_plan": {"chunks": []}}),
    ],
)
def test_format_of_the_metadata_goes_into_the_query(model: str, more: dict[str, Any]):
    metadata = {"output_format": "mp3_22050_32", "enable_logging": True, **more}
    call = submitted(model, metadata=metadata)
    assert call.params == {"output_format": "mp3_22050_32", "enable_logging": "true"}
    assert not {"output_format", "enable_logging"} & call.json.keys()


@pytest.mark.parametrize(
    ("name", "voice_id"),
    [
        ("Edith - Calm Reader", EDITH),
        ("edith", EDITH),
        ("harbour master", "P4hGs9jKd1Qw6EzRtY8u"),
    ],
)
@pytest.mark.parametrize("model", [TTS, "flows/eleven_v3"])
def test_name_of_a_voice_is_looked_up(name: str, voice_id: str, model: str):
    flow = model.startswith("flows")
    last = recorded("elevenlabs/submit") if flow else a_sound()
    request = wanted(model, voice=name)
    look, paid = calls_of(
        elevenlabs.submit(request), recorded("elevenlabs/voices"), last
    )
    assert (look.method, look.url, look.paid) == ("GET", "/v1/voices", False)
    assert paid.paid
    assert (paid.json["voice"] if flow else paid.url.rpartition("/")[2]) == voice_id


def test_voice_that_the_account_has_not_is_refused_before_it_costs():
    with pytest.raises(errors.Rejected):
        answered(TTS, recorded("elevenlabs/voices"), voice="alloy")
    with pytest.raises(errors.UnexpectedReply):
        answered(TTS, answer({"voices": None}), voice="alloy")


def test_inputs_of_the_metadata_are_a_dialogue():
    lines = [{"text": "Who is there?", "voice_id": GEORGE}]
    call = submitted(
        V3, seed=1, metadata={"inputs": lines, "settings": {"stability": 0.5}}
    )
    assert call.url == "/v1/text-to-dialogue"
    assert call.json == {
        "model_id": V3,
        "inputs": lines,
        "seed": 1,
        "settings": {"stability": 0.5},
    }


def test_speech_as_a_job_has_all_in_its_body():
    call = submitted(
        "flows/eleven_flash_v2_5",
        input="Hello.",
        voice=EDITH,
        speed=2.0,
        metadata={"language_code": "de", "stability": 0.2},
    )
    assert (call.url, call.params) == ("/v1/flows/text-to-speech", {})
    assert call.json == {
        "model_id": "eleven_flash_v2_5",
        "text": "Hello.",
        "voice": EDITH,
        "output_format": "mp3_44100_128",
        "voice_settings": {"speed": 1.2, "stability": 0.2},
        "language_code": "de",
    }


# Submit: sounds and music


def test_sound_is_asked_for_with_its_length():
    call = submitted(SFX, duration=2.5, metadata={"loop": True})
    assert (call.url, call.params["output_format"]) == (
        "/v1/sound-generation",
        "mp3_44100_128",
    )
    assert call.json == {
        "text": PROMPT,
        "model_id": SFX,
        "duration_seconds": 2.5,
        "loop": True,
    }
    assert "duration_seconds" not in body_of(SFX)


def test_music_is_asked_for_by_a_prompt_with_all_its_words():
    call = submitted(
        MUSIC,
        duration=45,
        tags="calm, piano",
        style="slow",
        metadata={"force_instrumental": True},
    )
    assert (call.url, call.params) == ("/v1/music", {"output_format": "auto"})
    assert call.json == {
        "model_id": MUSIC,
        "prompt": f"{PROMPT}, calm, piano, slow",
        "music_length_ms": 45_000,
        "force_instrumental": True,
    }


@pytest.mark.parametrize(
    ("duration", "lengths"), [(None, [8000, 4000]), (21.001, [10501, 10500])]
)
def test_lyrics_become_a_plan_of_chunks(duration: float | None, lengths: list[int]):
    body = body_of(
        MUSIC,
        lyrics=LYRICS,
        tags="folk, choir",
        style="warm",
        negative_prompt="drums, synth",
        seed=3,
        duration=duration,
    )
    styles = {
        "positive_styles": [PROMPT, "folk", "choir", "warm"],
        "negative_styles": ["drums", "synth"],
    }
    assert body == {
        "model_id": MUSIC,
        "seed": 3,
        "composition_plan": {
            "chunks": [
                {
                    "text": "[Verse 1]\nThe sea is wide\nThe night is long",
                    "duration_ms": lengths[0],
                    **styles,
                },
                {
                    "text": "[Chorus]\nLight, light, light",
                    "duration_ms": lengths[1],
                    **styles,
                },
            ]
        },
    }


def test_older_music_has_a_plan_of_sections():
    plan = body_of("music_v1", lyrics="La la\n[End]\nLo", prompt=None, tags="pop")[
        "composition_plan"
    ]
    assert plan["positive_global_styles"] == ["pop"]
    assert plan["negative_global_styles"] == []
    told = [
        (each["section_name"], each["lines"], each["duration_ms"])
        for each in plan["sections"]
    ]
    assert told == [("Section 1", ["La la"], 4000), ("End", ["Lo"], 4000)]
    assert all(
        each["positive_local_styles"] == each["negative_local_styles"] == []
        for each in plan["sections"]
    )


def test_long_section_becomes_several():
    plan = body_of(MUSIC, lyrics="[A]\n" + "la\n" * 31)["composition_plan"]
    texts = [chunk["text"] for chunk in plan["chunks"]]
    assert [text.count("la") for text in texts] == [30, 1]
    assert [chunk["duration_ms"] for chunk in plan["chunks"]] == [120_000, 4_000]


def test_plan_of_the_client_stands_for_the_prompt():
    plan = {"chunks": [{"text": "[Solo]", "duration_ms": 9000, "positive_styles": []}]}
    body = body_of(MUSIC, duration=9, seed=4, metadata={"composition_plan": plan})
    assert body == {"model_id": MUSIC, "composition_plan": plan, "seed": 4}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (MUSIC, {"seed": 1}),
        (MUSIC, {"negative_prompt": "drums"}),
        (MUSIC, {"prompt": None}),
        (MUSIC, {"lyrics": "a" * 201}),
        (MUSIC, {"lyrics": "[A]\nla\n" * 31}),
        (MUSIC, {"lyrics": LYRICS, "duration": 5.0}),
        (MUSIC, {"lyrics": LYRICS, "duration": 241.0}),
        (TTS, {"prompt": None}),
        ("flows/eleven_v3", {"prompt": " "}),
        (VEO, {"duration": 5.5}),
        (GPT, {"size": "square"}),
        (GPT, {"aspect_ratio": "wide"}),
    ],
)
def test_what_cannot_be_said_is_refused_before_it_costs(
    model: str, fields: dict[str, Any]
):
    with pytest.raises(errors.Rejected):
        play(elevenlabs.submit(wanted(model, **fields)))


# Submit: images and films


def test_image_is_a_job_of_one_image():
    call = submitted(
        GPT,
        an_image_url(A),
        an_upload(),
        aspect_ratio="16/9",
        resolution="2k",
        quality="High",
        metadata={"background": "opaque", "model_id": "cheap"},
    )
    assert (call.method, call.url) == ("POST", "/v1/flows/image")
    assert call.json == {
        "model_id": GPT,
        "prompt": PROMPT,
        "images": [ref(), ref()],
        "aspect_ratio": "16:9",
        "resolution": "2K",
        "quality": "high",
        "background": "opaque",
    }
    assert body_of(GPT) == {"model_id": GPT, "prompt": PROMPT}


@pytest.mark.parametrize(
    ("model", "fields", "ratio", "resolution"),
    [
        (GPT, {"size": "1024x1024"}, "1:1", "1K"),
        (GPT, {"size": "2048*1152"}, "16:9", "2K"),
        (GPT, {"width": 4096, "height": 4096}, "1:1", "4K"),
        (GPT, {"size": "3:2"}, "3:2", None),
        (GPT, {"size": "auto"}, "auto", None),
        (GPT, {"size": "2K"}, None, "2K"),
        (GPT, {"aspect_ratio": "1:2"}, "1:2", None),
        ("gpt-image-1", {"size": "1792x1024"}, "3:2", None),
        ("bytedance-seedream-5-lite", {"size": "1024x1024"}, "1:1", "2K"),
        ("gemini-3.1-flash-image", {"size": "512x512"}, "1:1", "512"),
        (VEO, {"size": "1080x1920"}, "9:16", "1080p"),
        (VEO, {"resolution": "4k"}, None, "4K"),
        (DANCE, {"resolution": "4K"}, None, "4k"),
        (DANCE, {"size": "720p", "aspect_ratio": "auto"}, "auto", "720p"),
        (DANCE, {"size": "720p"}, None, "720p"),
        (AURORA, {"resolution": "480P"}, None, "480p"),
    ],
)
def test_size_becomes_a_ratio_and_a_word_for_the_resolution(
    model: str, fields: dict[str, Any], ratio: str | None, resolution: str | None
):
    offer = catalogue.find_offer(model)
    assert offer is not None
    request = wanted(model, **fields)
    assert bodies.pick_ratio(request, offer.model.aspect_ratios) == ratio
    assert bodies.pick_resolution(request, offer.model.resolutions) == resolution


def test_film_is_a_job_with_whole_seconds():
    call = submitted(
        VEO,
        duration=6.0,
        aspect_ratio="16:9",
        resolution="720P",
        negative_prompt="blur",
        seed=2,
        metadata={"generate_audio": False},
    )
    assert call.url == "/v1/flows/video"
    assert call.json == {
        "model_id": VEO,
        "prompt": PROMPT,
        "duration_secs": 6,
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "negative_prompt": "blur",
        "seed": 2,
        "generate_audio": False,
    }
    assert isinstance(call.json["duration_secs"], int)


@pytest.mark.parametrize(
    ("model", "count", "fields", "expected"),
    [
        (VEO, 1, {}, {"start_frame": ref()}),
        (VEO, 2, {}, {"start_frame": ref(), "end_frame": ref()}),
        (
            VEO,
            3,
            {},
            {
                "images": [{"image": ref(), "role": "subject"}] * 3,
                "duration_secs": 8,
            },
        ),
        (DANCE, 2, {}, {"start_frame": ref(), "end_frame": ref()}),
        (DANCE, 4, {}, {"images": [ref()] * 4}),
        (DANCE, 0, {"video_url": CLIP}, {"videos": [ref(MP4, "video/mp4")]}),
        (
            DANCE,
            1,
            {"audio_url": SOUND, "video_url": CLIP},
            {
                "images": [ref()],
                "videos": [ref(MP4, "video/mp4")],
                "audios": [ref(MP3, "audio/mpeg")],
            },
        ),
    ],
)
def test_images_are_frames_or_references(
    model: str, count: int, fields: dict[str, Any], expected: dict[str, Any]
):
    body = body_of(model, *[an_image_url(A)] * count, **fields)
    assert body == {"model_id": model, "prompt": PROMPT, **expected}


def test_picture_that_speaks_takes_no_text():
    body = body_of(AURORA, an_upload(), audio_url=SOUND, resolution="720p")
    assert body == {
        "model_id": AURORA,
        "image": ref(),
        "audio": ref(MP3, "audio/mpeg"),
        "resolution": "720p",
    }


def test_reference_images_of_veo_need_eight_seconds():
    images = [an_image_url(A)] * 3
    files = [raw(PNG, "image/png")] * 3
    with pytest.raises(errors.Rejected):
        play(elevenlabs.submit(wanted(VEO, *images, duration=6)), *files)


@pytest.mark.parametrize(
    ("content", "told", "mime_type"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "application/octet-stream", "audio/wav"),
        (b"\xff\xfb\x90", "", "audio/mpeg"),
        (MP3, "audio/mpeg", "audio/mpeg"),
        (b"x", "audio/x-wav", "audio/wav"),
    ],
)
def test_sound_is_sent_under_a_type_that_is_taken(
    content: bytes, told: str, mime_type: str
):
    request = wanted(AURORA, an_upload(), audio_url=SOUND)
    files = raw(PNG, "image/png"), raw(content, told)
    calls = calls_of(elevenlabs.submit(request), *files, recorded("elevenlabs/submit"))
    assert calls[1].public
    assert calls[-1].json["audio"] == ref(content, mime_type)


@pytest.mark.parametrize(
    ("content", "told", "mime_type"),
    [
        (b"\0\0\0\x14ftypqt  ", "binary/octet-stream", "video/quicktime"),
        (MP4, "", "video/mp4"),
        (b"\x1a\x45\xdf\xa3", "", "video/webm"),
        (b"x", "video/webm", "video/webm"),
    ],
)
def test_film_is_sent_under_a_type_that_is_taken(
    content: bytes, told: str, mime_type: str
):
    request = wanted(DANCE, video_url=CLIP)
    replies = raw(content, told), recorded("elevenlabs/submit")
    calls = calls_of(elevenlabs.submit(request), *replies)
    assert calls[-1].json["videos"] == [ref(content, mime_type)]


@pytest.mark.parametrize(
    ("fields", "file"),
    [
        ({"video_url": CLIP}, raw(b"", "text/html", 404)),
        ({"video_url": CLIP}, raw(b"<html>", "text/html")),
        ({"video_url": CLIP}, raw(MP3, "audio/mpeg")),
        ({"images": (an_image_url(A),)}, raw(b"GIF89a", "image/gif")),
        ({"images": (an_image_url(A),)}, raw(b"", "image/png", 403)),
    ],
)
def test_input_that_is_not_taken_is_refused_before_it_costs(
    fields: dict[str, Any], file: Reply
):
    request = a_request(model=DANCE, media_type=MediaType.VIDEO, **fields)
    with pytest.raises(errors.Rejected):
        play(elevenlabs.submit(request), file)


def test_large_input_is_uploaded_first():
    large = MP4 + bytes(elevenlabs.INLINE_BYTES)
    request = wanted(DANCE, video_url=CLIP)
    replies = (
        raw(large, "video/mp4"),
        recorded("elevenlabs/asset"),
        recorded("elevenlabs/submit"),
    )
    _, upload, paid = calls_of(elevenlabs.submit(request), *replies)
    assert (upload.method, upload.url, upload.paid) == ("POST", "/v1/assets", False)
    assert [(part.name, part.filename) for part in upload.parts] == [
        ("name", None),
        ("asset", "video.mp4"),
    ]
    assert upload.parts[1].content == large
    assert paid.json["videos"] == [{"type": "asset", "asset_id": "ast_51c0"}]
    with pytest.raises(errors.UnexpectedReply):
        play(elevenlabs.submit(request), replies[0], answer({"asset_id": ""}))


# Capabilities


@pytest.mark.parametrize(
    ("model", "fields", "culprit"),
    [
        (TTS, {"input": "a" * 10_001}, "input"),
        (V3, {"prompt": "a" * 5_001}, "prompt"),
        ("eleven_flash_v2_5", {"prompt": "a" * 40_001}, "prompt"),
        ("eleven_turbo_v2", {"prompt": "a" * 30_001}, "prompt"),
        (TTS, {"images": (an_image_url(),)}, "images"),
        (TTS, {"output_format": "flac"}, "output_format"),
        (TTS, {"n": 2}, "n"),
        (TTS, {"duration": 3.0}, "duration"),
        ("flows/eleven_v3", {"output_format": "wav"}, "output_format"),
        ("flows/eleven_v3", {"speed": 1.1}, "speed"),
        ("flows/eleven_flash_v2_5", {"seed": 1}, "seed"),
        (SFX, {"duration": 0.4}, "duration"),
        (SFX, {"duration": 31.0}, "duration"),
        (SFX, {"voice": "George"}, "voice"),
        (MUSIC, {"duration": 2.0}, "duration"),
        (MUSIC, {"duration": 601.0}, "duration"),
        (MUSIC, {"output_format": "wav"}, "output_format"),
        (GPT, {"n": 2}, "n"),
        (GPT, {"seed": 1}, "seed"),
        (GPT, {"resolution": "3K"}, "resolution"),
        (GPT, {"aspect_ratio": "1:9"}, "aspect_ratio"),
        (GPT, {"quality": "ultra"}, "quality"),
        (GPT, {"images": (an_image_url(),) * 11}, "images"),
        ("gpt-image-1", {"images": (an_image_url(),) * 6}, "images"),
        ("gpt-image-1", {"resolution": "1K"}, "resolution"),
        ("gemini-3-pro-image", {"quality": "high"}, "quality"),
        ("bytedance-seedream-5-pro", {"resolution": "4K"}, "resolution"),
        (VEO, {"aspect_ratio": "1:1"}, "aspect_ratio"),
        (VEO, {"images": (an_image_url(),) * 4}, "images"),
        (VEO, {"video_url": CLIP}, "video_url"),
        (DANCE, {"negative_prompt": "x"}, "negative_prompt"),
        (DANCE, {"images": (an_image_url(),) * 10}, "images"),
        ("bytedance-seedance-v2.5", {"seed": 1}, "seed"),
        ("bytedance-seedance-v2-mini", {"resolution": "1080p"}, "resolution"),
        (AURORA, {"images": (an_image_url(),)}, "audio_url"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_intake(
    model: str, fields: dict[str, Any], culprit: str
):
    described = catalogue.describe(model)
    assert described is not None
    assert list(find_problems({"prompt": "x", **fields}, described)) == [culprit]


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("eleven_multilingual_v2", 10_000),
        ("eleven_v3", 5_000),
        ("eleven_v4", 10_000),
        ("eleven_v4_turbo", 10_000),
        ("eleven_flash_v2_5", 40_000),
        ("eleven_turbo_v2_5", 40_000),
        ("eleven_flash_v2", 30_000),
        ("eleven_turbo_v2", 30_000),
        ("eleven_multilingual_v1", 10_000),
        ("eleven_monolingual_v1", 10_000),
        ("flows/eleven_flash_v2_5", 40_000),
        ("flows/eleven_multilingual_v2", 10_000),
        ("flows/eleven_v3", 5_000),
    ],
)
def test_speech_models_take_so_many_characters(name: str, longest: int):
    model = catalogue.describe(name)
    assert model is not None
    assert (model.max_prompt, model.media_type) == (longest, MediaType.AUDIO)
    assert model.sync == (not name.startswith("flows/"))


def test_catalogue_has_every_model_of_the_documentation():
    kinds = [(offer.api, offer.upstream_name) for offer in catalogue.OFFERS.values()]
    assert {name for api, name in kinds if api is Api.FLOW_IMAGE} == {
        "gpt-image-1",
        "gpt-image-1.5",
        "gpt-image-2",
        "gpt-image-2.5-flare",
        "gpt-image-2.5-sunburst",
        "gemini-2.5-flash-image",
        "gemini-3-pro-image",
        "gemini-3.1-flash-image",
        "gemini-3.1-flash-lite-image",
        "bytedance-seedream-5-lite",
        "bytedance-seedream-5-pro",
    }
    assert {name for api, name in kinds if api is Api.FLOW_VIDEO} == {
        "veo-3.1-generate-001",
        "veo-3.1-fast-generate-001",
        "bytedance-seedance-v2",
        "bytedance-seedance-v2-fast",
        "bytedance-seedance-v2-mini",
        "bytedance-seedance-v2.5",
        "creatify-aurora",
    }
    assert {name for api, name in kinds if api in (Api.SOUND, Api.MUSIC)} == {
        "eleven_text_to_sound_v2",
        "eleven_text_to_sound_v3",
        "music_v1",
        "music_v2",
        "music_v2_5",
    }
    assert len(kinds) == 36


@pytest.mark.parametrize(
    ("name", "api"),
    [
        ("eleven_v5", Api.SPEECH),
        ("eleven_text_to_sound_v4", Api.SOUND),
        ("music_v3", Api.MUSIC),
        ("gpt-image-9", None),
        ("flows/eleven_v9", None),
    ],
)
def test_newer_model_is_guessed_by_its_name(name: str, api: Api | None):
    offer = catalogue.find_offer(name)
    assert (offer.api if offer else None) == api
    assert (catalogue.describe(name) is None) == (api is None)


def test_unknown_model_is_not_offered():
    with pytest.raises(errors.ModelRefused):
        play(elevenlabs.submit(wanted("whisper-9")))


# What a submit answers


@pytest.mark.parametrize(
    ("told", "wish", "content_type"),
    [
        ("audio/mpeg", "mp3", "audio/mpeg"),
        ("application/octet-stream", "wav", "audio/wav"),
        ("application/octet-stream", "pcm", "audio/pcm"),
        ("", "opus", "audio/ogg"),
        ("", "ulaw", "audio/basic"),
        ("", "alaw", "audio/x-alaw-basic"),
        ("", "mp3", "audio/mpeg"),
    ],
)
def test_bytes_of_the_answer_are_the_result(told: str, wish: str, content_type: str):
    headers = {"content-type": told, "request-id": "rq_1", "character-cost": "14"}
    snapshot = answered(TTS, Reply(200, headers, b"sound"), output_format=wish)
    assert snapshot == Snapshot(
        phase=Phase.SUCCEEDED,
        remote=Remote("rq_1"),
        percent=100,
        artifacts=(Artifact(content=b"sound", content_type=content_type),),
        usage={"credits": 14},
    )


def test_song_has_its_title_and_may_have_no_headers():
    snapshot = answered(MUSIC, Reply(200, {}, MP3), title="Dawn")
    (song,) = snapshot.artifacts
    assert (song.title, song.content_type) == ("Dawn", "audio/mpeg")
    assert (snapshot.remote, snapshot.usage) == (None, {})


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"", "audio/mpeg"),
        raw(b"<html>", "text/html"),
        answer({"audio_base64": "SUQz"}),
        raw(b"--x", "multipart/mixed"),
    ],
)
@pytest.mark.parametrize("model", [TTS, SFX, MUSIC])
def test_answer_that_is_no_sound_is_unexpected(model: str, reply: Reply):
    with pytest.raises(errors.UnexpectedReply):
        answered(model, reply)


@pytest.mark.parametrize(
    ("model", "kind"),
    [(GPT, "image"), (VEO, "video"), ("flows/eleven_v3", "text-to-speech")],
)
def test_accepted_job_is_remembered_with_its_kind(model: str, kind: str):
    snapshot = answered(model, recorded("elevenlabs/submit", retry_after="7"))
    assert snapshot == Snapshot(
        phase=Phase.PENDING,
        remote=Remote("gen_7pQe2Lx9", {"kind": kind}),
        look_after_s=7.0,
    )


def test_accepted_job_without_an_id_is_unexpected():
    with pytest.raises(errors.UnexpectedReply):
        answered(GPT, recorded("elevenlabs/submit_without_id"))


# Errors


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "max_character_limit_exceeded", errors.Rejected),
        (400, "voice_not_found", errors.Rejected),
        (404, "voice_not_found", errors.Rejected),
        (400, "bad_prompt", errors.ContentRejected),
        (422, "bad_prompt", errors.ContentRejected),
        (422, "bad_composition_plan", errors.ContentRejected),
        (400, "invalid_voice_settings", errors.Rejected),
        (400, "model_can_not_do_text_to_speech", errors.Rejected),
        (400, "unsupported_language", errors.Rejected),
        (400, "output_format_not_allowed", errors.Rejected),
        (400, "something_new", errors.Rejected),
        (401, "invalid_api_key", errors.KeyRefused),
        (401, "needs_authorization", errors.KeyRefused),
        (401, "missing_permissions", errors.ModelRefused),
        (401, "quota_exceeded", errors.QuotaExhausted),
        (401, "detected_unusual_activity", errors.ChannelRefused),
        (401, "something_new", errors.KeyRefused),
        (402, "payment_required", errors.ModelRefused),
        (402, "something_new", errors.QuotaExhausted),
        (403, "only_for_creator+", errors.ModelRefused),
        (403, "voice_access_denied", errors.ModelRefused),
        (403, "something_new", errors.ChannelRefused),
        (404, "model_not_found", errors.Rejected),
        (404, "something_new", errors.ModelRefused),
        (422, "something_new", errors.Rejected),
        (429, "too_many_concurrent_requests", errors.RateLimited),
        (429, "system_busy", errors.RateLimited),
        (429, "rate_limit_exceeded", errors.RateLimited),
        (500, "internal_error", errors.Unavailable),
        (502, "", errors.Unavailable),
        (503, "", errors.Unavailable),
        (504, "", errors.Unavailable),
    ],
)
@pytest.mark.parametrize("model", [TTS, VEO])
def test_code_of_an_error_tells_who_must_act(
    status: int, code: str, kind: type[errors.ProviderError], model: str
):
    body = {"detail": {"status": code, "message": "no"}}
    with pytest.raises(errors.ProviderError) as caught:
        answered(model, answer(body, status=status))
    assert type(caught.value) is kind
    assert (caught.value.code, str(caught.value)) == (code, "no")
    assert caught.value.status == status


@pytest.mark.parametrize("place", ["status", "code", "type"])
def test_code_counts_wherever_the_detail_has_it(place: str):
    detail = {"status": "error", "code": "c", "type": "t", "message": "no"}
    body = {"detail": {**detail, place: "quota_exceeded"}}
    with pytest.raises(errors.QuotaExhausted):
        answered(TTS, answer(body, status=401))


@pytest.mark.parametrize(
    ("name", "status", "kind", "message"),
    [
        ("list", 422, errors.Rejected, "body.text: Field required; body."),
        ("text", 404, errors.ModelRefused, "There is nothing here."),
        ("quota", 401, errors.QuotaExhausted, "The quota of 10000 is used up."),
        ("key", 401, errors.KeyRefused, "The key is not valid."),
        ("newer", 429, errors.RateLimited, "Slower, please."),
        (
            "prompt",
            400,
            errors.ContentRejected,
            "An artist is named. Suggested instead: a slow waltz",
        ),
        (
            "plan",
            422,
            errors.ContentRejected,
            'The plan names a song. Suggested instead: {"chunks": [{"text": "[Ver',
        ),
        ("plan_harmful", 422, errors.ContentRejected, "The plan is harmful."),
    ],
)
def test_detail_may_be_an_object_a_list_or_a_text(
    name: str, status: int, kind: type[errors.ProviderError], message: str
):
    with pytest.raises(errors.ProviderError) as caught:
        answered(MUSIC, recorded(f"elevenlabs/error_{name}", status=status))
    assert type(caught.value) is kind
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "headers", "seconds"),
    [
        ("concurrent", {}, 2.0),
        ("concurrent", {"retry_after": "9"}, 9.0),
        ("newer", {}, None),
        ("newer", {"retry_after": "4"}, 4.0),
    ],
)
def test_slot_of_the_account_is_soon_free_again(
    name: str, headers: dict[str, str], seconds: float | None
):
    reply = recorded(f"elevenlabs/error_{name}", status=429, **headers)
    with pytest.raises(errors.RateLimited) as caught:
        answered(TTS, reply)
    assert caught.value.retry_after_s == seconds


# Polls


@pytest.mark.parametrize(
    ("reply", "phase"), [("pending", Phase.PENDING), ("generating", Phase.RUNNING)]
)
def test_state_of_a_job_is_read(reply: str, phase: Phase):
    assert looked(reply, retry_after="5") == Snapshot(
        phase=phase, remote=JOB, look_after_s=5.0
    )


@pytest.mark.parametrize("kind", ["video", "image", "text-to-speech"])
def test_job_is_looked_at_where_its_kind_is(kind: str):
    remote = Remote("gen/1", {"kind": kind})
    (call,) = calls_of(elevenlabs.poll(remote), recorded("elevenlabs/pending"))
    assert (call.method, call.url) == ("GET", f"/v1/flows/{kind}/gen%2F1")


def test_finished_job_has_one_signed_link():
    snapshot = looked("completed")
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    assert snapshot.artifacts == (
        Artifact(
            url="https://storage.googleapis.com/made/7pQe2Lx9.mp4"
            "?X-Goog-Expires=3600&X-Goog-Signature=a%2Fb%3D",
            content_type="video/mp4",
        ),
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("moderated", Reason.CONTENT_REJECTED),
        ("invalid_parameters", Reason.INVALID_REQUEST),
        ("charging_failed", Reason.UPSTREAM_FAILED),
        ("timeout", Reason.UPSTREAM_TIMEOUT),
        ("model_error", Reason.UPSTREAM_FAILED),
        ("internal_error", Reason.UPSTREAM_FAILED),
        ("dependency_failed", Reason.UPSTREAM_FAILED),
        ("unnamed", Reason.UPSTREAM_FAILED),
    ],
)
def test_failed_job_is_a_value_with_its_reason(code: str, reason: Reason):
    snapshot = looked(f"failed_{code}")
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason
    assert snapshot.failure.code == ("" if code == "unnamed" else code)
    assert snapshot.failure.message


@pytest.mark.parametrize(
    "reply",
    [
        recorded("elevenlabs/completed_without_link"),
        answer({"id": "g", "status": "completed", "content_url": "gs://a/b"}),
        answer({"id": "g", "status": "paused"}),
        answer({"status": "pending"}),
        answer({"id": 7, "status": "pending"}),
    ],
)
def test_undocumented_answer_to_a_look_is_unexpected(reply: Reply):
    with pytest.raises(errors.UnexpectedReply):
        play(elevenlabs.poll(JOB), reply)


@pytest.mark.parametrize("body", [{}, {"detail": {"status": "no"}}, {"detail": "no"}])
def test_unknown_job_is_not_found(body: dict[str, Any]):
    with pytest.raises(errors.NotFound):
        play(elevenlabs.poll(JOB), answer(body, status=404))


# Several at once


def remotes(*ids: str, kind: str = "video") -> list[Remote]:
    return [Remote(each, {"kind": kind}) for each in ids]


def test_several_jobs_are_read_from_pages_of_a_list():
    asked = remotes("gen_7pQe2Lx9", "gen_done", "gen_old")
    replies = recorded("elevenlabs/list"), recorded("elevenlabs/list_last")
    calls = calls_of(elevenlabs.poll_many(asked), *replies)
    assert [(call.url, call.params) for call in calls] == [
        ("/v1/flows/video", {"page_size": "100"}),
        ("/v1/flows/video", {"page_size": "100", "cursor": "c2"}),
    ]
    found = play(elevenlabs.poll_many(asked), *replies)
    assert {each: snapshot.phase for each, snapshot in found.items()} == {
        "gen_7pQe2Lx9": Phase.RUNNING,
        "gen_done": Phase.SUCCEEDED,
        "gen_old": Phase.FAILED,
    }


def test_list_is_left_as_soon_as_all_are_found():
    asked = remotes("gen_new", "gen_done")
    assert len(play(elevenlabs.poll_many(asked), recorded("elevenlabs/list"))) == 2


def test_list_that_says_it_has_no_more_is_believed():
    page = {"generations": [], "next_cursor": "c2", "has_more": False}
    calls = calls_of(
        elevenlabs.poll_many(remotes("a", "b")),
        answer(page),
        *[answer({"detail": "no"}, status=404)] * 2,
    )
    assert [call.url.rpartition("/")[2] for call in calls] == ["video", "a", "b"]


def test_job_that_no_page_has_is_looked_at_by_itself():
    asked = remotes("gen_new", "gen_7pQe2Lx9", "gone")
    found = play(
        elevenlabs.poll_many(asked),
        recorded("elevenlabs/list_last"),
        answer({"id": "gen_new", "status": "pending"}),
        recorded("elevenlabs/completed"),
        answer({"detail": "no"}, status=404),
    )
    assert list(found) == ["gen_new", "gen_7pQe2Lx9"]


@pytest.mark.parametrize(
    "refused",
    [
        answer({"detail": [{"loc": ["query", "page_size"], "msg": "x"}]}, status=422),
        answer({"detail": "no"}, status=404),
        answer({"generations": [{"id": "gen_new", "status": "paused"}]}),
    ],
)
def test_list_that_is_of_no_use_is_done_without(refused: Reply):
    found = play(
        elevenlabs.poll_many(remotes("gen_new", "gen_7pQe2Lx9")),
        refused,
        answer({"id": "gen_new", "status": "pending"}),
        recorded("elevenlabs/completed"),
    )
    assert len(found) == 2


def test_only_so_many_pages_are_turned():
    page = recorded("elevenlabs/list")
    calls = calls_of(
        elevenlabs.poll_many(remotes("old_1", "old_2")),
        *[page] * 3,
        *[answer({"detail": "no"}, status=404)] * 2,
    )
    assert len(calls) == 5


def test_single_job_of_a_kind_needs_no_list():
    asked = [*remotes("gen_7pQe2Lx9"), *remotes("gen_7pQe2Lx9", kind="image")][:1]
    calls = calls_of(elevenlabs.poll_many(asked), recorded("elevenlabs/pending"))
    assert [call.url for call in calls] == ["/v1/flows/video/gen_7pQe2Lx9"]


def test_trouble_with_a_list_says_nothing_of_its_jobs():
    with pytest.raises(errors.Unavailable):
        play(elevenlabs.poll_many(remotes("a", "b")), answer({}, status=503))


# Webhooks


SECRET = "wsec_0123"
COMPLETED = {"id": "gen_7pQe2Lx9", "status": "completed", "content_url": "https://x/y"}


def a_callback(body: Any, signature: str | None = None) -> Callback:
    content = json.dumps(body).encode()
    mac = hmac.digest(SECRET.encode(), b"1795000000." + content, hashlib.sha256).hex()
    told = signature if signature is not None else f"t=1795000000,v0={mac}"
    return Callback({"elevenlabs-signature": told}, content)


@pytest.mark.parametrize(
    "body",
    [
        COMPLETED,
        {"type": "flows", "event_timestamp": 1795000000, "data": COMPLETED},
    ],
)
def test_webhook_names_its_job_and_its_signature(body: dict[str, Any]):
    callback = a_callback(body)
    heard = elevenlabs.receive(callback, VEO)
    assert (heard.ids, heard.remote) == (("gen_7pQe2Lx9",), None)
    signed = heard.signed
    assert signed is not None
    assert (signed.scheme, signed.timestamp) == ("hmac-sha256", 1795000000.0)
    assert signed.tolerance_s == 1800
    expected = hmac.digest(SECRET.encode(), signed.message, hashlib.sha256).hex()
    assert signed.signature == expected


def test_signature_is_over_the_time_and_the_body_as_they_came():
    """The hex is from openssl: dgst -sha256 -hmac wsec_tide."""
    mac = "c8ba8e2bca26cf06f0bf101335c60c93c827a6a0c8627b00ca6f8bd7e305a952"
    header = f"t=1739537297,v0={mac}, v0=cd"
    callback = Callback({"elevenlabs-signature": header}, b'{"id":"gen_1"}')
    signed = elevenlabs.receive(callback, VEO).signed
    assert signed is not None
    assert signed.signature.split() == [mac, "cd"]
    assert verify_hmac_sha256(signed.message, mac, "wsec_tide")


@pytest.mark.parametrize(
    "callback",
    [
        Callback({}, b'{"id":"g"}'),
        a_callback(COMPLETED, ""),
        a_callback(COMPLETED, "t=1"),
        a_callback(COMPLETED, "v0=ab"),
        a_callback(COMPLETED, "t=soon,v0=ab"),
        a_callback(COMPLETED, "t=1,t=2,v0=ab"),
        a_callback({"data": {}}),
        a_callback([]),
    ],
)
def test_webhook_without_a_job_or_a_signature_is_none(callback: Callback):
    with pytest.raises(errors.UnexpectedReply):
        elevenlabs.receive(callback, VEO)


# Credentials


def sent(call: Call, **settings: str) -> Call:
    return elevenlabs.authorize(call, Credentials("sk_1", settings, 0))


def test_key_has_a_header_of_its_own():
    call = sent(Call("GET", "/v1/user"))
    assert call.headers == {"xi-api-key": "sk_1"}


@pytest.mark.parametrize(
    ("setting", "target"),
    [
        ("all", {"type": "all"}),
        ("wh_1, wh_2", {"type": "ids", "ids": ["wh_1", "wh_2"]}),
    ],
)
def test_setting_names_the_webhooks_of_a_job(setting: str, target: dict[str, Any]):
    job = Call("POST", "/v1/flows/video", json={"prompt": "x"}, paid=True)
    assert sent(job, webhook=setting).json == {"prompt": "x", "webhook": target}
    assert sent(job).json == {"prompt": "x"}
    for other in (Call("GET", "/v1/flows/video/1"), Call("POST", "/v1/music", json={})):
        assert sent(other, webhook=setting).json == other.json


def test_client_cannot_name_webhooks():
    assert "webhook" not in body_of(VEO, metadata={"webhook": {"type": "all"}})


def test_good_key_may_read_its_user_or_lack_that_permission():
    (call,) = calls_of(elevenlabs.test(), recorded("elevenlabs/user"))
    assert (call.method, call.url, call.paid) == ("GET", "/v1/user", False)
    refused = {"detail": {"status": results.MISSING_PERMISSIONS, "message": "no"}}
    play(elevenlabs.test(), answer(refused, status=401))
    with pytest.raises(errors.KeyRefused):
        play(elevenlabs.test(), recorded("elevenlabs/error_key", status=401))
    other = {"detail": {"status": "payment_required", "message": "no"}}
    with pytest.raises(errors.ModelRefused):
        play(elevenlabs.test(), answer(other, status=402))
