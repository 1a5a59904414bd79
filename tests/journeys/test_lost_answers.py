"""Upstreams that take a task and lose the answer: one paid submit, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys.gateway import ROOT, USUAL, Gateway, distributed
from tests.services import fresh_postgres, fresh_redis

FAULTS = ("hang", "reset", "500", "502", "cut", "html", "no id")

# What the provider lets us do about it, and how the task ends.
PROVIDERS = {
    "none": ("wanx2.1-t2i-turbo", "failed"),
    "find": ("kling-v2-6", "succeeded"),
    "callback": ("fal-ai/flux/dev", "succeeded"),
    "key": ("mothlight-still", "succeeded"),
}
BAITED = ("dashscope", "kling-legacy", "fal", "mothlight")
# Described by a file: it bills one idempotency key once.
MOTHLIGHT = {
    "name": "mothlight",
    "provider": "mothlight",
    "sandbox_path": "/mothlight/v1",
    "secret": "id:secret",
    "limits": {"poll_spacing_s": 0},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        fresh_postgres() as database_url,
        fresh_redis() as broker_url,
        distributed(
            tmp_path_factory.mktemp("lost"),
            database_url=database_url,
            broker_url=broker_url,
            GENRELAY_SUBMIT_TIMEOUT_S="3",
            channels=[*USUAL, MOTHLIGHT],
            GENRELAY_DEADLINE_S="18",
            GENRELAY_PROVIDERS=str(ROOT / "deploy" / "providers"),
        ) as made,
    ):
        for provider in BAITED:
            made.run(
                *("channels", "add", f"bait-{provider}", "--provider", provider),
                *("--base-url", base_url(made, provider), "--secret", "bait:bait"),
                *("--priority", "-1"),
            )
        made.worker()
        yield made


def base_url(gateway: Gateway, provider: str) -> str:
    rows = gateway.run("channels", "list")
    return next(str(row["base_url"]) for row in rows if row["name"] == provider)


def test_every_lost_answer_costs_one_submit(gateway: Gateway) -> None:
    posted = {}
    for way, (model, _) in PROVIDERS.items():
        for fault in FAULTS:
            # Under a key the same call is made again: its answer comes then.
            tag = f"{fault} twice" if way == "key" else fault
            prompt = f"{way} after {fault.replace(' ', '-')} [{tag}] [slow 4s]"
            posted[way, fault] = gateway.post(model=model, prompt=prompt), prompt
    wrong = {}
    for (way, fault), (task_id, prompt) in posted.items():
        task = gateway.ended(task_id, 90)
        submits = gateway.submits(prompt.partition(" [")[0])
        if task["status"] != PROVIDERS[way][1] or len(submits) != 1:
            wrong[way, fault] = task["status"], task["error_code"], len(submits)
    assert wrong == {}
    channels = gateway.run("channels", "list")
    assert not any(
        row["pause_reason"] for row in channels if row["name"].startswith("bait")
    )
