"""Our flows for Gemini and Vertex AI, and documented exchanges, over real HTTP."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from PIL import Image

from providers import errors, gemini, vertex
from providers.flow import Call, drive
from providers.types import (
    Artifact,
    Credentials,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from sandbox.gemini import METHODS
from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_upload
from tests.sandbox.receiving import next_callback, receiving
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"
OMNI = "gemini-omni-1.1-flash"
VEO = "veo-3.1-generate-preview"
IMAGEN = "imagen-4.0-generate-001"
PAINTER = "gemini-3.1-flash-image"
CLOUD_VEO = "veo-3.1-generate-001"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def a_picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (320, 180), "teal").save(data, "png")
    return data.getvalue()


def a_sender(sandbox: Sandbox, provider: Any = gemini.PROVIDER, **given: Any) -> Sender:
    return sender(
        sandbox.url + provider.sandbox_path,
        provider,
        given.pop("secret", SECRET),
        uploads=[Upload(a_picture())],
        **given,
    )


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    return a_sender(sandbox)


@pytest.fixture
def cloud(sandbox: Sandbox) -> Sender:
    return a_sender(sandbox, vertex.PROVIDER)


def a_video(model: str = VEO, **fields: Any) -> Any:
    return a_request(**{"model": model, "media_type": MediaType.VIDEO, **fields})


def fetched(send: Sender, artifact: Artifact) -> bytes:
    """The bytes of a result, whose link may lead on to another without the key."""
    if artifact.url is None:
        return send.fetch(artifact)
    reply = send(Call("GET", artifact.url))
    if reply.status == 302:
        reply = send(Call("GET", reply.headers["location"], public=True))
    assert reply.status == 200
    return reply.content


def film(data: bytes) -> tuple[float, float]:
    """Width by height and seconds."""
    with av.open(io.BytesIO(data)) as opened:
        frame = next(opened.decode(video=0))
        assert opened.duration is not None
        return frame.width / frame.height, opened.duration / av.time_base


def run(send: Sender, request: Any) -> Snapshot:
    return send.wait(send.submit(request))


# Every family gets its result


@pytest.mark.parametrize("model", [VEO, "veo-2.0-generate-001", OMNI])
def test_video_of_an_image_is_made_and_downloaded(sandbox, send, model):
    request = a_video(
        model,
        images=(an_upload(),),
        aspect_ratio="9:16",
        resolution="720P",
        duration=6.0,
        seed=7,
        negative_prompt="text",
    )
    ended = run(send, request)
    assert ended.phase is Phase.SUCCEEDED, ended.failure
    (video,) = ended.artifacts
    assert video.protected
    shape, seconds = film(fetched(send, video))
    assert shape == pytest.approx(9 / 16, rel=0.02)
    assert seconds == pytest.approx(6, abs=0.3)
    (paid,) = sandbox.ledger.submits("gemini")
    assert ended.remote is not None
    assert (paid.job_id, paid.model) == (ended.remote.id, model)


@pytest.mark.parametrize("images", [2, 3])
def test_frames_and_references_are_taken(send, images):
    request = a_video(images=(an_upload(),) * images)
    assert run(send, request).phase is Phase.SUCCEEDED


def test_omni_that_blocks_is_read_again_for_its_link(send):
    submitted = send.submit(a_video(OMNI, metadata={"background": False}))
    assert submitted.phase is Phase.RUNNING
    (video,) = send.wait(submitted).artifacts
    assert video.content is not None  # inline, although a link was asked for
    assert film(video.content)[0] > 1


@pytest.mark.parametrize(
    ("model", "fields", "size"),
    [
        (IMAGEN, {"n": 2, "aspect_ratio": "3:4"}, (896, 1280)),
        (IMAGEN, {"size": "2048x2048", "output_format": "jpg"}, (2048, 2048)),
        ("imagen-4.0-fast-generate-001", {"size": "1408x768"}, (1408, 768)),
        (PAINTER, {"images": (an_upload(),)}, (1024, 1024)),
        (PAINTER, {"aspect_ratio": "8:1", "resolution": "512"}, (1456, 176)),
        ("gemini-2.5-flash-image", {"size": "1024x1536"}, (832, 1248)),
    ],
)
def test_images_come_inline_in_the_shape_asked_for(send, model, fields, size):
    ended = send.submit(a_request(model=model, **fields))
    assert ended.phase is Phase.SUCCEEDED, ended.failure
    assert len(ended.artifacts) == fields.get("n", 1)
    for artifact in ended.artifacts:
        with Image.open(io.BytesIO(artifact.content or b"")) as image:
            image.load()
            assert image.size == size
            assert Image.MIME[image.format or ""] == artifact.content_type


@pytest.mark.parametrize(
    ("model", "content_type", "codec"),
    [
        ("gemini-2.5-flash-preview-tts", "audio/wav", "pcm_s16le"),
        ("gemini-3.8-flash-tts", "audio/wav", "pcm_s16le"),
        ("lyria-3.5", "audio/mpeg", "mp3float"),
    ],
)
def test_speech_and_music_can_be_played(send, model, content_type, codec):
    request = a_request(model=model, media_type=MediaType.AUDIO, prompt="a ferry bell")
    (sound,) = send.submit(request).artifacts
    assert sound.content_type == content_type
    with av.open(io.BytesIO(sound.content or b"")) as opened:
        stream = opened.streams.audio[0]
        assert (stream.codec_context.name, stream.rate) == (codec, 24_000)
        assert next(opened.decode(audio=0)).samples


@pytest.mark.parametrize("model", sorted(METHODS))
def test_every_model_of_the_sandbox_is_listed_and_served(send, model):
    listed = gemini.describe(model)
    assert listed in gemini.MODELS
    assert listed is not None
    submitted = send.submit(a_request(model=model, media_type=listed.media_type))
    assert submitted.phase in {Phase.SUCCEEDED, Phase.RUNNING}


def test_the_listed_models_are_those_of_the_sandbox():
    assert {model.name for model in gemini.MODELS} == set(METHODS)


# Failures


@pytest.mark.parametrize(
    ("model", "tag", "reason"),
    [
        (VEO, "blocked", Reason.CONTENT_REJECTED),
        (VEO, "fail", Reason.UPSTREAM_FAILED),
        (OMNI, "blocked", Reason.CONTENT_REJECTED),
        (OMNI, "fail", Reason.UPSTREAM_FAILED),
        (IMAGEN, "blocked", Reason.CONTENT_REJECTED),
        (IMAGEN, "blocked late", Reason.CONTENT_REJECTED),
        (PAINTER, "blocked", Reason.CONTENT_REJECTED),
        (PAINTER, "blocked late", Reason.CONTENT_REJECTED),
        (PAINTER, "fail", Reason.UPSTREAM_FAILED),
    ],
)
def test_generation_that_fails_is_told_as_a_value(send, model, tag, reason):
    ended = run(send, a_request(model=model, prompt=f"x [{tag}]"))
    assert ended.phase is Phase.FAILED
    assert ended.failure is not None
    assert ended.failure.reason is reason


def test_imagen_that_filters_all_without_a_word_is_content_rejected(send):
    metadata = {"includeRaiReason": False}
    request = a_request(model=IMAGEN, prompt="x [blocked]", metadata=metadata)
    ended = send.submit(request)
    assert ended.failure is not None
    assert ended.failure.reason is Reason.CONTENT_REJECTED


@pytest.mark.parametrize(
    ("provider", "model"),
    [(gemini.PROVIDER, IMAGEN), (vertex.PROVIDER, CLOUD_VEO)],
)
def test_good_outputs_are_kept_when_others_are_filtered(sandbox, provider, model):
    request = a_video(model, n=3, prompt="a boat [partial]")
    ended = run(a_sender(sandbox, provider), request)
    assert (ended.phase, len(ended.artifacts)) == (Phase.SUCCEEDED, 2)
    assert ended.failure is not None
    assert ended.failure.reason is Reason.CONTENT_REJECTED


@pytest.mark.parametrize("model", [VEO, OMNI, IMAGEN, PAINTER])
@pytest.mark.parametrize(
    ("tag", "kind", "paid"),
    [
        ("[429]", errors.RateLimited, 0),
        ("[quota]", errors.QuotaExhausted, 0),
        ("[400]", errors.Rejected, 0),
        ("[401]", errors.KeyRefused, 0),
        ("[403]", errors.ChannelRefused, 0),
        ("[503 before]", errors.Unavailable, 0),
        ("[500]", errors.Unavailable, 1),
        ("[html]", errors.UnexpectedReply, 1),
        ("[cut]", errors.AnswerLost, 1),
        ("[reset]", errors.AnswerLost, 1),
    ],
)
def test_submit_that_goes_wrong_is_classed(sandbox, send, model, tag, kind, paid):
    with pytest.raises(kind):
        send.submit(a_request(model=model, prompt=f"a boat {tag}"))
    assert len(sandbox.ledger.submits("gemini")) == paid


@pytest.mark.parametrize("model", [VEO, OMNI, PAINTER])
def test_answer_without_an_id_or_file_is_an_unknown_outcome(sandbox, send, model):
    with pytest.raises(errors.UnexpectedReply):
        send.submit(a_request(model=model, prompt="a boat [no id]"))
    assert len(sandbox.ledger.submits("gemini")) == 1


def test_rate_limit_tells_how_long_to_wait(send):
    with pytest.raises(errors.RateLimited) as caught:
        send.submit(a_video(prompt="a boat [429 once]"))
    assert caught.value.retry_after_s == 1


@pytest.mark.parametrize(
    ("provider", "model"),
    [(gemini.PROVIDER, VEO), (gemini.PROVIDER, OMNI), (vertex.PROVIDER, CLOUD_VEO)],
)
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("poll 429 once", errors.RateLimited),
        ("poll 500 once", errors.Unavailable),
        ("poll 404 once", errors.NotFound),
        ("poll 401 once", errors.KeyRefused),
        ("poll html once", errors.UnexpectedReply),
        ("unknown status once", errors.UnexpectedReply),
    ],
)
def test_look_that_goes_wrong_leaves_the_job_alone(sandbox, provider, model, tag, kind):
    send = a_sender(sandbox, provider)
    submitted = send.submit(a_video(model, prompt=f"a boat [{tag}]"))
    assert submitted.remote is not None
    with pytest.raises(kind):
        send.poll(submitted.remote)
    assert send.wait(submitted).phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    "remote",
    [Remote(f"models/{VEO}/operations/nobodys"), Remote("v1_nobodys")],
)
def test_unknown_job_is_not_found(send, remote):
    with pytest.raises(errors.NotFound):
        send.poll(remote)


def test_file_that_has_expired_is_not_found(send):
    with pytest.raises(errors.NotFound):
        run(send, a_video(OMNI, prompt="a boat [expire]"))
    (video,) = run(send, a_video(prompt="a boat [expire]")).artifacts
    assert video.url is not None
    assert send(Call("GET", video.url)).status == 403


def test_only_what_runs_in_the_background_is_cancelled(send):
    submitted = send.submit(a_video(OMNI, prompt="a boat [slow 60s]"))
    assert submitted.remote is not None
    assert drive(gemini.cancel(submitted.remote), send) is True
    assert send.poll(submitted.remote).phase is Phase.CANCELLED
    done = run(send, a_video(OMNI))
    assert done.remote is not None
    with pytest.raises(errors.ChannelRefused):
        drive(gemini.cancel(done.remote), send)


@pytest.mark.parametrize("provider", [gemini.PROVIDER, vertex.PROVIDER])
def test_key_is_proved_without_being_billed(sandbox, provider):
    assert provider.test is not None
    drive(provider.test(), a_sender(sandbox, provider))
    with pytest.raises(errors.KeyRefused):
        drive(
            provider.test(),
            a_sender(
                sandbox,
                provider,
                secret="p:bad-key" if provider is vertex.PROVIDER else "bad-key",
            ),
        )
    assert not sandbox.ledger.submits()


# Vertex AI


def test_videos_of_vertex_come_inline(sandbox, cloud):
    request = a_video(CLOUD_VEO, n=2, duration=4.0, images=(an_upload(),), seed=7)
    ended = run(cloud, request)
    assert [round(film(v.content or b"")[1]) for v in ended.artifacts] == [4, 4]
    (paid,) = sandbox.ledger.submits("vertex")
    place = "projects/sandbox-id/locations/us-central1/publishers/google/models"
    assert paid.job_id.startswith(f"{place}/{CLOUD_VEO}/operations/")
    assert paid.key == "-key"


def test_videos_of_vertex_may_be_put_into_a_bucket(cloud):
    metadata = {"storageUri": "gs://harbour-out/films"}
    (video,) = run(cloud, a_video(CLOUD_VEO, metadata=metadata)).artifacts
    assert video.protected
    assert video.url is not None
    start = "https://storage.googleapis.com/storage/v1/b/harbour-out/o/films%2F"
    assert video.url.startswith(start)


@pytest.mark.parametrize(
    ("model", "fields"),
    [(IMAGEN, {"seed": 7, "negative_prompt": "text"}), (PAINTER, {}), (OMNI, {})],
)
def test_other_families_are_had_on_vertex(cloud, model, fields):
    ended = run(cloud, a_request(model=model, **fields))
    assert ended.phase is Phase.SUCCEEDED, ended.failure
    assert ended.artifacts[0].content


def test_operation_is_only_told_at_its_own_model(sandbox, cloud):
    submitted = cloud.submit(a_video(CLOUD_VEO))
    assert submitted.remote is not None
    path = "/publishers/google/models/veo-3.1-fast-generate-001:fetchPredictOperation"
    body = {"operationName": submitted.remote.id}
    assert cloud(Call("POST", path, json=body)).status == 400


def test_token_that_an_account_signed_itself_is_taken_while_it_lives(sandbox):
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "client_email": "relay@harbour-7.iam.example",
        "private_key": pem.decode(),
        "private_key_id": "k1",
        "project_id": "harbour-7",
    }
    send = a_sender(sandbox, vertex.PROVIDER, secret=json.dumps(account))
    assert send.submit(a_request(model=PAINTER)).artifacts
    stale = vertex.authorize(
        Call("GET", "/x"), Credentials(json.dumps(account), {}, time.time() - 7200)
    )
    url = f"{sandbox.url}/vertex/v1/publishers/google/models/{CLOUD_VEO}"
    answer = requests.get(url, headers=dict(stale.headers), timeout=10)
    assert (answer.status_code, answer.json()["error"]["status"]) == (
        401,
        "UNAUTHENTICATED",
    )


# Webhooks


def jwt_claims(token: str, keys: dict[str, Any]) -> dict[str, Any]:
    """The claims of a webhook's signature, if it holds under the key set."""
    (key,) = keys["keys"]
    numbers = [
        int.from_bytes(base64.urlsafe_b64decode(key[n] + "=="), "big") for n in "en"
    ]
    public = rsa.RSAPublicNumbers(*numbers).public_key()
    _, claims, signature = (
        base64.urlsafe_b64decode(part + "==") for part in token.split(".")
    )
    message = token.rpartition(".")[0].encode()
    public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    found: dict[str, Any] = json.loads(claims)
    return found


@pytest.mark.parametrize(
    ("model", "event"), [(VEO, "video.generated"), (OMNI, "interaction.completed")]
)
def test_webhook_of_a_request_names_its_job(sandbox, send, model, event):
    with receiving() as (url, heard):
        submitted = send.submit(a_video(model, callback_url=url))
        callback = next_callback(heard)
    told = gemini.receive(callback, model)
    assert submitted.remote is not None
    assert (told.ids, told.remote) == ((submitted.remote.id,), submitted.remote)
    body = json.loads(callback.body)
    assert body["type"] == event
    assert body["user_metadata"] == {"task_id": a_request().task_id}
    answer = requests.get(f"{sandbox.url}/gemini/.well-known/jwks.json", timeout=10)
    claims = jwt_claims(callback.headers["webhook-signature"], answer.json())
    assert claims["aud"] == url
    with receiving() as (url, heard):
        send.submit(a_video(model, prompt="x [webhook forged]", callback_url=url))
        forged = next_callback(heard)
    with pytest.raises(InvalidSignature):
        jwt_claims(forged.headers["webhook-signature"], answer.json())


# Documented exchanges that no current SDK sends


def call(sandbox: Sandbox, path: str, body: Any = None, **headers: str) -> Any:
    """One exchange with the Gemini API's key; status and JSON."""
    sent = {"x-goog-api-key": "AIza-1"} | {
        name.replace("_", "-"): text for name, text in headers.items() if text
    }
    if headers.get("x_goog_api_key") == "":
        del sent["x-goog-api-key"]
    method = "GET" if body is None else "POST"
    url = f"{sandbox.url}/gemini/v1beta/{path}"
    answer = requests.request(method, url, json=body, headers=sent, timeout=10)
    return answer.status_code, answer.json()


def veo_body(instance: Any = None, **parameters: Any) -> Any:
    return {
        "instances": [{"prompt": "x", **(instance or {})}],
        "parameters": parameters,
    }


ENCODED = base64.b64encode(a_picture()).decode()
FRAME = {"bytesBase64Encoded": ENCODED, "mimeType": "image/png"}
LITE = "veo-3.1-lite-generate-preview"


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (f"models/{VEO}:predictLongRunning", veo_body(durationSeconds="6"), "duration"),
        (f"models/{VEO}:predictLongRunning", veo_body(durationSeconds=5), "duration"),
        (f"models/{VEO}:predictLongRunning", veo_body(aspectRatio="1:1"), "aspect"),
        (f"models/{VEO}:predictLongRunning", veo_body(resolution="720P"), "resolution"),
        (f"models/{LITE}:predictLongRunning", veo_body(resolution="4k"), "resolution"),
        (f"models/{VEO}:predictLongRunning", veo_body(sampleCount=2), "sampleCount"),
        (f"models/{VEO}:predictLongRunning", veo_body(storageUri="gs://x"), "storage"),
        (
            f"models/{VEO}:predictLongRunning",
            veo_body({"image": {"inlineData": {"data": ENCODED}}}),
            "inlineData",
        ),
        (
            f"models/{VEO}:predictLongRunning",
            veo_body({"image": {**FRAME, "bytesBase64Encoded": "https://x/a.png"}}),
            "image",
        ),
        (f"models/{VEO}:predictLongRunning", veo_body({"lastFrame": FRAME}), "image"),
        (
            f"models/{VEO}:predictLongRunning",
            veo_body({"video": {"uri": "https://x/a.mp4"}}),
            "video",
        ),
        (f"models/{VEO}:predictLongRunning", {"instances": [{}]}, "prompt"),
        (f"models/{VEO}:predictLongRunning", {"prompt": "x"}, "prompt"),
        (f"models/{IMAGEN}:predict", veo_body(sampleCount=5), "sampleCount"),
        (f"models/{IMAGEN}:predict", veo_body(seed=7), "seed"),
        (f"models/{IMAGEN}:predict", veo_body(aspectRatio="21:9"), "aspect"),
        (
            "models/imagen-4.0-fast-generate-001:predict",
            veo_body(sampleImageSize="2K"),
            "sampleImageSize",
        ),
        ("interactions", {"model": OMNI}, "input"),
        ("interactions", {"model": OMNI, "input": "x", "inputs": 1}, "inputs"),
        (
            "interactions",
            {"model": OMNI, "input": "x", "webhook_config": {"uris": ["http://x"]}},
            "background",
        ),
    ],
)
def test_request_that_does_not_fit_is_refused_and_not_paid(sandbox, path, body, named):
    status, answer = call(sandbox, path, body)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert named in answer["error"]["message"]
    assert not sandbox.ledger.submits("gemini")


def test_either_spelling_of_names_is_taken(sandbox):
    instance = {
        "prompt": "x",
        "reference_images": [{"image": FRAME, "reference_type": "ASSET"}],
    }
    body = {"instances": [instance], "parameters": {"duration_seconds": 8}}
    status, answer = call(sandbox, f"models/{VEO}:predictLongRunning", body)
    assert status == 200
    assert answer["name"].startswith(f"models/{VEO}/operations/")
    contents = [{"parts": [{"text": "x"}]}]
    config = {"imageConfig": {"aspect_ratio": "4:5"}}
    body = {"contents": contents, "generation_config": config}
    assert call(sandbox, f"models/{PAINTER}:generateContent", body)[0] == 200


@pytest.mark.parametrize(
    ("headers", "query", "status", "word"),
    [
        ({"x_goog_api_key": ""}, "", 403, "PERMISSION_DENIED"),
        ({"x_goog_api_key": "bad-key"}, "", 400, "INVALID_ARGUMENT"),
        ({"Authorization": "Bearer x"}, "", 400, "INVALID_ARGUMENT"),
        ({}, "?key=AIza-2", 400, "INVALID_ARGUMENT"),
        ({"x_goog_api_key": ""}, "?key=AIza-2", 200, None),
    ],
)
def test_key_is_in_one_place_and_alone(sandbox, headers, query, status, word):
    found, answer = call(sandbox, f"models{query}", **headers)
    assert found == status
    assert answer.get("error", {}).get("status") == word


def test_imagen_tells_attributes_of_the_prompt_among_its_images(sandbox):
    body = veo_body(sampleCount=1, includeSafetyAttributes=True)
    _, answer = call(sandbox, f"models/{IMAGEN}:predict", body)
    image, attributes = answer["predictions"]
    assert image["mimeType"] == "image/png"
    assert attributes["contentType"] == "Positive Prompt"


def test_signed_link_of_a_file_has_to_stay_as_it_is(sandbox, send):
    (video,) = run(send, a_video()).artifacts
    assert video.url is not None
    url = sandbox.url + "/gemini/v1beta" + video.url
    first = requests.get(
        url, headers={"x-goog-api-key": "k"}, allow_redirects=False, timeout=10
    )
    link = first.headers["location"]
    assert "%3D" in link
    assert requests.get(link, timeout=10).status_code == 200
    assert requests.get(link[:-1] + "E", timeout=10).status_code == 403
    assert requests.get(url, timeout=10).status_code == 403
    assert sandbox.ledger.calls("gemini", CallKind.MEDIA) == 1
