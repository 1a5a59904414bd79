"""Keys and channels, as operators make and change them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app import accounts
from app.accounts import ChannelPlan, WrongAccount
from app.bells import Bell
from app.runtime import Runtime, open_runtime
from app.security import api_keys, signatures
from app.security.sealing import SealError
from app.settings import Settings
from app.store import channels, clients
from app.store.channels import Channel, ChannelKey
from app.store.models import metadata
from app.store.session import open_database
from providers.registry import BY_NAME

SECRET = "sk-of-the-provider"


def no_ring(bell: Bell) -> None:
    """Nobody works here."""


@dataclass(frozen=True)
class Office:
    """An operator's view of one store."""

    rt: Runtime

    def create_key(self, name: str = "acme", **options: Any) -> accounts.NewKey:
        with self.rt.transaction() as tx:
            return accounts.create_key(self.rt, tx, name, **options)

    def rotate(self, name: str) -> str:
        with self.rt.transaction() as tx:
            return accounts.rotate_webhook_secret(self.rt, tx, name)

    def add(self, plan: ChannelPlan, **options: Any) -> Channel:
        with self.rt.transaction() as tx:
            accounts.add_channel(self.rt, tx, plan, BY_NAME, **options)
        return self.channel(plan.name)

    def settle(self, *plans: ChannelPlan, origin: str = "file") -> dict[str, list[str]]:
        with self.rt.transaction() as tx:
            return accounts.settle(self.rt, tx, plans, BY_NAME, origin=origin)

    def channel(self, name: str) -> Channel:
        with self.rt.reading() as tx:
            found = channels.find_by_name(tx, name)
        assert found is not None
        return found

    def names(self) -> list[str]:
        with self.rt.reading() as tx:
            return [channel.name for channel in channels.list_all(tx)]

    def secrets(self, name: str) -> list[str]:
        """The clear secrets that a channel uses for something new."""
        return [self.open(key) for key in self.channel(name).usable_keys]

    def open(self, key: ChannelKey) -> str:
        return self.rt.sealer.unseal(key.secret, f"key:{key.id}")

    def pause(self, name: str) -> None:
        with self.rt.transaction() as tx:
            channels.pause(tx, self.channel(name).id, 60, "no money")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    settings = Settings.from_env(
        {
            "GENRELAY_DATA": str(tmp_path),
            "GENRELAY_SECRET_KEY": "3f6c1e8a9b7d4025f1c2e3d4a5b69788",
        }
    )
    database = open_database(settings.database_url)
    metadata.create_all(database.engine)
    database.close()
    rt = open_runtime(settings, no_ring)
    yield Office(rt)
    rt.database.close()


def a_plan(name: str = "main", **fields: Any) -> ChannelPlan:
    """A channel at OpenAI, unless told otherwise."""
    return ChannelPlan(
        **{"name": name, "provider": "openai", "secrets": (SECRET,), **fields}
    )


# Keys


def test_a_new_key_opens_the_door(office: Office) -> None:
    new = office.create_key()

    with office.rt.reading() as tx:
        key_hash = api_keys.hash_key(new.api_key, office.rt.api_key_pepper)
        client = clients.find_by_key_hash(tx, key_hash)
    assert client is not None
    assert client.id == new.client_id
    assert client.scopes == ("tasks:read", "tasks:write")


def test_a_new_key_is_not_shown_by_accident(office: Office) -> None:
    new = office.create_key()

    assert new.api_key not in repr(new)
    assert new.webhook_secret not in repr(new)


def test_a_webhook_secret_is_sealed_for_its_client_alone(office: Office) -> None:
    new, other = office.create_key("acme"), office.create_key("other")

    with office.rt.reading() as tx:
        (sealed,) = clients.webhook_secrets(tx, new.client_id)
    assert office.rt.sealer.unseal(sealed, f"client:{new.client_id}") == (
        new.webhook_secret
    )
    with pytest.raises(SealError):
        office.rt.sealer.unseal(sealed, f"client:{other.client_id}")


def test_an_expired_key_opens_nothing(office: Office) -> None:
    new = office.create_key(expires_at=1)

    with office.rt.reading() as tx:
        key_hash = api_keys.hash_key(new.api_key, office.rt.api_key_pepper)
        assert clients.find_by_key_hash(tx, key_hash) is None


@pytest.mark.parametrize("name", ["", "a" * 101, "two\nlines", "bell\a"])
def test_a_key_needs_a_printable_name(office: Office, name: str) -> None:
    with pytest.raises(WrongAccount, match="1 to 100 printable characters"):
        office.create_key(name)


@pytest.mark.parametrize("scopes", [(), ("tasks:read", "everything")])
def test_a_key_has_known_scopes(office: Office, scopes: tuple[str, ...]) -> None:
    with pytest.raises(WrongAccount, match="scopes are some of tasks:read"):
        office.create_key(scopes=scopes)


def test_the_name_of_a_revoked_key_is_not_used_again(office: Office) -> None:
    office.create_key("acme")
    with office.rt.transaction() as tx:
        clients.revoke(tx, "acme")

    with pytest.raises(WrongAccount, match="already; revoked names stay"):
        office.create_key("acme")


def test_after_a_rotation_the_new_and_the_old_secret_sign(office: Office) -> None:
    new = office.create_key()

    rotated = office.rotate("acme")

    with office.rt.reading() as tx:
        sealed = clients.webhook_secrets(tx, new.client_id)
    aad = f"client:{new.client_id}"
    assert [office.rt.sealer.unseal(one, aad) for one in sealed] == [
        rotated,
        new.webhook_secret,
    ]
    assert rotated.startswith(signatures.make_webhook_secret()[:6])


def test_a_secret_of_nobody_is_not_rotated(office: Office) -> None:
    with pytest.raises(WrongAccount, match="there is no key named 'nobody'"):
        office.rotate("nobody")


# Channels


def test_a_channel_lies_at_its_providers_address(office: Office) -> None:
    assert office.add(a_plan()).base_url == "https://api.openai.com/v1"


def test_a_channel_may_lie_elsewhere(office: Office) -> None:
    added = office.add(a_plan(base_url="https://gate.example.com/v1/"))

    assert added.base_url == "https://gate.example.com/v1"


def test_a_secret_is_sealed_for_its_key_alone(office: Office) -> None:
    office.add(a_plan(secrets=("sk-one", "sk-other")))
    one, other = office.channel("main").usable_keys

    assert office.secrets("main") == ["sk-one", "sk-other"]
    assert b"sk-one" not in one.secret
    with pytest.raises(SealError):
        office.open(replace(one, secret=other.secret))


def test_a_plan_is_not_shown_with_its_secrets() -> None:
    shown = repr(a_plan(webhook_secret="whsec_hidden"))

    assert SECRET not in shown
    assert "whsec_hidden" not in shown


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"provider": "opanai"}, "provider 'opanai' is unknown; known are"),
        ({"name": ""}, "1 to 60 printable characters"),
        ({"name": "a" * 61}, "1 to 60 printable characters"),
        ({"name": "a\tb"}, "1 to 60 printable characters"),
        ({"base_url": "gate.example.com"}, "base URL 'gate.example.com' must be"),
        ({"base_url": "https://"}, "must be http"),
        ({"base_url": "https://g/?key=1"}, "without query"),
        ({"secrets": ()}, "a secret must be printable ASCII and not empty"),
        ({"secrets": ("",)}, "a secret must be printable ASCII and not empty"),
        ({"secrets": ("sk", "sk")}, "a secret is given twice"),
        ({"secrets": ("sk\n",)}, "a secret must be printable ASCII"),
        ({"secrets": ("sk", "sk-ü")}, "a secret must be printable ASCII"),
        ({"weight": -1}, "the weight must be between 0 and 1000000"),
        ({"weight": 1_000_001}, "the weight must be between"),
        ({"priority": -1001}, "the priority must be between -1000 and 1000"),
        ({"models": {"a": "lumen"}}, "model 'lumen' .* is not one of openai"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(
    office: Office, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(WrongAccount, match=told):
        office.add(a_plan(**fields))
    assert office.names() == []


def test_a_secret_is_not_part_of_a_refusal(office: Office) -> None:
    with pytest.raises(WrongAccount) as caught:
        office.add(a_plan(secrets=("sk-hidden-ü",)))

    assert "hidden" not in str(caught.value)


def test_a_channel_name_is_used_once(office: Office) -> None:
    office.add(a_plan())

    with pytest.raises(WrongAccount, match="a channel named 'main' already"):
        office.add(a_plan(provider="fal"))


# What should be there is made to be there


def test_settling_adds_changes_and_removes(office: Office) -> None:
    office.settle(a_plan("stays"), a_plan("changes"), a_plan("goes"))

    done = office.settle(a_plan("stays"), a_plan("changes", weight=2), a_plan("comes"))

    assert done == {
        "added": ["comes"],
        "changed": ["changes"],
        "removed": ["goes"],
        "unchanged": ["stays"],
    }
    assert office.names() == ["changes", "comes", "stays"]
    assert office.channel("changes").weight == 2


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "https://gate.example.com"},
        {"secrets": ("sk-new",)},
        {"secrets": (SECRET, "sk-new")},
        {"groups": ("vip",)},
        {"webhook_secret": "whsec_new"},
        {"models": {"gpt-image-2": "gpt-image-2"}},
        {"priority": 1},
        {"limits": {"poll_spacing_s": 2.0}},
        {"settings": {"organization": "org-1"}},
        {"enabled": False},
    ],
)
def test_every_part_of_a_channel_can_be_changed(
    office: Office, change: dict[str, Any]
) -> None:
    office.settle(a_plan())

    assert office.settle(a_plan(**change))["changed"] == ["main"]
    assert office.settle(a_plan(**change))["unchanged"] == ["main"]


def test_a_new_secret_is_the_one_that_is_used(office: Office) -> None:
    office.settle(a_plan())
    office.settle(a_plan(secrets=("sk-new",)))

    assert office.secrets("main") == ["sk-new"]


def test_a_secret_that_was_taken_away_still_opens_what_it_began(
    office: Office,
) -> None:
    office.settle(a_plan())
    office.settle(a_plan(secrets=("sk-new",)))

    assert [office.open(key) for key in office.channel("main").keys] == [
        SECRET,
        "sk-new",
    ]


def test_a_secret_that_stays_keeps_its_key(office: Office) -> None:
    office.settle(a_plan())
    (before,) = office.channel("main").usable_keys
    office.settle(a_plan(secrets=("sk-new", SECRET)))

    assert before.id in [key.id for key in office.channel("main").usable_keys]


def test_a_webhook_secret_can_be_taken_away(office: Office) -> None:
    office.settle(a_plan(webhook_secret="whsec_old"))
    office.settle(a_plan())

    assert office.channel("main").webhook_secret is None


def test_a_changed_channel_is_tried_again(office: Office) -> None:
    office.settle(a_plan())
    office.pause("main")

    office.settle(a_plan(secrets=("sk-new",)))

    assert office.channel("main").paused_until is None
    assert office.channel("main").failure_count == 0


def test_an_unchanged_channel_stays_paused(office: Office) -> None:
    office.settle(a_plan())
    office.pause("main")

    office.settle(a_plan())

    assert office.channel("main").paused_until is not None


def test_channels_of_another_origin_are_left_alone(office: Office) -> None:
    office.add(a_plan("by-hand"))
    office.settle(a_plan("of-the-file"))

    done = office.settle(origin="sandbox")

    assert done["removed"] == []
    assert office.names() == ["by-hand", "of-the-file"]


def test_a_name_of_another_origin_is_taken_over(office: Office) -> None:
    office.add(a_plan())

    assert office.settle(a_plan())["changed"] == ["main"]
    assert office.channel("main").origin == "file"


def test_one_wrong_channel_is_named_and_changes_nothing(office: Office) -> None:
    with pytest.raises(WrongAccount, match=r"^channel 'b': the weight must be"):
        office.settle(a_plan("a"), a_plan("b", weight=-1))

    assert office.names() == []


# Where plans come from


def test_a_key_in_the_environment_is_a_channel() -> None:
    env = {"OPENAI_API_KEY": SECRET, "FAL_KEY": ""}

    assert accounts.from_environment(env, BY_NAME) == [a_plan("openai")]


def test_a_base_url_in_the_environment_goes_with_its_key() -> None:
    env = {"OPENAI_API_KEY": SECRET, "OPENAI_BASE_URL": "https://gate.example.com"}

    (plan,) = accounts.from_environment(env, BY_NAME)

    assert plan.base_url == "https://gate.example.com"


def test_an_empty_environment_has_no_channels() -> None:
    assert accounts.from_environment({}, BY_NAME) == []


def test_every_provider_has_a_channel_at_the_sandbox(office: Office) -> None:
    plans = accounts.sandbox_plans("http://127.0.0.1:8900/", BY_NAME)

    done = office.settle(*plans, origin="sandbox")

    assert done["added"] == [f"sandbox-{name}" for name in BY_NAME]
    openai = office.channel("sandbox-openai")
    assert openai.base_url == "http://127.0.0.1:8900/openai/v1"


def test_everything_is_sealed_with_the_new_key_after_a_rotation(tmp_path: Path) -> None:
    old, new = "o" * 20 + "1a2b3c4d5e6f7g8h", "n" * 20 + "8h7g6f5e4d3c2b1a"
    env = {"GENRELAY_DATA": str(tmp_path), "GENRELAY_SECRET_KEY": old}
    database = open_database(Settings.from_env(env).database_url)
    metadata.create_all(database.engine)
    database.close()
    first = Office(open_runtime(Settings.from_env(env), no_ring))
    first.add(a_plan(webhook_secret="whsec_of-the-provider"))
    first.create_key()
    first.rotate("acme")

    rotating = {
        **env,
        "GENRELAY_SECRET_KEY": new,
        "GENRELAY_OLD_SECRET_KEYS": old,
    }
    rt = open_runtime(Settings.from_env(rotating), no_ring)
    with rt.transaction() as tx:
        # The channel's two, the client's two, and the proof of the key.
        assert accounts.reseal(rt, tx) == 5
        assert accounts.reseal(rt, tx) == 0

    alone = {**env, "GENRELAY_SECRET_KEY": new}
    office = Office(open_runtime(Settings.from_env(alone), no_ring))
    assert office.secrets("main") == [SECRET]
    with pytest.raises(SealError):
        open_runtime(Settings.from_env(env), no_ring)
