"""The official SDK (`google-genai`) against the simulated Gemini API and Vertex AI.

No one version speaks all dialects: 3.x has left Veo and Imagen to Vertex AI, 2.x still
speaks the Gemini API's Veo, 1.x its Imagen. Each version runs what it can speak; the
suite installs 3.x, docs/providers/gemini.md tells how to run the others.
"""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from PIL import Image

from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running

pytestmark = pytest.mark.filterwarnings("ignore")

VERSION = int(genai.__version__.partition(".")[0])
OMNI = "gemini-omni-1.1-flash"
PAINTER = "gemini-3.1-flash-image"


@pytest.fixture(scope="module", autouse=True)
def _no_surroundings() -> Iterator[None]:
    """The SDK would read keys, proxies and addresses of the environment."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith(("GOOGLE_", "GEMINI_")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    yield
    os.environ.update(kept)


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.reset()
    return shared


def a_client(sandbox: Sandbox, key: str = "sandbox-id:sandbox-key") -> genai.Client:
    options = types.HttpOptions(base_url=f"{sandbox.url}/gemini", api_version="v1beta")
    return genai.Client(api_key=key, http_options=options)


def a_cloud_client(sandbox: Sandbox, token: str = "ya29.token") -> genai.Client:
    return genai.Client(
        vertexai=True,
        project="harbour-7",
        location="us-central1",
        credentials=Credentials(token=token),
        http_options=types.HttpOptions(base_url=f"{sandbox.url}/vertex"),
    )


@pytest.fixture
def client(sandbox: Sandbox) -> genai.Client:
    return a_client(sandbox)


@pytest.fixture
def cloud(sandbox: Sandbox) -> genai.Client:
    return a_cloud_client(sandbox)


def a_picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (320, 180), "teal").save(data, "jpeg")
    return data.getvalue()


def image_size(data: bytes | None) -> tuple[int, int]:
    with Image.open(io.BytesIO(data or b"")) as image:
        image.load()
        return image.size


def shape_and_seconds(data: bytes | None) -> tuple[float, float]:
    """Width by height and length of a film whose frames can be decoded."""
    with av.open(io.BytesIO(data or b"")) as film:
        frame = next(film.decode(video=0))
        assert film.duration is not None
        return frame.width / frame.height, film.duration / av.time_base


def sound_seconds(data: bytes | None, **options: Any) -> float:
    with av.open(io.BytesIO(data or b""), **options) as sound:
        return sum(f.samples / f.sample_rate for f in sound.decode(audio=0))


def until(look: Callable[[], Any], is_over: Callable[[Any], bool]) -> Any:
    ends_at = time.monotonic() + 15
    while not is_over(found := look()):
        assert time.monotonic() < ends_at
        time.sleep(0.03)
    return found


def paint(client: genai.Client, prompt: str, **config: Any) -> Any:
    return client.models.generate_content(
        model=PAINTER,
        contents=[prompt],
        config=types.GenerateContentConfig(
            response_modalities=["TEXT", "IMAGE"], **config
        ),
    )


# generateContent


def test_image_comes_with_words_and_in_the_shape_asked_for(client, sandbox):
    answer = client.models.generate_content(
        model=PAINTER,
        contents=[
            "put a red scarf on it",
            types.Part.from_bytes(data=a_picture(), mime_type="image/jpeg"),
        ],
        config=types.GenerateContentConfig(
            response_modalities=["TEXT", "IMAGE"],
            image_config=types.ImageConfig(aspect_ratio="16:9", image_size="1K"),
            seed=12,
        ),
    )
    words, file = answer.candidates[0].content.parts
    assert words.text
    assert file.inline_data.mime_type == "image/png"
    width, height = image_size(file.inline_data.data)
    assert width / height == pytest.approx(16 / 9, rel=0.02)
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.total_token_count
    (paid,) = sandbox.ledger.submits("gemini")
    assert paid.model == PAINTER


@pytest.mark.parametrize(
    ("model", "mime_type", "options"),
    [
        ("gemini-3.8-flash-tts", "audio/wav", {}),
        (
            "gemini-2.5-flash-preview-tts",
            "audio/L16;codec=pcm;rate=24000",
            {"format": "s16le", "options": {"sample_rate": "24000"}},
        ),
    ],
)
def test_speech_is_a_wav_file_or_samples_without_a_header(
    client, model, mime_type, options
):
    answer = client.models.generate_content(
        model=model,
        contents="Say calmly: the last ferry leaves at nine tonight.",
        config=types.GenerateContentConfig(
            response_modalities=["AUDIO"],
            speech_config=types.SpeechConfig(
                voice_config=types.VoiceConfig(
                    prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore")
                )
            ),
        ),
    )
    blob = answer.candidates[0].content.parts[0].inline_data
    assert blob.mime_type == mime_type
    assert sound_seconds(blob.data, **options) == pytest.approx(50 / 15, abs=0.3)


def test_music_is_mp3_and_tells_its_words(client):
    answer = client.models.generate_content(
        model="lyria-3.5", contents="a harbour waltz"
    )
    words, file = answer.candidates[0].content.parts
    assert "a harbour waltz" in words.text
    assert file.inline_data.mime_type == "audio/mpeg"
    assert sound_seconds(file.inline_data.data) > 20


def test_moderation_is_a_success_of_http_without_a_file(client):
    blocked = paint(client, "a fight [blocked]")
    assert blocked.candidates is None
    reason = blocked.prompt_feedback.block_reason
    assert reason == types.BlockedReason.PROHIBITED_CONTENT
    late = paint(client, "a fight [blocked late]")
    assert late.candidates[0].finish_reason == types.FinishReason.IMAGE_SAFETY
    assert late.candidates[0].content is None


@pytest.mark.parametrize(
    ("prompt", "key", "code", "status"),
    [
        ("x", "bad-key", 400, "INVALID_ARGUMENT"),
        ("x", "quota-key", 429, "RESOURCE_EXHAUSTED"),
        ("x [429]", "AIza-1", 429, "RESOURCE_EXHAUSTED"),
        ("x [403]", "AIza-1", 403, "PERMISSION_DENIED"),
        ("x [503 before]", "AIza-1", 503, "UNAVAILABLE"),
        ("x [500]", "AIza-1", 500, "INTERNAL"),
    ],
)
def test_refusals_are_errors_of_the_sdk(sandbox, prompt, key, code, status):
    with pytest.raises(errors.APIError) as caught:
        paint(a_client(sandbox, key), prompt)
    assert (caught.value.code, caught.value.status) == (code, status)


def test_wrong_shape_and_unknown_model_are_refused(client):
    with pytest.raises(errors.ClientError, match="aspectRatio"):
        paint(client, "x", image_config=types.ImageConfig(aspect_ratio="7:3"))
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gemini-9-image", contents="x")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


def test_models_are_listed_page_by_page(client):
    listed = list(client.models.list(config={"page_size": 5}))
    names = {model.name for model in listed}
    assert len(listed) == len(names) > 5
    assert {f"models/{OMNI}", f"models/{PAINTER}"} <= names
    assert client.models.get(model=PAINTER).name == f"models/{PAINTER}"


# Interactions


def start_interaction(client: genai.Client, prompt: str, **fields: Any) -> Any:
    return client.interactions.create(
        **{
            "model": OMNI,
            "input": [{"type": "text", "text": prompt}],
            "response_format": {
                "type": "video",
                "aspect_ratio": "9:16",
                "resolution": "720p",
                "duration": "4s",
                "delivery": "uri",
            },
            "background": True,
            **fields,
        }
    )


def end_of(client: genai.Client, interaction_id: str) -> Any:
    return until(
        lambda: client.interactions.get(interaction_id),
        lambda found: found.status != "in_progress",
    )


def video_of(interaction: Any) -> Any:
    """The video on the wire; newer versions have it as `output_video` as well."""
    (output,) = [s for s in interaction.steps or () if s.type == "model_output"]
    return output.content[0]


if VERSION >= 2:

    def test_video_made_in_the_background_is_downloaded(client, sandbox):
        started = start_interaction(client, "steam over a street stall")
        assert started.status == "in_progress"
        ended = end_of(client, started.id)
        assert ended.status == "completed"
        uri = video_of(ended).uri
        name = "files/" + uri.rpartition("/")[2]
        until(lambda: client.files.get(name=name), lambda f: f.state.value == "ACTIVE")
        shape, seconds = shape_and_seconds(client.files.download(file=uri))
        assert shape == pytest.approx(9 / 16, rel=0.02)
        assert seconds == pytest.approx(4, abs=0.3)
        assert sandbox.ledger.calls("gemini", CallKind.SUBMIT) == 1

    def test_blocking_interaction_brings_its_video_along(client):
        picture = {
            "type": "image",
            "data": base64.b64encode(a_picture()).decode(),
            "mime_type": "image/jpeg",
        }
        ended = start_interaction(
            client,
            "it begins to rain",
            input=[{"type": "text", "text": "it begins to rain"}, picture],
            response_format={"type": "video", "delivery": "inline"},
            background=False,
        )
        assert ended.status == "completed"
        data = base64.b64decode(video_of(ended).data)
        assert shape_and_seconds(data)[0] == pytest.approx(16 / 9, rel=0.02)

    def test_interactions_fail_are_cancelled_and_deleted(client):
        failed = end_of(client, start_interaction(client, "x [blocked]").id)
        assert failed.status == "failed"
        running_one = start_interaction(client, "x [slow 60s]")
        assert client.interactions.cancel(running_one.id).status == "cancelled"
        assert client.interactions.get(running_one.id).status == "cancelled"
        client.interactions.delete(failed.id)
        with pytest.raises(Exception, match="not found") as caught:
            client.interactions.get(failed.id)
        assert getattr(caught.value, "status_code", 404) == 404

    def test_duration_out_of_range_is_refused(client):
        wanted = {"type": "video", "duration": "12s"}
        with pytest.raises(Exception, match="3s and 10s"):
            start_interaction(client, "x", response_format=wanted)


if VERSION >= 3:

    def test_webhooks_of_a_project_are_set_up_and_told_their_secret_once(client):
        made = client.webhooks.create(
            uri="https://hooks.example/in",
            subscribed_events=["video.generated", "interaction.completed"],
            name="harbour",
        )
        assert made.new_signing_secret.startswith("whsec_")
        found = client.webhooks.get(made.id)
        assert (found.uri, found.state) == ("https://hooks.example/in", "enabled")
        assert found.new_signing_secret is None
        assert [each.id for each in client.webhooks.list().webhooks] == [made.id]
        client.webhooks.delete(made.id)
        assert not client.webhooks.list().webhooks


# Veo and Imagen


def end_of_operation(client: genai.Client, operation: Any) -> Any:
    return until(lambda: client.operations.get(operation), lambda found: found.done)


if VERSION < 3:

    def test_veo_makes_a_video_of_two_frames(client):
        frame = types.Image(image_bytes=a_picture(), mime_type="image/jpeg")
        operation = client.models.generate_videos(
            model="veo-3.1-generate-preview",
            prompt="a tram crosses a wet square",
            image=frame,
            config=types.GenerateVideosConfig(
                aspect_ratio="9:16",
                resolution="720p",
                duration_seconds=6,
                negative_prompt="text",
                number_of_videos=1,
                last_frame=frame,
            ),
        )
        assert operation.name.startswith("models/veo-3.1-generate-preview/operations/")
        assert not operation.done
        ended = end_of_operation(client, operation)
        (made,) = ended.response.generated_videos
        shape, seconds = shape_and_seconds(client.files.download(file=made.video))
        assert shape == pytest.approx(9 / 16, rel=0.02)
        assert seconds == pytest.approx(6, abs=0.3)

    def test_veo_takes_reference_images_in_the_sdks_spelling(client):
        picture = types.Image(image_bytes=a_picture(), mime_type="image/jpeg")
        reference = types.VideoGenerationReferenceImage(
            image=picture, reference_type=types.VideoGenerationReferenceType.ASSET
        )
        operation = client.models.generate_videos(
            model="veo-3.1-generate-preview",
            prompt="a tram",
            config=types.GenerateVideosConfig(reference_images=[reference]),
        )
        assert end_of_operation(client, operation).response.generated_videos

    def test_veo_filters_and_fails(client):
        veo = "veo-3.1-generate-preview"
        blocked = end_of_operation(
            client, client.models.generate_videos(model=veo, prompt="x [blocked]")
        )
        assert blocked.response.rai_media_filtered_count == 1
        assert not blocked.response.generated_videos
        failed = end_of_operation(
            client, client.models.generate_videos(model=veo, prompt="x [fail]")
        )
        assert failed.error["code"] == 13


if VERSION < 2:

    def test_imagen_makes_images_and_says_which_it_filtered(client):
        answer = client.models.generate_images(
            model="imagen-4.0-generate-001",
            prompt="a paper boat [partial]",
            config=types.GenerateImagesConfig(
                number_of_images=2,
                aspect_ratio="3:4",
                image_size="2K",
                output_mime_type="image/jpeg",
                include_rai_reason=True,
                include_safety_attributes=True,
            ),
        )
        made, filtered = answer.generated_images
        width, height = image_size(made.image.image_bytes)
        assert width > 1500
        assert width / height == pytest.approx(3 / 4, rel=0.1)
        assert filtered.rai_filtered_reason
        assert answer.positive_prompt_safety_attributes is not None


def test_veo_on_vertex_is_fetched_by_a_post(cloud, sandbox):
    operation = cloud.models.generate_videos(
        model="veo-3.1-generate-001",
        prompt="a tram",
        image=types.Image(image_bytes=a_picture(), mime_type="image/jpeg"),
        config=types.GenerateVideosConfig(
            number_of_videos=2, duration_seconds=4, seed=7, generate_audio=True
        ),
    )
    place = "projects/harbour-7/locations/us-central1/publishers/google/models/"
    assert operation.name.startswith(f"{place}veo-3.1-generate-001/operations/")
    ended = end_of_operation(cloud, operation)
    films = [each.video.video_bytes for each in ended.response.generated_videos]
    assert [round(shape_and_seconds(film)[1]) for film in films] == [4, 4]
    (paid,) = sandbox.ledger.submits("vertex")
    assert paid.job_id == operation.name


def test_veo_on_vertex_puts_videos_where_it_is_told(cloud):
    operation = cloud.models.generate_videos(
        model="veo-3.1-generate-001",
        prompt="a tram",
        config=types.GenerateVideosConfig(output_gcs_uri="gs://harbour-out/films"),
    )
    (made,) = end_of_operation(cloud, operation).response.generated_videos
    assert made.video.uri.startswith("gs://harbour-out/films/")


def test_imagen_on_vertex_makes_images(cloud):
    answer = cloud.models.generate_images(
        model="imagen-4.0-generate-001",
        prompt="a paper boat",
        config=types.GenerateImagesConfig(
            number_of_images=2, aspect_ratio="16:9", negative_prompt="text"
        ),
    )
    sizes = [image_size(each.image.image_bytes) for each in answer.generated_images]
    assert sizes == [(1408, 768)] * 2


def test_gemini_models_are_had_on_vertex_as_well(cloud):
    answer = paint(cloud, "a paper boat")
    assert image_size(answer.candidates[0].content.parts[1].inline_data.data)


def test_token_that_is_refused_is_401_on_vertex(sandbox):
    with pytest.raises(errors.ClientError) as caught:
        paint(a_cloud_client(sandbox, "bad-key"), "x")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
