"""Channels: kept, changed, paused, removed."""

from __future__ import annotations

import pytest

from app.store import channels
from app.store.channels import Channel
from tests.app.store.stores import (
    Store,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

SECRET_TEXT = "sealed"


def a_channel(store: Store, name: str = "main") -> str:
    channel_id = channels.new_channel_id()
    with store.transaction() as tx:
        channels.add(
            tx,
            channel_id=channel_id,
            name=name,
            provider="lumen",
            base_url="https://api.lumen.example",
            webhook_secret=b"\x00\x02sealed",
            models={"client-name": "upstream-name"},
            weight=3,
            priority=2,
            limits={"poll_spacing_s": 2.5},
            settings={"region": "eu"},
        )
        channels.add_key(
            tx,
            key_id=channels.new_key_id(),
            channel_id=channel_id,
            name="key-1",
            secret=b"\x00\x01sealed",
        )
    return channel_id


def find(store: Store, name: str = "main") -> Channel:
    with store.reading() as tx:
        found = channels.find_by_name(tx, name)
    assert found is not None
    return found


def test_channel_is_read_as_it_was_added(store: Store) -> None:
    channel_id = a_channel(store)
    channel = find(store)
    assert channel.id == channel_id
    assert [key.secret for key in channel.keys] == [b"\x00\x01sealed"]
    assert channel.webhook_secret == b"\x00\x02sealed"
    assert channel.models == {"client-name": "upstream-name"}
    assert (channel.limits, channel.settings) == (
        {"poll_spacing_s": 2.5},
        {"region": "eu"},
    )
    assert (channel.weight, channel.priority, channel.enabled) == (3, 2, True)


def test_text_of_a_channel_does_not_show_its_secret(store: Store) -> None:
    a_channel(store)
    assert repr(find(store)) == "Channel('main', 'lumen')"


def test_channels_are_listed_by_name(store: Store) -> None:
    a_channel(store, "zeta")
    a_channel(store, "alpha")
    with store.reading() as tx:
        names = [channel.name for channel in channels.list_all(tx)]
    assert names == ["alpha", "ch_1", "zeta"]


def test_changed_field_is_the_only_one_that_changes(store: Store) -> None:
    channel_id = a_channel(store)
    with store.transaction() as tx:
        channels.change(tx, channel_id, weight=9)
    assert (find(store).weight, find(store).priority) == (9, 2)


def test_pause_has_an_end_and_a_reason(store: Store) -> None:
    channel_id = a_channel(store)
    with store.transaction() as tx:
        channels.pause(tx, channel_id, 30, "refused: \x00" + "x" * 900)
    channel = find(store)
    assert channel.paused_until == pytest.approx(store.now_ms() + 30_000, abs=5_000)
    assert channel.pause_reason is not None
    assert len(channel.pause_reason) == 500


def test_pause_of_a_key_counts_its_failures_and_leaves_the_channel(
    store: Store,
) -> None:
    a_channel(store)
    for _ in range(2):
        with store.transaction() as tx:
            channels.pause_key(tx, find(store).keys[0].id, 30, "refused_key")
    channel = find(store)
    (key,) = channel.keys
    assert key.paused_until == pytest.approx(store.now_ms() + 30_000, abs=5_000)
    assert (key.failure_count, key.pause_reason) == (2, "refused_key")
    assert (channel.failure_count, channel.paused_until) == (0, None)


def test_failures_in_a_row_are_counted_until_a_success(store: Store) -> None:
    channel_id = a_channel(store)
    with store.transaction() as tx:
        counted = [channels.count_failure(tx, channel_id)[0] for _ in range(3)]
    assert counted == [1, 2, 3]
    with store.transaction() as tx:
        channel = find(store)
        channels.pause_key(tx, channel.keys[0].id, 30, "refused")
    channel = find(store)
    with store.transaction() as tx:
        channels.count_success(tx, channel, channel.keys[0])
    channel = find(store)
    assert (channel.failure_count, channel.keys[0].failure_count) == (0, 0)
    assert (channel.paused_until, channel.keys[0].paused_until) == (None, None)


def test_error_rate_follows_the_last_outcomes(store: Store) -> None:
    channel_id = a_channel(store)
    with store.transaction() as tx:
        rates = [channels.count_failure(tx, channel_id)[1] for _ in range(30)]
    assert rates == sorted(rates)
    assert 0.9 < rates[-1] <= 1


def test_one_probe_at_a_time_is_taken_after_a_pause(store: Store) -> None:
    channel_id = a_channel(store)
    with store.transaction() as tx:
        channels.pause(tx, channel_id, 30, "refused")
    with store.transaction() as tx:
        assert not channels.take_probe(tx, find(store), 60)
    store.wait(31)
    with store.transaction() as tx:
        assert channels.take_probe(tx, find(store), 60)
        assert not channels.take_probe(tx, find(store), 60)


def test_resumed_channel_has_forgotten_its_failures(store: Store) -> None:
    channel_id = a_channel(store)
    with store.transaction() as tx:
        channels.count_failure(tx, channel_id)
        channels.pause(tx, channel_id, 30, "refused")
        channels.pause_key(tx, find(store).keys[0].id, 30, "refused")
    with store.transaction() as tx:
        channels.resume(tx, channel_id)
    channel = find(store)
    assert (channel.failure_count, channel.paused_until) == (0, None)
    assert (channel.pause_reason, channel.keys[0].paused_until) == (None, None)


def test_removed_key_is_kept_for_what_it_sent(store: Store) -> None:
    a_channel(store)
    with store.transaction() as tx:
        channels.remove_key(tx, find(store).keys[0])
    channel = find(store)
    assert channel.usable_keys == ()
    assert [key.secret for key in channel.keys] == [b"\x00\x01sealed"]
    assert SECRET_TEXT not in repr(channel.keys)


def test_removed_channel_stays_readable_and_frees_its_name(store: Store) -> None:
    channel_id = a_channel(store)
    with store.transaction() as tx:
        channels.remove(tx, find(store))
    with store.reading() as tx:
        assert channels.find_by_name(tx, "main") is None
        kept = {c.id: c for c in channels.list_all(tx, removed=True)}[channel_id]
    assert (kept.enabled, kept.removed_at is not None) == (False, True)
    assert kept.name.startswith("main (removed ")
    assert a_channel(store) != channel_id


def test_channel_with_the_longest_name_can_be_removed(store: Store) -> None:
    a_channel(store, "n" * 100)
    with store.transaction() as tx:
        channels.remove(tx, find(store, "n" * 100))
    with store.reading() as tx:
        assert [c.name for c in channels.list_all(tx)] == ["ch_1"]
