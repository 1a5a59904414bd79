"""Google Gemini: four wire formats, one key."""

from __future__ import annotations

import base64
import io
import json
import re
import wave
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, gemini
from providers.flow import Call, Reply, drive
from providers.types import (
    Callback,
    Credentials,
    GenerationRequest,
    MediaType,
    Phase,
    Reason,
    Remote,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import Played, answer, calls_of, play, raw, recorded

OMNI = "gemini-omni-1.1-flash"
VEO = "veo-3.1-generate-preview"
IMAGEN = "imagen-4.0-generate-001"
PAINTER = "gemini-3.1-flash-image"
SPEAKER = "gemini-2.5-flash-preview-tts"
MUSICIAN = "lyria-3.5"
OPERATION = Remote("models/veo-3.1-generate-preview/operations/b8s1nd0tq4xz")
INTERACTION = Remote("v1_TGlnaHQ4")
PICTURE = raw(b"\x89PNG\r\n\x1a\n", "image/png")
ENCODED = base64.b64encode(PICTURE.content).decode()
CALLBACK = "https://gateway.example.com/upstream/gemini/t"


def a_video(model: str = VEO, **fields: Any) -> GenerationRequest:
    return a_request(**{"model": model, "media_type": MediaType.VIDEO, **fields})


def an_image(model: str = PAINTER, **fields: Any) -> GenerationRequest:
    return a_request(**{"model": model, **fields})


def a_sound(model: str = SPEAKER, **fields: Any) -> GenerationRequest:
    return a_request(**{"model": model, "media_type": MediaType.AUDIO, **fields})


def sent(request: GenerationRequest, pictures: int = 0) -> Call:
    """The paid call, after as many input images as are told."""
    played = Played([PICTURE] * pictures + [answer({}, status=503)])
    flow = gemini.submit(request)
    with pytest.raises(errors.Unavailable):
        drive(flow, played.send)
    assert [call.paid for call in played.calls] == [False] * pictures + [True]
    return played.calls[-1]


def gemini_reply(name: str, **told: Any) -> Reply:
    return recorded(f"gemini/{name}", **told)


# Which wire format


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (OMNI, "/interactions"),
        (VEO, f"/models/{VEO}:predictLongRunning"),
        (IMAGEN, f"/models/{IMAGEN}:predict"),
        (PAINTER, f"/models/{PAINTER}:generateContent"),
        (SPEAKER, f"/models/{SPEAKER}:generateContent"),
        (MUSICIAN, f"/models/{MUSICIAN}:generateContent"),
        ("gemini-nano-banana-2.1", "/models/gemini-nano-banana-2.1:generateContent"),
        (f"models/{PAINTER}", f"/models/{PAINTER}:generateContent"),
        ("veo/9?x", "/models/veo%2F9%3Fx:predictLongRunning"),
    ],
)
def test_family_of_the_model_decides_the_path(model, path):
    assert sent(a_request(model=model)).url == path


def test_model_whose_name_tells_nothing_is_refused():
    with pytest.raises(errors.Rejected, match="omni, veo, imagen"):
        play(gemini.submit(a_request(model="gemini-3-pro")))
    assert gemini.describe("gemini-3-pro") is None


def test_unlisted_model_is_described_by_its_family():
    found = gemini.describe("veo-4.0-generate-001")
    assert found is not None
    assert (found.name, found.media_type) == ("veo-4.0-generate-001", MediaType.VIDEO)
    assert found.durations == ()
    listed = gemini.describe(f"models/{VEO}")
    assert listed is not None
    assert listed.durations == (4, 6, 8)


# Veo


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({}, {}),
        ({"negative_prompt": "text"}, {"negativePrompt": "text"}),
        ({"seed": 0}, {"seed": 0}),
        ({"duration": 6.0}, {"durationSeconds": 6}),
        ({"aspect_ratio": "9/16"}, {"aspectRatio": "9:16"}),
        ({"resolution": "720P"}, {"resolution": "720p"}),
        ({"resolution": "4K"}, {"resolution": "4k"}),
        ({"size": "1280x720"}, {"aspectRatio": "16:9", "resolution": "720p"}),
        (
            {"width": 1080, "height": 1920},
            {"aspectRatio": "9:16", "resolution": "1080p"},
        ),
        ({"size": "3840x2160"}, {"aspectRatio": "16:9", "resolution": "4k"}),
        ({"quality": "high", "style": "noir"}, {}),
        (
            {"metadata": {"personGeneration": "allow_adult", "sampleCount": 4}},
            {"personGeneration": "allow_adult"},
        ),
        ({"seed": 1, "metadata": {"seed": 2, "webhookConfig": {}}}, {"seed": 2}),
    ],
)
def test_fields_of_a_video_become_parameters(fields, parameters):
    body = sent(a_video(**fields)).json
    assert body == {
        "instances": [{"prompt": "a lighthouse made of paper, dawn"}],
        "parameters": {"sampleCount": 1, **parameters},
    }
    assert type(body["parameters"].get("durationSeconds", 0)) is int


IMAGE = {"bytesBase64Encoded": ENCODED, "mimeType": "image/png"}
REFERENCE = {"image": IMAGE, "referenceType": "asset"}


@pytest.mark.parametrize(
    ("fields", "count", "instance"),
    [
        ({}, 1, {"image": IMAGE}),
        ({}, 2, {"image": IMAGE, "lastFrame": IMAGE}),
        ({}, 3, {"referenceImages": [REFERENCE] * 3}),
        ({"action": "reference"}, 1, {"referenceImages": [REFERENCE]}),
        (
            {"metadata": {"referenceType": "style"}},
            1,
            {"referenceImages": [{"image": IMAGE, "referenceType": "style"}]},
        ),
    ],
)
def test_images_of_a_video_are_frames_or_references(fields, count, instance):
    images = tuple(an_image_url() if i else an_upload() for i in range(count))
    body = sent(a_video(images=images, **fields), pictures=count).json
    assert body["instances"] == [
        {"prompt": "a lighthouse made of paper, dawn", **instance}
    ]
    assert "referenceType" not in body["parameters"]


@pytest.mark.parametrize(
    ("fields", "pictures", "text"),
    [
        ({"prompt": None}, 0, "needs a prompt"),
        ({"action": "reference"}, 0, "takes 1 to 3"),
        ({"images": (an_image_url(),) * 4}, 4, "takes 1 to 3"),
        ({"video_url": "https://cdn.example.com/a.mp4"}, 0, "this API made"),
        ({"video_url": "gs://bucket/a.mp4"}, 0, "this API made"),
    ],
)
def test_video_that_cannot_be_asked_for_is_never_paid(fields, pictures, text):
    played = Played([PICTURE] * pictures)
    with pytest.raises(errors.Rejected, match=text):
        drive(gemini.submit(a_video(**fields)), played.send)


def test_earlier_video_of_this_api_is_gone_on_from():
    uri = (
        "https://generativelanguage.googleapis.com/v1beta/files/m4n8:download?alt=media"
    )
    assert sent(a_video(video_url=uri)).json["instances"][0]["video"] == {"uri": uri}


@pytest.mark.parametrize("model", [VEO, OMNI])
def test_gateways_own_address_is_called_when_a_video_has_ended(model):
    body = sent(a_video(model, callback_url=CALLBACK)).json
    config = body.get("webhookConfig") or body.get("webhook_config")
    assert config["uris"] == [CALLBACK]
    assert config["user_metadata"] == {"task_id": a_request().task_id}


def test_name_of_an_operation_is_its_id_with_all_slashes():
    snapshot = play(gemini.submit(a_video()), gemini_reply("operation"))
    assert snapshot.phase is Phase.RUNNING
    assert snapshot.remote == OPERATION
    (call,) = calls_of(gemini.poll(OPERATION), gemini_reply("operation"))
    assert (call.method, call.url) == ("GET", f"/{OPERATION.id}")


@pytest.mark.parametrize(
    ("reply", "phase"),
    [
        ("operation", Phase.RUNNING),
        ("operation_not_done", Phase.RUNNING),
        ("operation_done", Phase.SUCCEEDED),
        ("operation_done_inline", Phase.SUCCEEDED),
        ("operation_done_other_shape", Phase.SUCCEEDED),
        ("operation_partial", Phase.SUCCEEDED),
        ("operation_filtered", Phase.FAILED),
        ("operation_empty", Phase.FAILED),
        ("operation_error", Phase.FAILED),
    ],
)
def test_operation_is_read_by_done_and_what_it_holds(reply, phase):
    snapshot = play(gemini.poll(OPERATION), gemini_reply(reply))
    assert snapshot.phase is phase
    assert snapshot.percent == (100 if phase is Phase.SUCCEEDED else None)
    assert bool(snapshot.artifacts) == (phase is Phase.SUCCEEDED)


def test_link_of_a_video_is_asked_for_below_the_base_url_with_the_key():
    (video,) = play(gemini.poll(OPERATION), gemini_reply("operation_done")).artifacts
    assert (video.url, video.protected) == (
        "/files/m4n8b2v6c0:download?alt=media",
        True,
    )
    assert video.content_type == "video/mp4"


def test_link_elsewhere_is_kept_and_gets_no_key():
    reply = gemini_reply("operation_done_other_shape")
    (video,) = play(gemini.poll(OPERATION), reply).artifacts
    assert video.url == "https://cdn.reseller.example/v/8.mp4?sig=a%2Bb%3D"
    assert not video.protected


def test_video_may_come_inline():
    reply = gemini_reply("operation_done_inline")
    (video,) = play(gemini.poll(OPERATION), reply).artifacts
    assert video.content is not None
    assert video.content[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("reply", "reason", "code"),
    [
        ("operation_filtered", Reason.CONTENT_REJECTED, "content_filtered"),
        ("operation_partial", Reason.CONTENT_REJECTED, "content_filtered"),
        ("operation_empty", Reason.UPSTREAM_FAILED, ""),
    ],
)
def test_filtered_videos_are_a_failure_with_its_reason(reply, reason, code):
    failure = play(gemini.poll(OPERATION), gemini_reply(reply)).failure
    assert failure is not None
    assert (failure.reason, failure.code) == (reason, code)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (3, Reason.INVALID_REQUEST),
        (4, Reason.UPSTREAM_TIMEOUT),
        (7, Reason.UPSTREAM_FAILED),
        (8, Reason.UPSTREAM_FAILED),
        (13, Reason.UPSTREAM_FAILED),
        (14, Reason.UPSTREAM_FAILED),
        (99, Reason.UPSTREAM_FAILED),
        (None, Reason.UPSTREAM_FAILED),
    ],
)
def test_grpc_code_of_an_operation_is_its_reason(code, reason):
    body = {"name": OPERATION.id, "done": True, "error": {"code": code, "message": "x"}}
    failure = play(gemini.poll(OPERATION), answer(body)).failure
    assert failure is not None
    assert (failure.reason, failure.message) == (reason, "x")


@pytest.mark.parametrize(
    "body",
    [
        {"name": OPERATION.id, "done": "perhaps"},
        {"name": OPERATION.id, "done": True},
        {"name": "", "done": False},
        {"name": 7},
        {
            "name": OPERATION.id,
            "done": True,
            "response": {"generatedSamples": [{"video": {"uri": "ftp://x/a"}}]},
        },
    ],
)
def test_operation_that_is_not_documented_is_unexpected(body):
    with pytest.raises(errors.UnexpectedReply):
        play(gemini.poll(OPERATION), answer(body))


@pytest.mark.parametrize(
    ("model", "body", "remote"),
    [
        (VEO, {"name": OPERATION.id, "done": "perhaps"}, OPERATION),
        (OMNI, {"id": INTERACTION.id, "status": "REBALANCING"}, INTERACTION),
    ],
)
def test_job_whose_state_is_not_understood_at_submit_is_kept(model, body, remote):
    snapshot = play(gemini.submit(a_video(model)), answer(body))
    assert (snapshot.phase, snapshot.remote) == (Phase.RUNNING, remote)


def test_operation_cannot_be_cancelled():
    assert play(gemini.cancel(OPERATION)) is False


# Imagen


@pytest.mark.parametrize(
    ("model", "fields", "parameters"),
    [
        (IMAGEN, {}, {}),
        (IMAGEN, {"n": 3}, {"sampleCount": 3}),
        (IMAGEN, {"aspect_ratio": "3:4"}, {"aspectRatio": "3:4"}),
        (IMAGEN, {"resolution": "2k"}, {"sampleImageSize": "2K"}),
        (
            IMAGEN,
            {"size": "2048x2048"},
            {"aspectRatio": "1:1", "sampleImageSize": "2K"},
        ),
        (
            IMAGEN,
            {"size": "4096x4096"},
            {"aspectRatio": "1:1", "sampleImageSize": "2K"},
        ),
        (
            "imagen-4.0-fast-generate-001",
            {"size": "1024x768", "resolution": "1K"},
            {"aspectRatio": "4:3"},
        ),
        (
            IMAGEN,
            {"output_format": "jpg"},
            {"outputOptions": {"mimeType": "image/jpeg"}},
        ),
        (IMAGEN, {"seed": 7, "negative_prompt": "text"}, {}),
        (
            IMAGEN,
            {"metadata": {"language": "de", "sampleCount": 4}},
            {"language": "de"},
        ),
    ],
)
def test_fields_of_an_image_become_parameters(model, fields, parameters):
    assert sent(an_image(model, **fields)).json == {
        "instances": [{"prompt": "a lighthouse made of paper, dawn"}],
        "parameters": {"sampleCount": 1, "includeRaiReason": True, **parameters},
    }


@pytest.mark.parametrize(
    ("reply", "n", "made", "phase", "text"),
    [
        ("images", 2, 2, Phase.SUCCEEDED, None),
        ("images_one_filtered", 2, 1, Phase.SUCCEEDED, "1 of 2 .*: Filtered: people."),
        ("images_all_filtered", 1, 0, Phase.FAILED, "1 of 1 .*: Filtered: people."),
        ("images_nothing", 4, 0, Phase.FAILED, "4 of 4 images were filtered"),
    ],
)
def test_only_predictions_with_bytes_are_images(reply, n, made, phase, text):
    snapshot = play(gemini.submit(an_image(IMAGEN, n=n)), gemini_reply(reply))
    assert (snapshot.phase, len(snapshot.artifacts)) == (phase, made)
    assert all(image.content for image in snapshot.artifacts)
    if text is None:
        assert snapshot.failure is None
    else:
        assert snapshot.failure is not None
        assert snapshot.failure.reason is Reason.CONTENT_REJECTED
        assert re.search(text, snapshot.failure.message)


# Images, speech and music by generateContent


@pytest.mark.parametrize(
    ("fields", "text", "config"),
    [
        ({}, "a boat", {}),
        ({"seed": 12}, "a boat", {"seed": 12}),
        ({"negative_prompt": "fog"}, "a boat\nAvoid: fog", {}),
        (
            {"style": "noir", "quality": "high"},
            "a boat\nStyle: noir\nQuality: high",
            {},
        ),
        ({"aspect_ratio": "4:5"}, "a boat", {"imageConfig": {"aspectRatio": "4:5"}}),
        ({"aspect_ratio": "1:8"}, "a boat", {"imageConfig": {"aspectRatio": "1:8"}}),
        ({"resolution": "2k"}, "a boat", {"imageConfig": {"imageSize": "2K"}}),
        (
            {"size": "1024x1536"},
            "a boat",
            {"imageConfig": {"aspectRatio": "2:3", "imageSize": "1K"}},
        ),
        (
            {"width": 4096, "height": 4096},
            "a boat",
            {"imageConfig": {"aspectRatio": "1:1", "imageSize": "4K"}},
        ),
        (
            {"metadata": {"temperature": 0.2, "candidateCount": 4, "contents": []}},
            "a boat",
            {"temperature": 0.2},
        ),
        (
            {
                "aspect_ratio": "1:1",
                "metadata": {"generationConfig": {"imageConfig": {"imageSize": "4K"}}},
            },
            "a boat",
            {"imageConfig": {"aspectRatio": "1:1", "imageSize": "4K"}},
        ),
    ],
)
def test_fields_of_a_painted_image_are_configured_or_told(fields, text, config):
    assert sent(an_image(prompt="a boat", **fields)).json == {
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"], **config},
    }


def test_older_painter_gets_no_image_size():
    body = sent(an_image("gemini-2.5-flash-image", size="1024x1024")).json
    assert body["generationConfig"]["imageConfig"] == {"aspectRatio": "1:1"}


def test_every_input_image_is_a_part_of_its_own():
    images = (an_upload(), an_image_url())
    parts = sent(an_image(images=images), pictures=2).json["contents"][0]["parts"]
    picture = {"inlineData": {"mimeType": "image/png", "data": ENCODED}}
    assert parts[1:] == [picture, picture]


def test_safety_settings_of_metadata_stand_beside_the_configuration():
    settings = [{"category": "X", "threshold": "BLOCK_NONE"}]
    body = sent(an_image(metadata={"safetySettings": settings})).json
    assert body["safetySettings"] == settings
    assert "safetySettings" not in body["generationConfig"]


@pytest.mark.parametrize(
    ("fields", "text", "voice"),
    [
        ({"prompt": "Say hello"}, "Say hello", "Kore"),
        ({"input": "Hello", "prompt": None, "voice": "Puck"}, "Hello", "Puck"),
        ({"input": "Hello", "prompt": "Say calmly"}, "Say calmly: Hello", "Kore"),
        ({"prompt": "Hello", "style": "Say sadly"}, "Say sadly: Hello", "Kore"),
    ],
)
def test_speech_has_a_voice_and_its_manner_before_a_colon(fields, text, voice):
    assert sent(a_sound(**fields)).json == {
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": {
                "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}
            },
        },
    }


def test_two_speakers_of_metadata_replace_the_one_voice():
    many = {"speakerVoiceConfigs": [{"speaker": "A"}, {"speaker": "B"}]}
    metadata = {"speechConfig": {"multiSpeakerVoiceConfig": many}}
    config = sent(a_sound(metadata=metadata)).json["generationConfig"]
    assert config["speechConfig"] == {"multiSpeakerVoiceConfig": many}


def test_all_that_music_has_no_field_for_is_told():
    request = a_sound(
        MUSICIAN,
        prompt="a waltz",
        title="Ferry",
        tags="accordion",
        duration=30,
        lyrics="The sea",
        negative_prompt="drums",
    )
    (part,) = sent(request).json["contents"][0]["parts"]
    assert part["text"].splitlines() == [
        "a waltz",
        "Title: Ferry",
        "Genre: accordion",
        "Length: 30 seconds",
        "Avoid: drums",
        "Lyrics: ",
        "The sea",
    ]


def test_drafts_in_thoughts_are_no_results():
    snapshot = play(gemini.submit(an_image()), gemini_reply("content_image"))
    (image,) = snapshot.artifacts
    assert (image.content_type, image.text) == ("image/png", None)
    assert snapshot.usage == {
        "promptTokenCount": 31,
        "candidatesTokenCount": 1290,
        "totalTokenCount": 1321,
    }


def test_names_in_snake_case_are_read_as_well():
    snapshot = play(gemini.submit(an_image()), gemini_reply("content_snake_case"))
    assert snapshot.artifacts[0].content_type == "image/jpeg"


@pytest.mark.parametrize(("rate", "read"), [(";rate=16000", 16_000), ("", 24_000)])
def test_samples_become_a_wav_file_of_their_rate(rate, read):
    body = gemini_reply("content_pcm").json()
    blob = body["candidates"][0]["content"]["parts"][0]["inlineData"]
    blob["mimeType"] = f"audio/L16;codec=pcm{rate}"
    (sound,) = play(gemini.submit(a_sound()), answer(body)).artifacts
    assert sound.content_type == "audio/wav"
    assert sound.duration_s == 6 / read
    with wave.open(io.BytesIO(sound.content or b"")) as file:
        assert (file.getframerate(), file.getsampwidth()) == (read, 2)
        assert (file.getnchannels(), file.getnframes()) == (1, 6)
        assert file.readframes(6) == base64.b64decode(blob["data"])


def test_whole_wav_file_stays_as_it_is():
    reply = gemini_reply("content_wav")
    (sound,) = play(gemini.submit(a_sound()), reply).artifacts
    assert sound.content_type == "audio/wav"
    assert sound.content is not None
    assert sound.content.count(b"RIFF") == 1


def test_music_keeps_its_words():
    reply = gemini_reply("content_music")
    (song,) = play(gemini.submit(a_sound(MUSICIAN)), reply).artifacts
    assert (song.content_type, song.text) == (
        "audio/mpeg",
        "[Verse]\nThe ferry leaves",
    )


MODERATED = ("SAFETY", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "PROHIBITED_CONTENT")
MODERATED += ("IMAGE_RECITATION", "RECITATION", "BLOCKLIST", "SPII")


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        *((word, Reason.CONTENT_REJECTED) for word in MODERATED),
        *(
            (word, Reason.UPSTREAM_FAILED)
            for word in ("IMAGE_OTHER", "NO_IMAGE", "OTHER", "MAX_TOKENS", "STOP")
        ),
    ],
)
def test_finish_reason_without_a_file_is_a_failed_generation(finish, reason):
    body = {"candidates": [{"finishReason": finish, "finishMessage": "so it is"}]}
    snapshot = play(gemini.submit(an_image()), answer(body))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, finish)
    assert snapshot.failure.message == "so it is"


@pytest.mark.parametrize(
    "word", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"]
)
def test_prompt_that_was_blocked_is_a_failed_generation(word):
    body = {"promptFeedback": {"blockReason": word}}
    snapshot = play(gemini.submit(an_image()), answer(body))
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED
    assert snapshot.failure.code == word


def test_words_alone_tell_why_there_is_no_image():
    snapshot = play(gemini.submit(an_image()), gemini_reply("content_words_alone"))
    assert snapshot.failure is not None
    assert snapshot.failure.message == "I cannot draw this."


@pytest.mark.parametrize(
    "body",
    [
        {"candidates": [{"finishReason": "REBALANCING"}]},
        {"candidates": [{}]},
        {"candidates": []},
        {"promptFeedback": {"blockReason": "REBALANCING"}},
        {"candidates": [{"content": {"parts": [{"inlineData": {"data": "a"}}]}}]},
        {
            "candidates": [
                {"content": {"parts": [{"inlineData": {"mimeType": "i", "data": "a"}}]}}
            ]
        },
    ],
)
def test_content_that_is_not_documented_is_unexpected(body):
    with pytest.raises(errors.UnexpectedReply):
        play(gemini.submit(an_image()), answer(body))


# Interactions


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({}, {}),
        ({"duration": 5}, {"response_format": {"duration": "5s"}}),
        ({"duration": 3.5}, {"response_format": {"duration": "3.5s"}}),
        (
            {"size": "720x1280"},
            {"response_format": {"aspect_ratio": "9:16", "resolution": "720p"}},
        ),
        ({"size": "640x360"}, {"response_format": {"aspect_ratio": "16:9"}}),
        ({"resolution": "360P"}, {"response_format": {"resolution": "360p"}}),
        ({"seed": 3}, {"generation_config": {"seed": 3}}),
        (
            {"voice": "Kore"},
            {"generation_config": {"speech_config": [{"voice": "Kore"}]}},
        ),
        (
            {"action": "reference"},
            {"generation_config": {"video_config": {"task": "reference_to_video"}}},
        ),
        (
            {"action": "upscale"},
            {"generation_config": {"video_config": {"task": "upscale"}}},
        ),
        (
            {"metadata": {"previous_interaction_id": "v1_a", "input": "x"}},
            {"previous_interaction_id": "v1_a"},
        ),
    ],
)
def test_fields_of_an_omni_video_become_an_interaction(fields, changes):
    body = sent(a_video(OMNI, **fields)).json
    wanted = changes.pop("response_format", {})
    assert (
        body["response_format"].items()
        >= {
            "type": "video",
            "delivery": "uri",
            **wanted,
        }.items()
    )
    del body["response_format"]
    text = "a lighthouse made of paper, dawn"
    assert body == {
        "model": OMNI,
        "input": [{"type": "text", "text": text}],
        "background": True,
        **changes,
    }


def test_everything_an_omni_video_is_made_from_is_a_content():
    request = a_video(
        OMNI,
        images=(an_upload(),),
        video_url="https://cdn.example.com/a.mp4",
        negative_prompt="text",
    )
    assert sent(request, pictures=1).json["input"] == [
        {"type": "text", "text": "a lighthouse made of paper, dawn\nAvoid: text"},
        {"type": "image", "data": ENCODED, "mime_type": "image/png"},
        {"type": "video", "uri": "https://cdn.example.com/a.mp4"},
    ]


def test_interaction_without_any_content_is_never_paid():
    with pytest.raises(errors.Rejected, match="needs a prompt"):
        play(gemini.submit(a_video(OMNI, prompt=None)))


def test_interaction_that_blocks_cannot_call_back():
    request = a_video(OMNI, callback_url=CALLBACK, metadata={"background": False})
    body = sent(request).json
    assert body["background"] is False
    assert "webhook_config" not in body


@pytest.mark.parametrize(
    ("reply", "phase"),
    [
        ("interaction_queued", Phase.PENDING),
        ("interaction_started", Phase.RUNNING),
        ("interaction_continues", Phase.RUNNING),
        ("interaction_completed_inline", Phase.SUCCEEDED),
        ("interaction_completed_elsewhere", Phase.SUCCEEDED),
        ("interaction_completed_empty", Phase.FAILED),
        ("interaction_failed", Phase.FAILED),
        ("interaction_failed_untold", Phase.FAILED),
        ("interaction_incomplete", Phase.FAILED),
        ("interaction_budget", Phase.FAILED),
        ("interaction_action", Phase.FAILED),
        ("interaction_cancelled", Phase.CANCELLED),
    ],
)
def test_status_of_an_interaction_is_its_phase(reply, phase):
    told = gemini_reply(reply)
    snapshot = play(gemini.poll(INTERACTION), told)
    assert (snapshot.phase, snapshot.remote) == (phase, INTERACTION)
    assert (snapshot.failure is not None) == (phase is Phase.FAILED)
    assert play(gemini.submit(a_video(OMNI)), told).phase is phase


@pytest.mark.parametrize(
    ("reply", "reason", "message", "code"),
    [
        (
            "interaction_failed",
            Reason.CONTENT_REJECTED,
            "The video was not safe.",
            "https://ai.google.dev/errors/safety",
        ),
        (
            "interaction_failed_untold",
            Reason.UPSTREAM_FAILED,
            "the interaction ended as failed",
            "failed",
        ),
        ("interaction_incomplete", Reason.UPSTREAM_FAILED, "Cut short.", "incomplete"),
        (
            "interaction_completed_empty",
            Reason.UPSTREAM_FAILED,
            "the interaction ended without a file",
            "completed",
        ),
    ],
)
def test_interaction_tells_why_it_failed(reply, reason, message, code):
    failure = play(gemini.poll(INTERACTION), gemini_reply(reply)).failure
    assert failure is not None
    assert (failure.reason, failure.message, failure.code) == (reason, message, code)


@pytest.mark.parametrize(
    ("file", "phase"),
    [
        ("file_processing", Phase.RUNNING),
        ("file_active", Phase.SUCCEEDED),
        ("file_failed", Phase.FAILED),
    ],
)
def test_linked_video_is_there_when_its_file_is_active(file, phase):
    completed = gemini_reply("interaction_completed")
    snapshot = play(gemini.poll(INTERACTION), completed, gemini_reply(file))
    assert (snapshot.phase, snapshot.remote) == (phase, INTERACTION)
    urls = [video.url for video in snapshot.artifacts]
    done = phase is Phase.SUCCEEDED
    assert urls == ["/files/h7j2k9l3:download?alt=media"] * done
    called = calls_of(gemini.poll(INTERACTION), completed, gemini_reply(file))
    assert [call.url for call in called] == [
        "/interactions/v1_TGlnaHQ4",
        "/files/h7j2k9l3",
    ]


def test_nothing_is_asked_after_the_paid_call_of_an_interaction():
    submitted = play(
        gemini.submit(a_video(OMNI)), gemini_reply("interaction_completed")
    )
    assert (submitted.phase, submitted.remote) == (Phase.RUNNING, INTERACTION)
    assert not submitted.artifacts


def test_file_that_is_gone_does_not_blame_the_account():
    completed = gemini_reply("interaction_completed")
    gone = gemini_reply("error_no_file", status=403)
    with pytest.raises(errors.NotFound):
        play(gemini.poll(INTERACTION), completed, gone)
    leaked = gemini_reply("error_forbidden", status=403)
    with pytest.raises(errors.ChannelRefused):
        play(gemini.poll(INTERACTION), completed, leaked)


def test_usage_of_an_interaction_is_its_counts():
    reply = gemini_reply("interaction_completed_inline")
    usage = play(gemini.poll(INTERACTION), reply).usage
    assert usage == {
        "total_input_tokens": 9,
        "total_output_tokens": 7040,
        "total_tokens": 7049,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"id": "v1_a", "status": "REBALANCING"},
        {"status": "in_progress"},
        {"id": "", "status": "in_progress"},
        {"id": "v1_a", "status": "completed", "steps": [{"type": "hologram"}]},
        {
            "id": "v1_a",
            "status": "completed",
            "steps": [{"type": "model_output", "content": [{"type": "hologram"}]}],
        },
    ],
)
def test_interaction_that_is_not_documented_is_unexpected(body):
    with pytest.raises(errors.UnexpectedReply):
        play(gemini.poll(INTERACTION), answer(body))


@pytest.mark.parametrize(
    ("reply", "stopped"),
    [("interaction_cancelled", True), ("interaction_completed_inline", False)],
)
def test_interaction_is_cancelled_when_its_status_says_so(reply, stopped):
    assert play(gemini.cancel(INTERACTION), gemini_reply(reply)) is stopped
    (call,) = calls_of(gemini.cancel(INTERACTION), gemini_reply(reply))
    assert (call.method, call.url) == ("POST", "/interactions/v1_TGlnaHQ4/cancel")


# Errors


@pytest.mark.parametrize(
    ("reply", "status", "at_submit", "at_poll"),
    [
        ("error_key", 400, errors.KeyRefused, errors.KeyRefused),
        ("error_field", 400, errors.Rejected, errors.Rejected),
        ("error_region", 400, errors.ChannelRefused, errors.ChannelRefused),
        ("error_token", 401, errors.KeyRefused, errors.KeyRefused),
        ("error_forbidden", 403, errors.ChannelRefused, errors.ChannelRefused),
        ("error_absent", 404, errors.ModelRefused, errors.NotFound),
        ("error_rate", 429, errors.RateLimited, errors.RateLimited),
        ("error_daily", 429, errors.QuotaExhausted, errors.QuotaExhausted),
        ("error_internal", 500, errors.Unavailable, errors.Unavailable),
        ("error_overloaded", 503, errors.Unavailable, errors.Unavailable),
        ("error_deadline", 504, errors.Unavailable, errors.Unavailable),
        ("error_listed", 503, errors.Unavailable, errors.Unavailable),
        # a failure may be told with HTTP 200 as well
        ("error_overloaded", 200, errors.Unavailable, errors.Unavailable),
        ("error_listed", 200, errors.Unavailable, errors.Unavailable),
        ("error_key", 200, errors.KeyRefused, errors.KeyRefused),
    ],
)
def test_word_of_an_error_decides_its_class(reply, status, at_submit, at_poll):
    told = gemini_reply(reply, status=status)
    for request in (a_video(), a_video(OMNI), an_image(), an_image(IMAGEN)):
        with pytest.raises(errors.ProviderError) as caught:
            play(gemini.submit(request), told)
        assert type(caught.value) is at_submit
    for remote in (OPERATION, INTERACTION):
        with pytest.raises(errors.ProviderError) as caught:
            play(gemini.poll(remote), told)
        assert type(caught.value) is at_poll
        assert str(caught.value)


def test_wait_after_a_rate_limit_is_read_from_the_details():
    with pytest.raises(errors.RateLimited) as caught:
        play(gemini.poll(OPERATION), gemini_reply("error_rate", status=429))
    assert caught.value.retry_after_s == 12.5
    with pytest.raises(errors.RateLimited) as caught:
        play(gemini.poll(OPERATION), answer({}, status=429, retry_after="3"))
    assert caught.value.retry_after_s == 3


def test_key_is_proved_by_the_list_of_models():
    play(gemini.test(), answer({"models": []}))
    with pytest.raises(errors.KeyRefused):
        play(gemini.test(), gemini_reply("error_key", status=400))


def test_key_goes_into_its_own_header():
    call = gemini.PROVIDER.authorize(Call("GET", "/x"), Credentials("AIza", {}, 0))
    assert call.headers == {"x-goog-api-key": "AIza"}


# Webhooks


@pytest.mark.parametrize(
    ("reply", "job_id"),
    [("event_operation", OPERATION.id), ("event_interaction", INTERACTION.id)],
)
def test_webhook_of_a_request_tells_its_job_unsigned(reply, job_id):
    headers = {"webhook-signature": "eyJh.eyJi.c2ln"}
    heard = gemini.receive(Callback(headers, gemini_reply(reply).content), VEO)
    assert heard.ids == (job_id,)
    assert heard.remote == Remote(job_id)
    assert heard.signed is None


def test_webhook_of_a_project_bears_every_signature_of_its_header():
    body = gemini_reply("event_interaction").content
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1800000000",
        "webhook-signature": "v1,b25l v1,dHdv v2,eA==",
    }
    signed = gemini.receive(Callback(headers, body), OMNI).signed
    assert signed is not None
    assert signed.message == b"evt_1.1800000000." + body
    assert (signed.scheme, signed.signature) == ("hmac-sha256", "b25l dHdv")
    assert signed.timestamp == 1_800_000_000


@pytest.mark.parametrize("body", [b"{}", b"x", b'{"data": {"id": 7}}', b'{"data": 1}'])
def test_webhook_without_an_id_is_none(body):
    with pytest.raises((errors.ProviderError, ValueError)):
        gemini.receive(Callback({"webhook-signature": "e.e.s"}, body), VEO)


# What intake refuses at once


@pytest.mark.parametrize(
    ("model", "fields", "field"),
    [
        (VEO, {"duration": 5.0}, "duration"),
        (VEO, {"aspect_ratio": "1:1"}, "aspect_ratio"),
        (VEO, {"size": "1024x1024"}, "size"),
        (VEO, {"n": 2}, "n"),
        (VEO, {"images": [1, 2, 3, 4]}, "images"),
        ("veo-3.1-lite-generate-preview", {"resolution": "4k"}, "resolution"),
        ("veo-2.0-generate-001", {"duration": 4.0}, "duration"),
        (OMNI, {"duration": 11.0}, "duration"),
        (OMNI, {"n": 2}, "n"),
        (IMAGEN, {"n": 5}, "n"),
        (IMAGEN, {"aspect_ratio": "21:9"}, "aspect_ratio"),
        (IMAGEN, {"images": [1]}, "images"),
        ("imagen-4.0-fast-generate-001", {"resolution": "2K"}, "resolution"),
        (PAINTER, {"n": 2}, "n"),
        (PAINTER, {"aspect_ratio": "7:3"}, "aspect_ratio"),
        ("gemini-3-pro-image", {"aspect_ratio": "1:8"}, "aspect_ratio"),
        ("gemini-2.5-flash-image", {"resolution": "2K"}, "resolution"),
        (PAINTER, {"output_format": "webp"}, "output_format"),
        (SPEAKER, {"speed": 1.5}, "speed"),
        (SPEAKER, {"output_format": "mp3"}, "output_format"),
        (SPEAKER, {"images": [1]}, "images"),
        (MUSICIAN, {"voice": "Kore"}, "voice"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_intake(model, fields, field):
    found = gemini.describe(model)
    assert found is not None
    assert field in find_problems({"prompt": "x", **fields}, found)
    allowed = {"prompt": "x", "n": 1, "seed": 1}
    assert not find_problems(allowed, found)


def test_body_of_a_submit_is_json():
    for request in (a_video(), a_video(OMNI), an_image(), an_image(IMAGEN), a_sound()):
        assert json.dumps(sent(request).json)
