import io
import random
import struct
import warnings
import wave
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app import media, sounds
from app.media import BadMedia, ImageInfo, MediaInfo, check_image, probe, sniff
from app.storage import StorageError

MEGAPIXEL = 1_000_000


def an_image(image_format, size=(64, 48), mode="RGB", **options):
    noise = random.Random(1).randbytes(size[0] * size[1] * len(mode))
    file = io.BytesIO()
    Image.frombytes(mode, size, noise).save(file, image_format, **options)
    return file.getvalue()


def a_chunk(kind, body):
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def a_png_that_claims(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + a_chunk(b"IHDR", header)
        + a_chunk(b"IDAT", zlib.compress(b""))
        + a_chunk(b"IEND", b"")
    )


def a_webp_that_claims(width, height):
    frame = an_image("WEBP", (1, 1), lossless=True)[12:]
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP"
    for kind, content in (
        (b"VP8X", b"\x02\0\0\0" + sides),
        (b"ANIM", b"\0" * 6),
        (b"ANMF", b"\0" * 16 + frame),
    ):
        body += kind + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(body)) + body


def a_wav(seconds=2.0, rate=8000):
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", ""))
        sound.writeframes(bytes(2 * int(seconds * rate)))
    return file.getvalue()


def an_mp3(frames=100):
    """Frames of 417 bytes and 1152 samples: 128 kbit/s at 44.1 kHz."""
    return (b"\xff\xfb\x90\x64" + bytes(413)) * frames


def an_aac(frames=50):
    """ADTS frames of 1024 samples at 44.1 kHz."""
    length = 100
    header = (0xFFF << 44) | (1 << 40) | (1 << 38) | (4 << 34) | (1 << 30)
    header |= (length << 13) | (0x7FF << 2)
    return (header.to_bytes(7, "big") + bytes(length - 7)) * frames


def a_flac(samples=88_200, rate=44_100):
    packed = rate << 44 | 1 << 41 | 15 << 36 | samples
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big")
    return b"fLaC" + b"\x80\x00\x00\x22" + info + bytes(16)


def an_ogg(first_packet, second_packet, position):
    def page(packet, flags, number, position):
        lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
        header = struct.pack("<BBqIII", 0, flags, position, 7, number, 0)
        return b"OggS" + header + bytes([len(lacing)]) + lacing + packet

    return (
        page(first_packet, 2, 0, 0)
        + page(second_packet, 0, 1, 0)
        + page(bytes(300), 4, 2, position)
    )


def an_opus(seconds=3.0):
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)
    return an_ogg(head, tags, int(seconds * 48_000) + 312)


def a_vorbis(seconds=3.0):
    head = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 1, 44_100, 0, 64_000, 0, 0xB8, 1)
    tags = b"\x03vorbis" + struct.pack("<I", 0) + struct.pack("<I", 0) + b"\x01"
    return an_ogg(head, tags, int(seconds * 44_100))


def a_box(kind, *bodies):
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


UPRIGHT = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
TURNED = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)


def a_track(width, height, matrix=UPRIGHT, version=0):
    times = bytes(32 if version else 20)
    head = bytes([version, 0, 0, 7]) + times + bytes(16)
    sides = struct.pack(">II", width << 16, height << 16)
    return a_box(b"trak", a_box(b"tkhd", head, struct.pack(">9i", *matrix), sides))


def an_mvhd(duration=5_500, timescale=1_000, version=0):
    if version:
        times = bytes(16) + struct.pack(">IQ", timescale, duration)
    else:
        times = bytes(8) + struct.pack(">II", timescale, duration)
    return a_box(b"mvhd", bytes([version, 0, 0, 0]), times, bytes(80))


def an_mp4(*in_moov, brand=b"isom", before=b""):
    in_moov = in_moov or (an_mvhd(), a_track(0, 0), a_track(1280, 720))
    kind = a_box(b"ftyp", brand, bytes(4), brand)
    return kind + before + a_box(b"moov", *in_moov) + a_box(b"mdat", bytes(64))


IMAGES = {
    "image/png": an_image("PNG"),
    "image/jpeg": an_image("JPEG"),
    "image/webp": an_image("WEBP"),
    "image/gif": an_image("GIF"),
    "image/bmp": an_image("BMP"),
}
RESULTS = IMAGES | {
    "audio/wav": a_wav(),
    "audio/mpeg": an_mp3(),
    "audio/aac": an_aac(),
    "audio/flac": a_flac(),
    "audio/ogg": an_opus(),
    "video/mp4": an_mp4(),
    "video/quicktime": an_mp4(brand=b"qt  "),
    "audio/mp4": an_mp4(an_mvhd(), a_track(0, 0), brand=b"M4A "),
}


# The true type


@pytest.mark.parametrize("content_type", RESULTS)
def test_type_is_told_by_the_bytes(content_type):
    assert sniff(RESULTS[content_type][: media.SNIFF_BYTES]) == content_type


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"GIF87a\x01\x00", "image/gif"),
        (b"\xff\xd8\xff\xe1\x00\x10Exif", "image/jpeg"),
        (b"II*\x00\x08\x00\x00\x00", "image/tiff"),
        (b"MM\x00*\x00\x00\x00\x08", "image/tiff"),
        (a_box(b"ftyp", b"avif\0\0\0\0mif1miaf"), "image/avif"),
        (a_box(b"ftyp", b"mif1\0\0\0\0mif1avif"), "image/avif"),
        (a_box(b"ftyp", b"mif1\0\0\0\0mif1heic"), "image/heic"),
        (a_box(b"ftyp", b"heic\0\0\0\0mif1heic"), "image/heic"),
        (a_box(b"ftyp", b"qt  \0\0\0\0qt  "), "video/quicktime"),
        (a_box(b"ftyp", b"M4A \0\0\0\0isommp42"), "audio/mp4"),
        (a_box(b"ftyp", b"mp42\0\0\0\0isomM4A "), "video/mp4"),
        (a_box(b"ftyp", b"XAVC\0\0\0\0XAVCmp42"), "video/mp4"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x00", "audio/mpeg"),
        (b"\xff\xf3\x44\xc4", "audio/mpeg"),
        (b"\xff\xe3\x18\xc4", "audio/mpeg"),
        (b"\xff\xf9\x50\x80", "audio/aac"),
        (b"ADIF\x00", "audio/aac"),
        (a_vorbis()[:100], "audio/ogg"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "image/svg+xml"),
        (
            b"\xef\xbb\xbf\n<?xml version='1.0'?>\n<!-- a > b -->\n<svg>",
            "image/svg+xml",
        ),
        (
            b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "y"><svg>',
            "image/svg+xml",
        ),
    ],
)
def test_head_tells_the_type(head, content_type):
    assert sniff(head) == content_type


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x00",
        b"{}",
        b'{"error": "expired"}',
        b"plain text",
        b"<!DOCTYPE html><html><svg>",
        b"<html><body><svg></svg>",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        b"<svgx>",
        b"BM is how this text starts",
        b"RIFF\x00\x00\x00\x00AVI ",
        b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska",
        b"\xff\xfe<\x00h\x00",  # UTF-16
        b"\xff\xff\xff\xff",
        b"\xff\xfb",
        a_box(b"ftyp", b"crx \0\0\0\0crx "),
        b"\x00\x00\x00\x00ftyp",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"\x7fELF",
    ],
)
def test_what_is_no_media_has_no_type(head):
    assert sniff(head) is None


@given(
    st.binary(max_size=64)
    | st.binary().map(lambda tail: b"\x00\x00\x00\x20ftyp" + tail)
)
def test_sniffing_never_raises(head):
    assert sniff(head) in {None, *media.EXTENSIONS}


def test_sniffing_looks_at_the_head_only():
    assert sniff(b" " * media.SNIFF_BYTES + b"<svg>") is None


# Input images


@pytest.mark.parametrize("content_type", IMAGES)
def test_good_image_is_taken_with_its_size(content_type):
    file = io.BytesIO(IMAGES[content_type])
    assert check_image(file, MEGAPIXEL) == ImageInfo(content_type, 64, 48)
    assert file.tell() == 0


@pytest.mark.parametrize(
    ("image_format", "mode", "options"),
    [
        ("PNG", "RGBA", {}),
        ("PNG", "L", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("BMP", "L", {}),
        ("GIF", "L", {}),
    ],
)
def test_image_in_every_colour_mode_is_taken(image_format, mode, options):
    content = an_image(image_format, mode=mode, **options)
    assert check_image(io.BytesIO(content), MEGAPIXEL).width == 64


def test_photo_of_two_pictures_is_a_jpeg():
    second = Image.new("RGB", (32, 32))
    content = an_image("MPO", save_all=True, append_images=[second])
    assert check_image(io.BytesIO(content), MEGAPIXEL).content_type == "image/jpeg"


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_animation_is_taken(image_format):
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green")]
    file = io.BytesIO()
    frames[0].save(file, image_format, save_all=True, append_images=frames[1:])
    assert check_image(file, MEGAPIXEL).height == 48


def test_motion_photo_with_a_film_behind_it_is_taken():
    content = an_image("JPEG") + an_mp4()
    assert check_image(io.BytesIO(content), MEGAPIXEL).content_type == "image/jpeg"


def test_position_of_the_file_does_not_matter():
    file = io.BytesIO(IMAGES["image/png"])
    file.seek(30)
    assert check_image(file, MEGAPIXEL).width == 64


def test_image_of_exactly_the_limit_is_taken():
    assert check_image(io.BytesIO(IMAGES["image/png"]), 64 * 48).width == 64


@pytest.mark.parametrize("content_type", IMAGES)
def test_image_over_the_limit_is_refused_with_both_numbers(content_type):
    with pytest.raises(BadMedia, match="64 x 48 pixels; at most 3071 pixels"):
        check_image(io.BytesIO(IMAGES[content_type]), 64 * 48 - 1)


@pytest.mark.parametrize(
    ("claim", "side"),
    [
        (a_png_that_claims, 8_000),
        (a_png_that_claims, 10_000),
        (a_png_that_claims, 20_000),
        (a_png_that_claims, 2**31 - 1),
        (a_webp_that_claims, 10_000),
        (a_webp_that_claims, 16_383),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_small_file_of_giant_size_is_refused(claim, side):
    content = claim(side, side)
    assert len(content) < 1000
    with pytest.raises(BadMedia, match="pixels"):
        check_image(io.BytesIO(content), 50 * MEGAPIXEL)


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_pillows_own_limit_holds_when_ours_is_higher(action):
    content = a_png_that_claims(10_000, 10_000)
    with warnings.catch_warnings():
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        with pytest.raises(BadMedia, match="pixels"):
            check_image(io.BytesIO(content), 1_000 * MEGAPIXEL)


@pytest.mark.parametrize("content_type", IMAGES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_image_is_refused(content_type, share):
    content = IMAGES[content_type]
    with pytest.raises(BadMedia, match=r"cut off|not an image"):
        check_image(io.BytesIO(content[: int(len(content) * share)]), MEGAPIXEL)


@pytest.mark.parametrize("content_type", ["image/jpeg", "image/webp", "image/bmp"])
def test_image_without_its_last_bytes_is_refused(content_type):
    with pytest.raises(BadMedia, match="cut off"):
        check_image(io.BytesIO(IMAGES[content_type][:-4]), MEGAPIXEL)


def test_png_with_a_flipped_bit_is_refused():
    content = bytearray(IMAGES["image/png"])
    content[len(content) // 2] ^= 1
    with pytest.raises(BadMedia, match="PNG image is damaged"):
        check_image(io.BytesIO(content), MEGAPIXEL)


def test_thumbnail_in_a_cut_photo_does_not_pass_for_its_end():
    thumbnail = an_image("JPEG", (16, 16))
    exif = b"Exif\x00\x00" + thumbnail
    whole = an_image("JPEG", exif=exif)
    assert check_image(io.BytesIO(whole), MEGAPIXEL).width == 64
    with pytest.raises(BadMedia, match="cut off"):
        check_image(io.BytesIO(whole[:-100]), MEGAPIXEL)


def test_empty_file_is_told():
    with pytest.raises(BadMedia, match="the file is empty; PNG, JPEG, WebP"):
        check_image(io.BytesIO(b""), MEGAPIXEL)


@pytest.mark.parametrize("content", [b"<html>", b"not an image", b"\x00" * 100])
def test_file_that_is_no_image_is_told(content):
    with pytest.raises(BadMedia, match="not an image; PNG, JPEG, WebP, GIF and BMP"):
        check_image(io.BytesIO(content), MEGAPIXEL)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (an_image("TIFF"), "image/tiff"),
        (an_image("AVIF"), "image/avif"),
        (b"<svg xmlns='x'/>", r"image/svg\+xml"),
        (an_mp4(), "video/mp4"),
    ],
)
def test_other_media_are_refused_by_name(content, found):
    with pytest.raises(BadMedia, match=f"the file is {found}; PNG, JPEG"):
        check_image(io.BytesIO(content), MEGAPIXEL)


def test_signature_alone_is_no_image():
    with pytest.raises(BadMedia, match="damaged or cut off"):
        check_image(io.BytesIO(b"\x89PNG\r\n\x1a\n"), MEGAPIXEL)


def test_image_without_pixels_is_refused():
    with pytest.raises(BadMedia):
        check_image(io.BytesIO(a_png_that_claims(0, 10)), MEGAPIXEL)


def test_jpeg_of_endless_fill_bytes_is_given_up():
    content = b"\xff\xd8\xff\xe0\x00\x02" + b"\xff" * 400_000
    with pytest.raises(BadMedia, match="slow to read"):
        check_image(io.BytesIO(content), MEGAPIXEL)


class BrokenStorage(io.BytesIO):
    def read(self, size=-1):
        if self.tell() > 0:
            raise StorageError("the bucket does not answer")
        return super().read(size)


def test_failing_storage_is_not_a_bad_image():
    with pytest.raises(StorageError):
        check_image(BrokenStorage(IMAGES["image/png"]), MEGAPIXEL)


@st.composite
def damaged(draw, contents):
    """A good file with bytes changed, cut out, doubled or put in."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, min(len(content), 400)))
        length = draw(st.integers(0, 8))
        content[start : start + length] = draw(st.binary(max_size=12))
    return bytes(content[: draw(st.integers(0, len(content)))])


@given(damaged(list(IMAGES.values())))
@pytest.mark.filterwarnings("ignore")
def test_damaged_image_is_an_image_or_bad_media(content):
    file = io.BytesIO(content)
    try:
        found = check_image(file, MEGAPIXEL)
    except BadMedia:
        return
    assert 0 < found.width * found.height <= MEGAPIXEL
    assert file.tell() == 0


# Result files


@pytest.mark.parametrize("content_type", IMAGES)
def test_size_of_a_result_image_is_read(content_type):
    content = IMAGES[content_type]
    assert probe(io.BytesIO(content), content_type) == MediaInfo(64, 48)


def test_size_of_an_avif_image_is_read():
    content = an_image("AVIF")
    assert probe(io.BytesIO(content), "image/avif") == MediaInfo(64, 48)


@pytest.mark.parametrize(
    ("content", "content_type", "seconds"),
    [
        (a_wav(2.0), "audio/wav", 2.0),
        (an_mp3(100), "audio/mpeg", 100 * 417 * 8 / 128_000),
        (b"ID3\x04\x00\x00\x00\x00\x00\x05extra" + an_mp3(100), "audio/mpeg", 2.606),
        (an_aac(50), "audio/aac", 50 * 1024 / 44_100),
        (a_flac(88_200), "audio/flac", 2.0),
        (an_opus(3.0), "audio/ogg", 3.0),
        (a_vorbis(3.0), "audio/ogg", 3.0),
        (an_mp4(), "video/mp4", 5.5),
        (an_mp4(an_mvhd(), a_track(0, 0)), "audio/mp4", 5.5),
    ],
)
def test_duration_is_read(content, content_type, seconds):
    found = probe(io.BytesIO(content), content_type).duration_s
    assert found == pytest.approx(seconds, rel=0.02)


def test_variable_mp3_lasts_as_many_frames_as_its_first_one_says():
    first = bytearray(an_mp3(1))
    first[36:48] = b"Xing" + struct.pack(">II", 1, 1_000)
    found = probe(io.BytesIO(bytes(first) + an_mp3(10)), "audio/mpeg").duration_s
    assert found == pytest.approx(1_000 * 1152 / 44_100, abs=0.01)


def test_long_sound_goes_on_as_its_first_part_does():
    content = an_aac(10_000)
    assert len(content) > 3 * sounds.WALK_BYTES
    found = probe(io.BytesIO(content), "audio/aac").duration_s
    assert found == pytest.approx(10_000 * 1024 / 44_100, rel=0.001)


def test_sound_is_not_taken_from_a_lone_header_in_other_bytes():
    content = bytes(100) + an_mp3(1) + bytes(1000)
    assert probe(io.BytesIO(content), "audio/mpeg") == MediaInfo()


def test_page_of_another_stream_does_not_tell_the_duration():
    other = bytearray(an_opus(90.0)[-330:])
    start = other.index(b"OggS")
    other[start + 14 : start + 18] = b"\x09\0\0\0"
    found = probe(io.BytesIO(an_opus(3.0) + bytes(other[start:])), "audio/ogg")
    assert found.duration_s == pytest.approx(3.0)


def test_aac_behind_a_tag_is_read_although_it_looks_like_mp3():
    content = b"ID3\x04\x00\x00\x00\x00\x00\x05extra" + an_aac(50)
    found = probe(io.BytesIO(content), sniff(content)).duration_s
    assert found == pytest.approx(50 * 1024 / 44_100, rel=0.001)


def test_sound_shorter_than_half_a_millisecond_has_no_duration():
    file = io.BytesIO(a_wav(0.000125, rate=8000))
    assert probe(file, "audio/wav").duration_s is None


def test_streamed_wav_of_unknown_length_lasts_as_long_as_its_bytes():
    content = bytearray(a_wav(2.0))
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    found = probe(io.BytesIO(content), "audio/wav").duration_s
    assert found == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(
    "content_type", ["video/mp4", "video/quicktime", "VIDEO/MP4; x=y"]
)
def test_size_of_a_film_is_read(content_type):
    assert probe(io.BytesIO(an_mp4()), content_type) == MediaInfo(1280, 720, 5.5)


def test_size_of_a_film_with_64_bit_times_is_read():
    content = an_mp4(an_mvhd(version=1), a_track(1280, 720, version=1))
    assert probe(io.BytesIO(content), "video/mp4") == MediaInfo(1280, 720, 5.5)


def test_film_that_was_turned_is_upright():
    content = an_mp4(an_mvhd(), a_track(1280, 720, TURNED))
    assert probe(io.BytesIO(content), "video/mp4") == MediaInfo(720, 1280, 5.5)


def test_film_with_an_empty_matrix_is_not_turned():
    content = an_mp4(an_mvhd(), a_track(1280, 720, (0,) * 9))
    assert probe(io.BytesIO(content), "video/mp4") == MediaInfo(1280, 720, 5.5)


def test_largest_picture_of_a_film_counts():
    content = an_mp4(an_mvhd(), a_track(160, 90), a_track(1280, 720), a_track(320, 180))
    assert probe(io.BytesIO(content), "video/mp4").width == 1280


@pytest.mark.parametrize(
    "before",
    [
        a_box(b"free", bytes(100)),
        struct.pack(">I4sQ", 1, b"mdat", 16 + 100) + bytes(100),
        a_box(b"mdat", bytes(100_000)),
    ],
)
def test_film_is_read_past_other_boxes(before):
    content = an_mp4(before=before)
    assert probe(io.BytesIO(content), "video/mp4") == MediaInfo(1280, 720, 5.5)


@pytest.mark.parametrize(
    ("duration", "version"), [(0, 0), (2**32 - 1, 0), (2**64 - 1, 1)]
)
def test_film_of_unknown_duration_has_none(duration, version):
    content = an_mp4(an_mvhd(duration, 90_000, version), a_track(1280, 720))
    assert probe(io.BytesIO(content), "video/mp4") == MediaInfo(1280, 720)


def test_film_without_timescale_is_unknown():
    content = an_mp4(an_mvhd(timescale=0), a_track(1280, 720))
    assert probe(io.BytesIO(content), "video/mp4").duration_s is None


def test_result_of_another_type_is_unknown():
    assert probe(io.BytesIO(b"<svg/>"), "image/svg+xml") == MediaInfo()
    assert probe(io.BytesIO(b"lyrics"), "text/plain") == MediaInfo()


@pytest.mark.parametrize("content_type", RESULTS)
def test_probing_leaves_the_file_at_its_start(content_type):
    file = io.BytesIO(RESULTS[content_type])
    file.seek(9)
    probe(file, content_type)
    assert file.tell() == 0


@pytest.mark.parametrize("content_type", RESULTS)
@pytest.mark.parametrize("content", [b"", b"\x00", b"garbage" * 50])
def test_garbage_is_unknown(content_type, content):
    assert probe(io.BytesIO(content), content_type) == MediaInfo()


@given(st.binary(), st.sampled_from(sorted(RESULTS)))
def test_random_bytes_never_raise(content, content_type):
    probe(io.BytesIO(content), content_type)


@given(damaged(list(RESULTS.values())), st.sampled_from(sorted(RESULTS)) | st.none())
@pytest.mark.filterwarnings("ignore")
def test_damaged_result_never_raises(content, content_type):
    found = probe(io.BytesIO(content), content_type or sniff(content) or "audio/ogg")
    assert found.width is None or 0 < found.width <= media.MAX_SIDE
    assert found.height is None or 0 < found.height <= media.MAX_SIDE
    assert found.duration_s is None or 0 < found.duration_s <= media.MAX_DURATION_S


class CountingFile(io.BytesIO):
    reads = 0

    def read(self, size=-1):
        self.reads += 1
        return super().read(size)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        # each makes its parser take as many steps as the file has bytes to give
        (b"ID3\x04\x00\x00\x00\x00\x00\x01x" * 300_000, "audio/mpeg"),
        (an_mp4(before=a_box(b"free") * 300_000), "video/mp4"),
        (b"RIFF\xff\xff\xff\x7fWAVE" + b"junk\x00\x00\x00\x00" * 300_000, "audio/wav"),
        (an_opus()[:47] + b"OggS" + (bytes(23) + b"OggS") * 100_000, "audio/ogg"),
        (b"\xff\xd8\xff\xe0\x00\x02" + b"\xff" * 400_000, "image/jpeg"),
    ],
)
def test_file_built_to_be_slow_is_given_up(content, content_type):
    file = CountingFile(content)
    probe(file, content_type)
    assert file.reads <= media.MAX_READS


def test_failing_storage_is_not_an_unknown_result():
    with pytest.raises(StorageError):
        probe(BrokenStorage(IMAGES["image/png"]), "image/png")


# Files of real encoders


def encoded(container, codec, seconds, **stream_options):
    """A file as FFmpeg writes it."""
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=stream_options.pop("rate"))
        for name, value in stream_options.items():
            setattr(stream, name, value)
        for frame in frames_for(av, stream, seconds):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def frames_for(av, stream, seconds):
    if stream.type == "video":
        for number in range(int(seconds * 10)):
            frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
            frame.pts = number
            yield frame
        return
    rate = stream.rate
    size = stream.codec_context.frame_size or 1024
    for start in range(0, int(seconds * rate), size):
        frame = av.AudioFrame(stream.format.name, stream.layout.name, size)
        frame.sample_rate, frame.pts = rate, start
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        yield frame


@pytest.mark.parametrize(
    ("container", "codec", "content_type"),
    [
        ("mp3", "libmp3lame", "audio/mpeg"),
        ("flac", "flac", "audio/flac"),
        ("ogg", "libopus", "audio/ogg"),
        ("adts", "aac", "audio/aac"),
        ("wav", "pcm_s16le", "audio/wav"),
        ("ipod", "aac", "audio/mp4"),
    ],
)
def test_sound_of_a_real_encoder_is_understood(container, codec, content_type):
    content = encoded(container, codec, 2.0, rate=48_000)
    assert sniff(content[: media.SNIFF_BYTES]) == content_type
    found = probe(io.BytesIO(content), content_type)
    # an ADTS file does not say how long it is: its duration is estimated
    assert found.duration_s == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize(
    ("container", "content_type"), [("mp4", "video/mp4"), ("mov", "video/quicktime")]
)
def test_film_of_a_real_encoder_is_understood(container, content_type):
    content = encoded(
        container, "mpeg4", 2.0, rate=10, width=160, height=96, pix_fmt="yuv420p"
    )
    assert sniff(content[: media.SNIFF_BYTES]) == content_type
    found = probe(io.BytesIO(content), content_type)
    assert (found.width, found.height) == (160, 96)
    assert found.duration_s == pytest.approx(2.0, abs=0.11)


# Names


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [
        ("image/png", "png"),
        ("image/jpeg", "jpg"),
        ("image/jpg", "jpg"),
        ("IMAGE/PNG", "png"),
        ("image/png; charset=binary", "png"),
        ("audio/mpeg", "mp3"),
        ("audio/mp3", "mp3"),
        ("audio/x-wav", "wav"),
        ("video/quicktime", "mov"),
        ("application/octet-stream", "bin"),
        ("", "bin"),
    ],
)
def test_type_has_an_extension(content_type, extension):
    assert media.extension_of(content_type) == extension


@pytest.mark.parametrize(
    ("extension", "content_type"),
    [
        *(("png", "image/png"), ("jpg", "image/jpeg"), ("jpeg", "image/jpeg")),
        *((".MP3", "audio/mpeg"), ("opus", "audio/ogg"), ("exe", None), ("", None)),
    ],
)
def test_extension_has_a_type(extension, content_type):
    assert media.content_type_of(extension) == content_type


def test_every_type_comes_back_from_its_extension():
    for content_type, extension in media.EXTENSIONS.items():
        assert media.content_type_of(extension) == content_type
        assert media.extension_of(content_type) == extension


def test_every_sniffed_type_has_an_extension():
    brands = {content_type for _, content_type in media.BRANDS}
    signatures = {content_type for _, content_type in media.SIGNATURES}
    found = brands | signatures | set(media.RIFF_TYPES.values())
    assert found <= set(media.EXTENSIONS)
