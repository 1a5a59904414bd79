"""Speech in the codecs and sample rates of xAI, two of which telephones use."""

from __future__ import annotations

import io
from fractions import Fraction

import av

from sandbox.media import SAMPLE_RATE, make_audio

TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mulaw": "audio/basic",
    "alaw": "audio/x-alaw-basic",
}
# container and codec
FORMS = {
    "mp3": ("mp3", "libmp3lame"),
    "wav": ("wav", "pcm_s16le"),
    "pcm": ("s16le", "pcm_s16le"),
    "mulaw": ("mulaw", "pcm_mulaw"),
    "alaw": ("alaw", "pcm_alaw"),
}


def make_speech(text: str, seconds: float, codec: str, rate: int) -> bytes:
    """The melody of a text as that codec and with that many samples a second."""
    samples = make_audio(text, seconds, "pcm")
    container, name = FORMS[codec]
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(name, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(stream.format, stream.layout, stream.rate)
        frame = av.AudioFrame("s16", "mono", len(samples) // 2, align=1)
        frame.planes[0].update(samples)
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = 0
        for ready in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
    return target.getvalue()
