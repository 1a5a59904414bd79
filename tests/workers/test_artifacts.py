"""Results on their way into storage: what they are is what their bytes say."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import Any

import pytest

from app.storage import StorageError
from providers.types import Artifact, Failure, Phase, Reason, Snapshot
from tests.workers.bench import LUMEN, PNG, Bench, bench
from workers import artifacts
from workers.artifacts import Item
from workers.http import Account

__all__ = ["bench"]

TASK = "task_0123456789abcdef0123456789abcdef"
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


def keep(bench: Bench, *made: Artifact) -> list[Item]:
    return asyncio.run(artifacts.keep_inline(bench.rt, TASK, made))


def account(bench: Bench, **fields: Any) -> Account:
    bench.a_channel(**fields)
    channel = bench.channel()
    return Account(channel, channel.keys[0], LUMEN, "secret")


def stored(bench: Bench, item: Item) -> bytes:
    assert item.result is not None
    assert item.result.storage_key is not None
    with bench.storage.open(item.result.storage_key) as file:
        return file.read()


@pytest.mark.parametrize(
    "made",
    [
        Artifact(content=PNG),
        Artifact(content=PNG, content_type="video/mp4"),
        Artifact(url=DATA_URL),
        Artifact(url="data:,ignored", content=PNG),
    ],
)
def test_inline_output_is_stored_at_once_as_what_it_is(
    bench: Bench, made: Artifact
) -> None:
    (item,) = keep(bench, made)
    assert stored(bench, item) == PNG
    result = item.result
    assert result is not None
    assert (result.content_type, result.width, result.height) == ("image/png", 1, 1)
    assert result.size_bytes == len(PNG)
    assert result.sha256 == hashlib.sha256(PNG).hexdigest()


@pytest.mark.parametrize(
    ("content", "declared"),
    [(b"<html><script>", "text/html"), (b"<svg/>", None), (b"", "application/json")],
)
def test_output_that_is_no_media_is_handed_out_as_a_plain_file(
    bench: Bench, content: bytes, declared: str | None
) -> None:
    (item,) = keep(bench, Artifact(content=content, content_type=declared))
    assert item.result is not None
    assert item.result.content_type == "application/octet-stream"


def test_text_needs_no_file(bench: Bench) -> None:
    (item,) = keep(bench, Artifact(text="la la", title="Song"))
    assert item.result is not None
    assert (item.result.text, item.result.title) == ("la la", "Song")
    assert item.result.storage_key is None


def test_link_is_left_for_copying(bench: Bench) -> None:
    made = Artifact(url="https://cdn.example/1.png")
    assert keep(bench, made) == [Item(0, artifact=made)]


def test_data_url_of_plain_text_is_read(bench: Bench) -> None:
    (item,) = keep(bench, Artifact(url="data:text/plain,a%20b"))
    assert stored(bench, item) == b"a b"


@pytest.mark.parametrize("url", ["data:;base64,a", "data:;base64,ä☃", "data:"])
def test_data_url_that_cannot_be_read_does_not_lose_the_outcome(
    bench: Bench, url: str
) -> None:
    assert len(keep(bench, Artifact(url=url), Artifact(content=PNG))) == 2


def test_storage_that_fails_a_moment_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "STORE_PAUSE_S", 0.0)
    failures = [StorageError("full"), StorageError("full")]
    put = bench.storage.put

    class Flaky:
        def put(self, key: str, content: bytes) -> None:
            if failures:
                raise failures.pop()
            put(key, content)

        open = bench.storage.open

    object.__setattr__(bench.base, "storage", Flaky())
    (item,) = keep(bench, Artifact(content=PNG))
    assert stored(bench, item) == PNG


def test_storage_that_fails_for_long_loses_one_output_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "STORE_PAUSE_S", 0.0)

    class Full:
        def put(self, key: str, content: bytes) -> None:
            raise StorageError("full")

    object.__setattr__(bench.base, "storage", Full())
    (item,) = keep(bench, Artifact(content=PNG))
    assert item == Item(0, error="the result could not be stored", final=True)


def test_declared_facts_fill_what_the_bytes_do_not_say(bench: Bench) -> None:
    made = Artifact(
        content=b"?" * 50, content_type="video/mp4", width=640, duration_s=5
    )
    (item,) = keep(bench, made)
    assert item.result is not None
    assert (item.result.content_type, item.result.width) == ("video/mp4", 640)
    assert item.result.duration_s == 5


def test_copied_items_survive_a_restart() -> None:
    items = [
        Item(0, artifact=Artifact(url="https://x/1", protected=True, expires_at=9)),
        Item(1, error="HTTP 404", final=True, artifact=Artifact(url="https://x/2")),
    ]
    said = Snapshot(
        phase=Phase.SUCCEEDED,
        usage={"credits": 2},
        failure=Failure(Reason.CONTENT_REJECTED, "1 of 3 was refused"),
    )
    kept = json.loads(json.dumps(artifacts.dump(said, items)))
    assert artifacts.load(kept) == (said, items)


def test_stored_item_survives_a_restart(bench: Bench) -> None:
    items = keep(bench, Artifact(content=PNG, title="☃"))
    said = Snapshot(phase=Phase.SUCCEEDED)
    kept = json.loads(json.dumps(artifacts.dump(said, items)))
    assert artifacts.load(kept) == (said, items)


def test_error_that_may_pass_is_forgotten_for_the_next_try() -> None:
    item = Item(0, artifact=Artifact(url="https://x/1"), error="HTTP 503")
    kept = artifacts.dump(Snapshot(phase=Phase.SUCCEEDED), [item])
    assert artifacts.load(kept)[1] == [Item(0, artifact=item.artifact)]


def test_passed_on_link_dies_when_the_upstream_says(bench: Bench) -> None:
    owner = account(bench)
    item = Item(0, artifact=Artifact(url="https://x/1", expires_at=1_800_000_000))
    result = artifacts.passed_on(owner, item)
    assert result is not None
    assert (result.url, result.expires_at) == ("https://x/1", 1_800_000_000_000)


def test_link_that_needs_our_key_is_never_passed_on(bench: Bench) -> None:
    item = Item(0, artifact=Artifact(url="/files/1", protected=True))
    assert artifacts.passed_on(account(bench), item) is None


def test_results_lie_in_many_folders() -> None:
    assert artifacts.storage_key(TASK, 2) == f"results/ef/{TASK}/2"
