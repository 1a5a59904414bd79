"""Identifiers: a time-ordered start keeps the newest rows together in every index."""

from __future__ import annotations

import secrets
import time


def new_id() -> str:
    """32 hexadecimal digits: 48 bits of unix milliseconds, then 80 random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def new_task_id() -> str:
    return f"task_{new_id()}"
