"""Google Vertex AI: the Gemini dialects in a cloud project."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from providers import errors, vertex
from providers.dialects import google_tokens
from providers.flow import Call
from providers.types import Credentials, MediaType, Phase, Reason, Remote
from tests.builders import a_request
from tests.fakes import answer, calls_of, play, recorded

NOW = 1_800_000_123.4
MODEL = "veo-3.1-generate-001"
PLACE = "projects/harbour-7/locations/us-central1/publishers/google/models"
OPERATION = Remote(f"{PLACE}/{MODEL}/operations/5b1f0c1e-4a6d-4a35-9b1e-0d7c9a2f6e11")
HOST = "https://aiplatform.googleapis.com/v1"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def a_key_file(key: rsa.RSAPrivateKey, form: str = "PKCS8") -> str:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        getattr(serialization.PrivateFormat, form),
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "harbour-7",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": "relay@harbour-7.iam.example",
        }
    )


def authorized(
    url: str, secret: str = "harbour-7:ya29.x", method: str = "POST", **settings: str
) -> Call:
    return vertex.authorize(Call(method, url), Credentials(secret, settings, NOW))


def claims_of(token: str, key: rsa.RSAPrivateKey) -> tuple[Any, Any]:
    """Header and claims of a JWT whose signature holds."""
    message, _, signature = token.rpartition(".")
    key.public_key().verify(
        decoded(signature), message.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    header, claims = (json.loads(decoded(part)) for part in message.split("."))
    return header, claims


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def a_video(**fields: Any) -> Any:
    return a_request(**{"model": MODEL, "media_type": MediaType.VIDEO, **fields})


def sent(request: Any) -> Call:
    """The one call of a submit without inputs, which is the paid one."""
    call = next(vertex.submit(request))
    assert call.paid
    return call


# Where a call goes, and with what


@pytest.mark.parametrize(
    ("url", "settings", "place"),
    [
        # below the base URL, as flows write it
        (
            "/publishers/google/models/veo:predictLongRunning",
            {},
            (
                "/projects/harbour-7/locations/us-central1"
                "/publishers/google/models/veo:predictLongRunning"
            ),
        ),
        (
            "/publishers/google/models/gemini:generateContent",
            {},
            (
                "/projects/harbour-7/locations/global"
                "/publishers/google/models/gemini:generateContent"
            ),
        ),
        (
            "/interactions/v1_a",
            {"location": "us-central1"},
            "/projects/harbour-7/locations/global/interactions/v1_a",
        ),
        # whole, as the engine has it
        (
            f"{HOST}/publishers/google/models/m:predict",
            {"location": "europe-west4", "project": "quay-2"},
            (
                "https://europe-west4-aiplatform.googleapis.com/v1/projects/quay-2"
                "/locations/europe-west4/publishers/google/models/m:predict"
            ),
        ),
        (
            f"{HOST}/publishers/google/models/m:predict",
            {"location": "eu"},
            (
                "https://aiplatform.eu.rep.googleapis.com/v1/projects/harbour-7"
                "/locations/eu/publishers/google/models/m:predict"
            ),
        ),
        (
            f"{HOST}/publishers/google/models/m:predict",
            {"location": "global"},
            (
                f"{HOST}/projects/harbour-7/locations/global"
                "/publishers/google/models/m:predict"
            ),
        ),
        (
            f"{HOST}/interactions",
            {},
            f"{HOST}/projects/harbour-7/locations/global/interactions",
        ),
        # a base URL of the channel's own tells the place, or stays as it is
        (
            (
                "https://asia-east1-aiplatform.googleapis.com/v1"
                "/publishers/google/models/m:predict"
            ),
            {},
            (
                "https://asia-east1-aiplatform.googleapis.com/v1/projects/harbour-7"
                "/locations/asia-east1/publishers/google/models/m:predict"
            ),
        ),
        (
            (
                "https://aiplatform.us.rep.googleapis.com/v1"
                "/publishers/google/models/m:generateContent"
            ),
            {},
            (
                "https://aiplatform.us.rep.googleapis.com/v1/projects/harbour-7"
                "/locations/us/publishers/google/models/m:generateContent"
            ),
        ),
        (
            "http://127.0.0.1:9/vertex/v1/publishers/google/models/m:predict",
            {"location": "eu"},
            (
                "http://127.0.0.1:9/vertex/v1/projects/harbour-7/locations/eu"
                "/publishers/google/models/m:predict"
            ),
        ),
        # an operation's name tells its own place
        (
            f"{HOST}/{PLACE}/m:fetchPredictOperation",
            {"location": "eu", "project": "quay-2"},
            (
                "https://us-central1-aiplatform.googleapis.com/v1"
                f"/{PLACE}/m:fetchPredictOperation"
            ),
        ),
    ],
)
def test_project_and_location_are_written_into_the_path(url, settings, place):
    assert authorized(url, **settings).url == place


def test_what_a_model_is_is_read_without_a_project():
    path = "/publishers/google/models/veo"
    assert authorized(path, method="GET").url == path


def test_cloud_storage_gets_the_same_token_and_no_project():
    url = "https://storage.googleapis.com/storage/v1/b/a/o/interactions%2F0?alt=media"
    call = authorized(url, method="GET", location="eu")
    assert call.url == url
    assert call.headers == {"Authorization": "Bearer ya29.x"}
    assert "storage.googleapis.com" in vertex.PROVIDER.hosts


@pytest.mark.parametrize(
    ("secret", "settings", "setting"),
    [
        ("ya29.x", {}, "project"),
        ("a/b:ya29.x", {}, "project"),
        ("harbour-7:ya29.x", {"location": "eu/x"}, "location"),
    ],
)
def test_channel_without_its_place_is_refused_before_anything_is_sent(
    secret, settings, setting
):
    with pytest.raises(errors.ChannelRefused, match=setting):
        authorized("/publishers/google/models/m:predict", secret, **settings)


def test_quota_can_be_billed_to_another_project():
    call = authorized("/interactions", user_project="quay-2")
    assert call.headers["x-goog-user-project"] == "quay-2"


@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
def test_service_account_signs_its_own_token(key, form):
    call = authorized("/interactions", a_key_file(key, form))
    assert call.url == "/projects/harbour-7/locations/global/interactions"
    scheme, _, token = call.headers["Authorization"].partition(" ")
    header, claims = claims_of(token, key)
    assert scheme == "Bearer"
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert claims == {
        "iss": "relay@harbour-7.iam.example",
        "sub": "relay@harbour-7.iam.example",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "iat": 1_800_000_000,
        "exp": 1_800_003_600,
    }


def test_token_is_signed_once_in_ten_minutes(key):
    account = google_tokens.read_account(a_key_file(key))
    first = google_tokens.bearer_token(account, NOW)
    assert google_tokens.bearer_token(account, NOW + 400) is first
    assert google_tokens.bearer_token(account, NOW + 600) != first


@pytest.mark.parametrize(
    "change",
    [
        {"private_key": "x"},
        {"private_key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"},
        {"private_key": 7},
        {"client_email": None},
    ],
)
def test_broken_key_file_is_a_refused_key_and_is_not_quoted(key, change):
    told = {**json.loads(a_key_file(key)), **change}
    if told["client_email"] is None:
        del told["client_email"]
    with pytest.raises(errors.KeyRefused) as caught:
        authorized("/interactions", json.dumps(told))
    assert "key file" in str(caught.value)
    assert "BEGIN" not in str(caught.value)


def test_key_does_not_show_in_a_log(key):
    account = google_tokens.read_account(a_key_file(key))
    assert str(account.key.p) not in repr(account)


# Flows


def test_video_has_more_parameters_and_no_webhook():
    call = sent(
        a_video(
            n=4,
            seed=7,
            callback_url="https://gateway.example.com/x",
            video_url="gs://harbour-out/a.mp4",
            metadata={"generateAudio": False, "storageUri": "gs://harbour-out"},
        )
    )
    assert call.url == f"/publishers/google/models/{MODEL}:predictLongRunning"
    assert call.json == {
        "instances": [
            {
                "prompt": "a lighthouse made of paper, dawn",
                "video": {"gcsUri": "gs://harbour-out/a.mp4", "mimeType": "video/mp4"},
            }
        ],
        "parameters": {
            "sampleCount": 4,
            "seed": 7,
            "generateAudio": False,
            "storageUri": "gs://harbour-out",
        },
    }


def test_video_that_is_not_in_cloud_storage_is_refused():
    with pytest.raises(errors.Rejected, match="gs://"):
        play(vertex.submit(a_video(video_url="https://cdn.example.com/a.mp4")))


def test_image_may_have_a_seed_and_a_negative_prompt():
    request = a_request(model="imagen-4.0-generate-001", seed=7, negative_prompt="text")
    assert sent(request).json["parameters"] == {
        "sampleCount": 1,
        "includeRaiReason": True,
        "seed": 7,
        "negativePrompt": "text",
        "addWatermark": False,
    }


def test_omni_answers_inline_as_no_bucket_is_known():
    body = sent(a_video(model="gemini-omni-1.1-flash", callback_url="https://g/x")).json
    assert body["response_format"]["delivery"] == "inline"
    assert "webhook_config" not in body


def test_operation_is_looked_at_by_a_post_to_its_model():
    (call,) = calls_of(vertex.poll(OPERATION), recorded("vertex/operation"))
    assert (call.method, call.url) == (
        "POST",
        f"/{PLACE}/{MODEL}:fetchPredictOperation",
    )
    assert call.json == {"operationName": OPERATION.id}
    assert not call.paid


def test_operation_of_nobody_is_not_asked_for():
    with pytest.raises(errors.UnexpectedReply):
        play(vertex.poll(Remote("projects/a/operations/b")))


@pytest.mark.parametrize(
    ("reply", "phase", "reason"),
    [
        ("operation", Phase.RUNNING, None),
        ("operation_done", Phase.SUCCEEDED, None),
        ("operation_done_inline", Phase.SUCCEEDED, None),
        ("operation_filtered", Phase.FAILED, Reason.CONTENT_REJECTED),
        ("operation_error", Phase.FAILED, Reason.UPSTREAM_FAILED),
    ],
)
def test_operation_is_read_as_on_the_gemini_api(reply, phase, reason):
    snapshot = play(vertex.poll(OPERATION), recorded(f"vertex/{reply}"))
    assert snapshot.phase is phase
    assert (snapshot.failure.reason if snapshot.failure else None) is reason


def test_file_in_a_bucket_is_fetched_from_cloud_storage_with_the_token():
    reply = recorded("vertex/operation_done")
    (video,) = play(vertex.poll(OPERATION), reply).artifacts
    assert video.url == (
        "https://storage.googleapis.com/storage/v1/b/harbour-out/o"
        "/a%20b%2Fsample_0.mp4?alt=media"
    )
    assert (video.protected, video.content_type) == (True, "video/mp4")
    request = a_request(model="imagen-4.0-generate-001")
    images = play(vertex.submit(request), recorded("vertex/images_in_bucket")).artifacts
    assert images[0].protected
    assert images[0].url is not None
    assert "/b/harbour-out/o/img%2F0.png?" in images[0].url


def test_interaction_is_looked_at_and_cancelled_below_its_project():
    remote = Remote("v1_TGlnaHQ4")
    reply = recorded("vertex/interaction_completed_inline")
    (call,) = calls_of(vertex.poll(remote), reply)
    assert (call.method, call.url) == ("GET", "/interactions/v1_TGlnaHQ4")
    assert vertex.PROVIDER.cancel is not None
    assert play(vertex.PROVIDER.cancel(OPERATION)) is False


@pytest.mark.parametrize("status", [200, 404])
def test_token_that_is_let_in_is_good(status):
    play(vertex.test(), answer({}, status=status))


def test_token_that_has_expired_is_refused():
    with pytest.raises(errors.KeyRefused):
        play(vertex.test(), recorded("vertex/error_token", status=401))
