"""The limits that operators may set, by name; all are numbers above zero."""

from __future__ import annotations

from collections.abc import Mapping

CHANNEL_LIMITS: Mapping[str, str] = {
    "poll_spacing_s": "least seconds between two looks at one job",
    "submits_per_s": "submits a second, all keys together",
    "polls_per_s": "looks a second, all keys together",
    "in_flight": "jobs at the upstream at a time, all keys together",
    "key_submits_per_s": "submits a second with one key",
    "key_polls_per_s": "looks a second with one key",
    "key_in_flight": "jobs at the upstream at a time with one key",
}

CLIENT_LIMITS: Mapping[str, str] = {
    "requests_per_s": "new tasks a second",
    "in_flight": "tasks that have not ended",
    "queued": "tasks that no upstream has yet",
    "daily": "new tasks in a day (UTC)",
}
