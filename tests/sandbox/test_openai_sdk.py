"""The official SDK (`openai`) against the simulated OpenAI, over a real socket."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import openai
import pytest
import requests
from PIL import Image

from sandbox.jobs import CallKind, parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.receiving import receiving

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SETTINGS = SandboxSettings(durations=parse_durations("fixed:0.05"))


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with running(settings=SETTINGS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.reset()
    return shared


def a_client(sandbox: Sandbox, key: str = "sk-sdk", **options: Any) -> openai.OpenAI:
    return openai.OpenAI(
        api_key=key,
        base_url=f"{sandbox.url}/openai/v1",
        **{"max_retries": 0, "timeout": 20, **options},
    )


@pytest.fixture
def client(sandbox: Sandbox) -> openai.OpenAI:
    return a_client(sandbox)


def until_over(client: openai.OpenAI, video_id: str) -> Any:
    """The video once it is over."""
    ends_at = time.monotonic() + 10
    while (video := client.videos.retrieve(video_id)).status not in {
        "completed",
        "failed",
    }:
        assert time.monotonic() < ends_at
        time.sleep(0.02)
    return video


def decoded(encoded: str | None) -> Image.Image:
    assert encoded is not None
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    image.load()
    return image


# Images


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_generated_images_can_be_decoded_in_each_format(client, output_format):
    answer = client.images.generate(
        model="gpt-image-2",
        prompt="a copper kettle",
        n=2,
        size="1536x864",
        output_format=output_format,
    )
    images = [decoded(item.b64_json) for item in answer.data or []]
    assert [image.size for image in images] == [(1536, 864)] * 2
    assert {(image.format or "").lower() for image in images} == {output_format}
    assert answer.output_format == output_format
    assert answer.size == "1536x864"
    assert answer.usage is not None


def test_svg_and_gif_come_from_the_newer_models(client):
    svg = client.images.generate(
        model="gpt-image-2.5-flare", prompt="a <fox>", output_format="svg"
    )
    assert svg.data is not None
    text = base64.b64decode(svg.data[0].b64_json or "").decode()
    assert text.startswith("<svg")
    assert "a &lt;fox&gt;" in text
    gif = client.images.generate(
        model="gpt-image-2.5-flare",
        prompt="a fox",
        output_format="gif",
        extra_body={"frame_count": 3},
    )
    assert gif.data is not None
    assert decoded(gif.data[0].b64_json).format == "GIF"


def test_dall_e_answers_a_link_that_can_be_fetched_without_a_key(client):
    answer = client.images.generate(
        model="dall-e-3", prompt="a fox", size="1792x1024", response_format="url"
    )
    assert answer.data is not None
    (item,) = answer.data
    assert item.revised_prompt == "a fox"
    assert item.url is not None

    reply = requests.get(item.url, timeout=10)
    assert Image.open(io.BytesIO(reply.content)).size == (1792, 1024)


def test_one_file_and_several_files_are_edited(client):
    file = ("a.png", make_image("in", 512, 512), "image/png")
    for image in (file, [file, file]):
        answer = client.images.edit(
            model="gpt-image-1.5", image=image, prompt="add snow", n=2
        )
        assert len(answer.data or []) == 2


def test_a_mask_must_have_the_size_of_its_image(client):
    image = ("a.png", make_image("in", 512, 512), "image/png")
    client.images.edit(model="gpt-image-2", image=image, mask=image, prompt="add snow")
    small = ("m.png", make_image("in", 256, 256), "image/png")
    with pytest.raises(openai.BadRequestError, match="size of the image") as caught:
        client.images.edit(
            model="gpt-image-2", image=image, mask=small, prompt="add snow"
        )
    assert caught.value.param == "mask"


def test_an_edit_in_json_takes_urls_and_data_urls(client):
    encoded = base64.b64encode(make_image("in", 128, 128)).decode()
    body = {
        "model": "gpt-image-2",
        "prompt": "add snow",
        "images": [
            {"image_url": "https://img.example.org/a.png"},
            {"image_url": f"data:image/png;base64,{encoded}"},
            {"file_id": "file-1"},
        ],
    }
    answer: Any = client.post("/images/edits", body=body, cast_to=object)
    assert decoded(answer["data"][0]["b64_json"]).size == (1024, 1024)


def test_a_file_that_is_no_image_is_refused(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(
            model="gpt-image-2",
            image=("a.png", b"not an image", "image/png"),
            prompt="add snow",
        )
    assert caught.value.param == "image"


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"response_format": "b64_json"}, "unknown_parameter", "response_format"),
        ({"style": "vivid"}, "unknown_parameter", "style"),
        ({"extra_body": {"seed": 1}}, "unknown_parameter", "seed"),
        ({"n": 11}, "invalid_value", "n"),
        ({"n": 0}, "invalid_value", "n"),
        ({"size": "1000x1000"}, "invalid_value", "size"),
        ({"size": "3840x1024"}, "invalid_value", "size"),
        ({"size": "4096x2160"}, "invalid_value", "size"),
        ({"size": "big"}, "invalid_value", "size"),
        ({"quality": "max"}, "invalid_value", "quality"),
        ({"output_format": "jpg"}, "invalid_value", "output_format"),
        ({"output_compression": 50}, "invalid_value", "output_compression"),
        (
            {"background": "transparent", "output_format": "jpeg"},
            "invalid_value",
            "background",
        ),
        ({"prompt": ""}, "invalid_value", "prompt"),
        ({"prompt": "x" * 32_001}, "invalid_value", "prompt"),
        ({"extra_body": {"n": "2"}}, "invalid_value", "n"),
    ],
)
def test_a_wrong_image_parameter_is_refused_by_name(client, fields, code, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(**{"model": "gpt-image-2", "prompt": "a fox", **fields})
    assert (caught.value.code, caught.value.param) == (code, param)


def test_models_with_fixed_sizes_refuse_others(client):
    with pytest.raises(openai.BadRequestError, match="1536x1024"):
        client.images.generate(model="gpt-image-1.5", prompt="a", size="1536x864")


# Videos


def test_a_video_is_created_awaited_and_downloaded(client):
    video = client.videos.create(
        model="sora-2-pro", prompt="fog over a terrace", seconds="8", size="1280x720"
    )
    assert video.status == "queued"
    assert video.object == "video"
    done = until_over(client, video.id)
    assert (done.status, done.progress) == ("completed", 100)
    assert (done.seconds, done.size, done.error) == ("8", "1280x720", None)
    assert done.completed_at is not None
    assert done.expires_at == done.completed_at + 3600
    with av.open(io.BytesIO(client.videos.download_content(video.id).read())) as film:
        stream = film.streams.video[0]
        assert stream.width * 720 == stream.height * 1280
        assert film.duration == pytest.approx(8 * av.time_base, rel=0.1)
        assert next(film.decode(video=0)) is not None


def test_create_and_poll_ends_with_the_video(client):
    video = client.videos.create_and_poll(model="sora-2", prompt="a fox [slow 300ms]")
    assert video.status == "completed"


def test_a_poll_hint_comes_while_the_video_is_under_way(client):
    video = client.videos.create(prompt="a fox [stuck]")
    reply = client.videos.with_raw_response.retrieve(video.id)
    assert int(reply.headers["openai-poll-after-ms"]) > 0


@pytest.mark.parametrize(
    ("variant", "image_format"), [("thumbnail", "WEBP"), ("spritesheet", "JPEG")]
)
def test_previews_of_a_video_are_images(client, variant, image_format):
    video = until_over(client, client.videos.create(prompt="a fox").id)
    data = client.videos.download_content(video.id, variant=variant).read()
    assert Image.open(io.BytesIO(data)).format == image_format


def test_content_is_not_there_before_the_end_nor_after_its_time(client):
    running_ = client.videos.create(prompt="a fox [stuck]")
    with pytest.raises(openai.NotFoundError):
        client.videos.download_content(running_.id)
    expired = until_over(client, client.videos.create(prompt="a fox [expire]").id)
    with pytest.raises(openai.NotFoundError, match="expired"):
        client.videos.download_content(expired.id)


@pytest.mark.parametrize(
    ("tag", "code"), [("[fail]", "server_error"), ("[blocked]", "moderation_blocked")]
)
def test_a_video_that_failed_says_why(client, tag, code):
    video = until_over(client, client.videos.create(prompt=f"a fox {tag}").id)
    assert video.status == "failed"
    assert video.error is not None
    assert video.error.code == code
    assert video.progress < 100


def test_a_reference_image_must_have_the_size_of_the_video(client):
    fitting = ("ref.png", make_image("ref", 720, 1280), "image/png")
    client.videos.create(prompt="a fox", input_reference=fitting)
    with pytest.raises(openai.BadRequestError, match="width and height") as caught:
        client.videos.create(prompt="a fox", size="1280x720", input_reference=fitting)
    assert caught.value.param == "input_reference"


def test_a_video_in_json_takes_a_reference_object(client):
    reference = {"image_url": "https://img.example.org/a.png"}
    body = {"model": "sora-2", "prompt": "a fox", "input_reference": reference}
    answer: Any = client.post("/videos", body=body, cast_to=object)
    assert answer["object"] == "video"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seconds": 8}, "seconds"),
        ({"seconds": "5"}, "seconds"),
        ({"size": "1792x1024"}, "size"),
        ({"size": "640x480"}, "size"),
        ({"prompt": ""}, "prompt"),
        ({"n": 2}, "n"),
        ({"input_reference": "https://img.example.org/a.png"}, "input_reference"),
        ({"input_reference": {}}, "input_reference"),
    ],
)
def test_a_wrong_video_parameter_is_refused_by_name(client, fields, param):
    body = {"model": "sora-2", "prompt": "a fox", **fields}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/videos", body=body, cast_to=object)
    assert caught.value.param == param


def test_videos_are_listed_page_by_page_for_their_own_key(sandbox, client):
    made = [client.videos.create(prompt=f"fox {number}").id for number in range(5)]
    a_client(sandbox, "sk-other").videos.create(prompt="not mine")
    page = client.videos.list(limit=2)
    assert [video.id for video in page.data] == [made[4], made[3]]
    assert page.has_more
    assert [video.id for video in client.videos.list(limit=2)] == made[::-1]
    oldest_first = client.videos.list(order="asc", after=made[2])
    assert [video.id for video in oldest_first.data] == made[3:]


def test_a_video_is_deleted_once_it_is_over(client):
    under_way = client.videos.create(prompt="a fox [stuck]")
    with pytest.raises(openai.BadRequestError):
        client.videos.delete(under_way.id)
    video = until_over(client, client.videos.create(prompt="a fox").id)
    assert client.videos.delete(video.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(video.id)


def test_remix_edit_and_extension_start_from_a_completed_video(client):
    first = until_over(client, client.videos.create(prompt="a fox", seconds="8").id)
    remixed = client.videos.remix(first.id, prompt="at night")
    assert remixed.remixed_from_video_id == first.id
    # The SDK takes only files for `video`, although its types allow an id.
    source = {"video": {"id": first.id}}
    edited: Any = client.post(
        "/videos/edits", body={"prompt": "in rain", **source}, cast_to=object
    )
    assert edited["seconds"] == "8"
    extended: Any = client.post(
        "/videos/extensions",
        body={"prompt": "it runs", "seconds": "4", **source},
        cast_to=object,
    )
    assert extended["seconds"] == "12"
    uploaded = client.videos.edit(prompt="in rain", video=("a.mp4", b"film"))
    assert uploaded.status == "queued"
    with pytest.raises(openai.NotFoundError):
        client.videos.remix("video_none", prompt="at night")
    late = client.videos.create(prompt="a fox [stuck]")
    with pytest.raises(openai.BadRequestError, match="not completed"):
        client.videos.remix(late.id, prompt="at night")


def test_a_character_is_made_from_a_film(client):
    made = client.videos.create_character(name="Rena", video=("r.mp4", b"film"))
    assert made.id is not None
    assert client.videos.get_character(made.id).name == "Rena"


def test_an_image_is_no_video(sandbox, client):
    client.images.generate(model="gpt-image-2", prompt="a fox")
    (paid,) = sandbox.ledger.submits("openai")
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(paid.job_id)


# Speech


@pytest.mark.parametrize("container", ["mp3", "opus", "aac", "flac", "wav"])
def test_speech_can_be_decoded_in_each_container(client, container):
    data = client.audio.speech.create(
        model="gpt-4o-mini-tts",
        input="platform four, mind the step",
        voice="cedar",
        response_format=container,
        speed=1.25,
        instructions="calmly",
    ).read()
    with av.open(io.BytesIO(data)) as sound:
        assert next(sound.decode(audio=0)).samples > 0


def test_pcm_is_24_khz_without_a_header(client):
    text = "x" * 150
    data = client.audio.speech.create(
        model="tts-1", input=text, voice="alloy", response_format="pcm"
    ).read()
    assert len(data) == 10 * 24_000 * 2


def test_speech_streams_to_a_file(client, tmp_path):
    target = tmp_path / "said.mp3"
    with client.audio.speech.with_streaming_response.create(
        model="tts-1-hd", input="mind the step", voice="nova"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        answer.stream_to_file(target)
    with av.open(str(target)) as sound:
        assert sound.streams.audio


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"voice": "nobody"}, "voice"),
        ({"voice": {"name": "x"}}, "id"),
        ({"response_format": "m4a"}, "response_format"),
        ({"speed": 5}, "speed"),
        ({"speed": 0.1}, "speed"),
        ({"input": ""}, "input"),
        ({"input": "x" * 4097}, "input"),
        ({"language": "en"}, "language"),
    ],
)
def test_a_wrong_speech_parameter_is_refused_by_name(client, fields, param):
    body = {"model": "tts-1", "input": "hello", "voice": "alloy", **fields}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/audio/speech", body=body, cast_to=object)
    assert caught.value.param == param


# Errors


@pytest.mark.parametrize(
    ("tag", "kind", "code"),
    [
        ("[400]", openai.BadRequestError, "invalid_value"),
        ("[401]", openai.AuthenticationError, "invalid_api_key"),
        (
            "[403]",
            openai.PermissionDeniedError,
            "unsupported_country_region_territory",
        ),
        ("[429]", openai.RateLimitError, "rate_limit_exceeded"),
        ("[quota]", openai.RateLimitError, "insufficient_quota"),
        ("[blocked]", openai.BadRequestError, "moderation_blocked"),
        ("[blocked late]", openai.BadRequestError, "moderation_blocked"),
        ("[fail]", openai.BadRequestError, None),
        ("[500]", openai.InternalServerError, "server_error"),
        ("[503 before]", openai.InternalServerError, None),
    ],
)
def test_each_error_is_the_sdks_own_exception(client, tag, kind, code):
    with pytest.raises(kind) as caught:
        client.images.generate(model="gpt-image-2", prompt=f"a fox {tag}")
    assert caught.value.code == code


def test_an_unknown_model_and_an_unknown_video_are_not_found(client):
    for call in (
        lambda: client.images.generate(model="gpt-image-9", prompt="a"),
        lambda: client.videos.create(model="sora-9", prompt="a"),
        lambda: client.audio.speech.create(model="tts-9", input="a", voice="alloy"),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            call()
        assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="video_none"):
        client.videos.retrieve("video_none")


def test_a_wrong_key_is_refused_everywhere(sandbox):
    client = a_client(sandbox, "bad-key")
    calls: list[Callable[[], object]] = [
        lambda: client.models.list(),
        lambda: client.images.generate(model="gpt-image-2", prompt="a"),
        lambda: client.images.edit(model="gpt-image-2", prompt="a", image=b"x"),
        lambda: client.videos.create(prompt="a"),
        lambda: client.videos.remix("video_x", prompt="a"),
        lambda: client.videos.retrieve("video_x"),
        lambda: client.videos.list(),
        lambda: client.videos.delete("video_x"),
        lambda: client.videos.download_content("video_x"),
        lambda: client.audio.speech.create(model="tts-1", input="a", voice="alloy"),
        lambda: client.webhooks.list(),
    ]
    for call in calls:
        with pytest.raises(openai.AuthenticationError) as caught:
            call()
        assert caught.value.code == "invalid_api_key"
    assert sandbox.ledger.submits("openai") == []


@pytest.mark.parametrize("header", [None, "sk-x", "Basic sk-x", "Bearer "])
def test_a_key_that_is_missing_or_malformed_is_refused(sandbox, header):
    headers = {} if header is None else {"Authorization": header}
    reply = requests.get(f"{sandbox.url}/openai/v1/videos", headers=headers, timeout=10)
    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "invalid_api_key"


def test_an_account_without_credit_pays_nothing(sandbox):
    with pytest.raises(openai.RateLimitError) as caught:
        a_client(sandbox, "quota-key").videos.create(prompt="a fox")
    assert caught.value.code == "insufficient_quota"
    assert sandbox.ledger.submits("openai") == []


def test_the_sdks_retries_obey_the_wait_and_pay_once(sandbox):
    client = a_client(sandbox, max_retries=3)
    client.images.generate(model="gpt-image-2", prompt="a fox [429 twice]")
    assert len(sandbox.ledger.submits("openai")) == 1
    assert sandbox.ledger.calls("openai", CallKind.SUBMIT) == 3


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": 7}', b""])
@pytest.mark.parametrize(
    "path", ["/images/generations", "/images/edits", "/videos", "/audio/speech"]
)
def test_a_broken_body_is_a_400_and_never_a_500(sandbox, path, body):

    reply = requests.post(
        f"{sandbox.url}/openai/v1{path}",
        data=body,
        headers={"Authorization": "Bearer sk-x", "Content-Type": "application/json"},
        timeout=10,
    )
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


def test_models_are_listed_and_one_is_shown(client):
    names = [model.id for model in client.models.list()]
    assert {"gpt-image-2", "sora-2", "tts-1"} <= set(names)
    assert client.models.retrieve("sora-2").id == "sora-2"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("sora-9")


# Webhooks


@pytest.mark.parametrize(
    ("prompt", "event"),
    [("a fox", "video.completed"), ("a fox [fail]", "video.failed")],
)
def test_the_end_of_a_video_is_told_to_the_projects_endpoint(sandbox, prompt, event):
    client = a_client(sandbox, f"sk-hooks-{event}")
    with receiving() as (url, heard):
        endpoint = client.webhooks.create(
            name="gateway", url=url, event_types=["video.completed", "video.failed"]
        )
        video = client.videos.create(prompt=prompt)
        headers, body = heard.get(timeout=10)
        told: Any = a_client(
            sandbox, webhook_secret=endpoint.signing_secret
        ).webhooks.unwrap(body, headers)
        assert (told.type, told.data.id) == (event, video.id)
        assert client.webhooks.delete(endpoint.id).deleted


def test_a_forged_webhook_does_not_verify(sandbox):
    client = a_client(sandbox, "sk-forged")
    with receiving() as (url, heard):
        endpoint = client.webhooks.create(
            name="gateway", url=url, event_types=["video.completed"]
        )
        client.videos.create(prompt="a fox [webhook forged]")
        headers, body = heard.get(timeout=10)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.unwrap(body, headers, secret=endpoint.signing_secret)
        client.webhooks.delete(endpoint.id)


def test_endpoints_are_kept_per_project(sandbox):
    mine, others = a_client(sandbox, "sk-mine"), a_client(sandbox, "sk-others")
    endpoint = mine.webhooks.create(
        name="a", url="http://127.0.0.1:9/", event_types=["video.failed"]
    )
    renamed = mine.webhooks.update(endpoint.id, name="b")
    assert (renamed.name, renamed.url) == ("b", endpoint.url)
    assert [each.name for each in mine.webhooks.list().data] == ["b"]
    assert others.webhooks.list().data == []
    with pytest.raises(openai.NotFoundError):
        others.webhooks.retrieve(endpoint.id)
    mine.webhooks.delete(endpoint.id)
    with pytest.raises(openai.NotFoundError):
        mine.webhooks.retrieve(endpoint.id)
