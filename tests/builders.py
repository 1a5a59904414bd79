"""Valid values for tests: name only what matters."""

from __future__ import annotations

from typing import Any

from app.store.channels import Channel
from providers.types import GenerationRequest, MediaInput, MediaType


def a_request(**fields: Any) -> GenerationRequest:
    """A request for one image of a lighthouse, unless told otherwise."""
    return GenerationRequest(
        **{
            "task_id": "task_0123456789abcdef0123456789abcdef",
            "submission_key": "0123456789abcdef",
            "model": "lumen-1",
            "media_type": MediaType.IMAGE,
            "prompt": "a lighthouse made of paper, dawn",
            **fields,
        }
    )


def an_image_url(url: str = "https://cdn.example.com/a.png") -> MediaInput:
    return MediaInput(url)


def an_upload(content_type: str = "image/png") -> MediaInput:
    """An image that the client sent as bytes; a flow reads it with a public call."""
    return MediaInput("upload:0", content_type)


def a_channel(name: str = "main", **fields: Any) -> Channel:
    """An enabled channel without keys; its provider is the made-up one."""
    return Channel(
        **{
            "id": f"ch_{name}",
            "name": name,
            "provider": "lumen",
            "base_url": "https://api.lumen.example",
            "webhook_secret": None,
            "groups": (),
            "models": {},
            "weight": 1,
            "priority": 0,
            "limits": {},
            "settings": {},
            "enabled": True,
            "origin": "cli",
            "failure_count": 0,
            "error_rate": 0.0,
            "paused_until": None,
            "pause_reason": None,
            "removed_at": None,
            **fields,
        }
    )
