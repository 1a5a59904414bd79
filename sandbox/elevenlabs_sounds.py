"""Sounds in the formats that ElevenLabs names, such as `mp3_22050_32`."""

from __future__ import annotations

import io
from fractions import Fraction

import av

from sandbox.media import AUDIO_FRAME_BYTES, KEPT_CHARACTERS, SAMPLE_RATE, make_audio

CODECS = {
    # first word of the format: container, codec
    "mp3": ("mp3", "libmp3lame"),
    "wav": ("wav", "pcm_s16le"),
    "opus": ("ogg", "libopus"),
    "pcm": ("s16le", "pcm_s16le"),
    "ulaw": ("mulaw", "pcm_mulaw"),
    "alaw": ("alaw", "pcm_alaw"),
}


def make_sound(text: str, seconds: float, output_format: str) -> bytes:
    """A melody that follows from the text, at the rate and bit rate of the format."""
    container_format, codec = CODECS[output_format.partition("_")[0]]
    rate, *kbits = (int(number) for number in output_format.split("_")[1:])
    samples = make_audio(text, seconds, "pcm")
    target = io.BytesIO()
    with av.open(target, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        if kbits:
            stream.bit_rate = 1000 * kbits[0]
        tags = {"title": text[:80], "comment": text[:KEPT_CHARACTERS]}
        container.metadata.update(tags)
        resampler = av.AudioResampler(stream.format, stream.layout, rate)
        for at in range(0, len(samples), AUDIO_FRAME_BYTES):
            part = samples[at : at + AUDIO_FRAME_BYTES]
            frame = av.AudioFrame("s16", "mono", len(part) // 2, align=1)
            frame.planes[0].update(part)
            frame.sample_rate = SAMPLE_RATE
            frame.pts = at // 2
            frame.time_base = Fraction(1, SAMPLE_RATE)
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return target.getvalue()
