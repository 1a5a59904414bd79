"""Every provider, imported and listed by hand, A to Z."""

from __future__ import annotations

from providers import (
    ark,
    dashscope,
    fal,
    gemini,
    jimeng,
    kling,
    kling_legacy,
    minimax,
    openai,
    replicate,
    runway,
    suno,
    sunoapi,
    vertex,
)
from providers.types import Provider

PROVIDERS: tuple[Provider, ...] = (
    ark.PROVIDER,
    ark.BYTEPLUS,
    dashscope.PROVIDER,
    fal.PROVIDER,
    gemini.PROVIDER,
    jimeng.PROVIDER,
    sunoapi.KIE,
    kling.PROVIDER,
    kling_legacy.PROVIDER,
    minimax.PROVIDER,
    openai.PROVIDER,
    replicate.PROVIDER,
    runway.PROVIDER,
    suno.PROVIDER,
    sunoapi.PROVIDER,
    vertex.PROVIDER,
)

BY_NAME: dict[str, Provider] = {provider.name: provider for provider in PROVIDERS}
