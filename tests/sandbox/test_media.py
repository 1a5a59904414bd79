import base64
import io
import itertools
import struct
import time
from functools import partial

import av
import pytest
from PIL import ExifTags, Image

from sandbox.media import (
    AUDIO_CODECS,
    CONTENT_TYPES,
    IMAGE_FORMATS,
    MediaCache,
    NotAnImage,
    make_audio,
    make_image,
    make_video,
    read_image,
)

PROMPT = "a lighthouse at dawn 灯塔"


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def tags_of(data: bytes) -> dict[str, str]:
    with av.open(io.BytesIO(data), "r") as container:
        return {**container.metadata, **container.streams[0].metadata}


def seconds_of(data: bytes) -> float:
    """The length by decoding every sample, not by what the file claims."""
    with av.open(io.BytesIO(data), "r") as container:
        frames = list(container.decode(audio=0))
        return sum(frame.samples for frame in frames) / frames[0].sample_rate


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "webp", "gif"])
def test_image_has_the_format_and_the_size_asked_for(ending: str) -> None:
    image = opened(make_image(PROMPT, 320, 200, ending))
    image.load()
    assert image.format == IMAGE_FORMATS[ending]
    assert image.size == (320, 200)


def test_png_carries_the_prompt() -> None:
    image = opened(make_image(PROMPT, 64, 64, "png"))
    assert image.info["prompt"] == PROMPT


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_jpeg_and_webp_carry_the_prompt(ending: str) -> None:
    exif = opened(make_image(PROMPT, 64, 64, ending)).getexif()
    written = exif[ExifTags.Base.ImageDescription]
    assert written.encode("latin-1").decode() == PROMPT


def test_prompt_is_drawn_on_the_image() -> None:
    blank = opened(make_image("", 256, 256))
    written = opened(make_image("WWWW", 256, 256))
    white = (255, 255, 255)
    assert white not in [colour for _, colour in blank.getcolors(2**17) or []]
    assert white in [colour for _, colour in written.getcolors(2**17) or []]


def test_image_sides_are_clamped() -> None:
    assert opened(make_image(PROMPT, 1, 10**9)).size == (64, 4096)


def test_same_prompt_gives_the_same_image_and_variants_differ() -> None:
    first = make_image("same", 64, 64, "png", 0)
    assert first == make_image("same", 64, 64, "png", 0)
    assert first != make_image("same", 64, 64, "png", 1)
    assert first != make_image("other", 64, 64, "png", 0)


def test_very_long_prompt_fits_into_every_image_format() -> None:
    for ending in ("png", "jpg", "webp"):
        assert opened(make_image("塔" * 100_000, 64, 64, ending)).size == (64, 64)


def test_image_of_a_megapixel_takes_little_time() -> None:
    make_image("warm up the font", 1024, 1024)
    best_s = 9.0
    for number in range(5):
        begun = time.thread_time()
        make_image(f"lighthouse {number}", 1024, 1024)
        best_s = min(best_s, time.thread_time() - begun)
    assert best_s < 0.06


@pytest.mark.parametrize("ending", sorted(AUDIO_CODECS))
def test_sound_can_be_decoded_and_has_the_length_asked_for(ending: str) -> None:
    assert seconds_of(make_audio(PROMPT, 2.2, ending)) == pytest.approx(2.2, abs=0.1)


@pytest.mark.parametrize("ending", sorted(AUDIO_CODECS))
def test_sound_carries_its_text(ending: str) -> None:
    tags = tags_of(make_audio(PROMPT, 0.5, ending))
    assert (tags["title"], tags["comment"]) == (PROMPT, PROMPT)


def test_pcm_is_two_bytes_a_sample_without_any_header() -> None:
    assert len(make_audio(PROMPT, 1.5, "pcm")) == 1.5 * 24_000 * 2


def test_pcm_is_a_smooth_wave_in_little_endian() -> None:
    data = make_audio(PROMPT, 0.5, "pcm")
    samples = struct.unpack(f"<{len(data) // 2}h", data)
    steps = [abs(after - before) for before, after in itertools.pairwise(samples)]
    assert max(samples) > 5_000
    assert max(steps) < 3_000


def test_other_text_sounds_different() -> None:
    assert make_audio("one", 1, "pcm") != make_audio("two", 1, "pcm")


def test_film_plays_as_h264_with_the_shape_and_length_asked_for() -> None:
    data = make_video(PROMPT, 1280, 720, 2)
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        pictures = list(container.decode(video=0))
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (640, 360)
        assert container.duration == pytest.approx(2_000_000, abs=50_000)
    assert len(pictures) == 12


def test_film_moves() -> None:
    with av.open(io.BytesIO(make_video(PROMPT, 320, 180, 1)), "r") as container:
        first, *_, last = (bytes(f.planes[0]) for f in container.decode(video=0))
    assert first != last


def test_film_carries_its_prompt() -> None:
    assert tags_of(make_video(PROMPT, 64, 64, 0.5))["comment"] == PROMPT


def test_film_can_start_before_it_is_loaded_whole() -> None:
    data = make_video(PROMPT, 64, 64, 0.5)
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize("size", [(333, 77), (65, 4096), (1, 1)])
def test_film_of_an_odd_shape_can_be_made(size: tuple[int, int]) -> None:
    with av.open(io.BytesIO(make_video(PROMPT, *size, 0.5)), "r") as container:
        assert next(container.decode(video=0)).width % 2 == 0


def test_larger_film_is_made_when_asked() -> None:
    data = make_video(PROMPT, 1280, 720, 0.5, longest_px=1280)
    with av.open(io.BytesIO(data), "r") as container:
        assert container.streams.video[0].width == 1280


def test_every_format_has_a_content_type() -> None:
    assert {*IMAGE_FORMATS, *AUDIO_CODECS, "pcm", "mp4"} <= set(CONTENT_TYPES)


def test_cache_makes_a_file_once_while_it_fits() -> None:
    cache, made = MediaCache(most_bytes=10), []

    def make(size: int) -> bytes:
        made.append(size)
        return bytes(size)

    for key, size in (("a", 6), ("a", 6), ("b", 4), ("c", 5), ("b", 4), ("a", 6)):
        cache.get((key,), partial(make, size))
    assert made == [6, 4, 5, 6]


def test_file_larger_than_the_cache_is_not_kept() -> None:
    cache = MediaCache(most_bytes=10)
    cache.get(("small",), lambda: b"1234")
    assert cache.get(("large",), lambda: bytes(11)) == bytes(11)
    assert cache.get(("small",), lambda: b"made again") == b"1234"


def test_image_is_read_from_bytes_data_url_and_base64() -> None:
    data = make_image(PROMPT, 80, 64, "webp")
    encoded = base64.b64encode(data).decode()
    for given in (data, f"data:image/webp;base64,{encoded}", encoded):
        image = read_image(given)
        assert image is not None
        assert (image.image_format, image.width, image.height) == ("webp", 80, 64)
        assert image.data == data


def test_image_url_is_left_unread() -> None:
    assert read_image("https://cdn.example.com/a.png") is None


@pytest.mark.parametrize(
    "given",
    [
        "",
        b"",
        "not base64!",
        "aGVsbG8=",
        b"<html>",
        "data:image/png,abc",
        "data:image/png;base64,aGVsbG8=",
        make_image(PROMPT, 128, 128)[:400],
        "ftp://host/a.png",
        "灯塔",
    ],
)
def test_what_is_no_image_is_refused(given: bytes | str) -> None:
    with pytest.raises(NotAnImage):
        read_image(given)


def test_image_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    target = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(target, "PNG")
    with pytest.raises(NotAnImage, match="pixels"):
        read_image(target.getvalue())
