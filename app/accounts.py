"""Make, change and list API keys and channels: what operators do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from app.errors import Conflict, InvalidRequest
from app.limits import CLIENT_LIMITS
from app.runtime import Runtime
from app.security import api_keys, signatures
from app.store import channels, clients, sealed_secrets
from app.store.channels import Channel
from app.store.session import Transaction
from providers.types import Provider

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SCOPES = ("tasks:read", "tasks:write", "admin")
PRIORITIES = ("low", "normal", "high")
ROTATION_OVERLAP_S = 24 * 3600
# In the shape of every provider's keys: some of them have two parts.
SANDBOX_SECRET = "sandbox-id:sandbox-key"


class WrongAccount(InvalidRequest):
    """A key or channel cannot be as asked; the text says which part and why."""

    code = "invalid_account"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: the only time that its texts are known."""

    client_id: str
    name: str
    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPlan:
    """A channel as an operator describes it; the secret is clear."""

    name: str
    provider: str
    base_url: str | None = None
    secrets: tuple[str, ...] = field(repr=False, default=())
    webhook_secret: str | None = field(repr=False, default=None)
    groups: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1
    priority: int = 0
    limits: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True


def create_key(
    rt: Runtime,
    tx: Transaction,
    name: str,
    *,
    scopes: Sequence[str] = SCOPES[:2],
    group: str = "default",
    priority: str = "normal",
    limits: Mapping[str, float] | None = None,
    expires_at: int | None = None,
) -> NewKey:
    """A new API key with a webhook secret; raises `WrongAccount`."""
    if not name or len(name) > 100 or not name.isprintable():
        raise WrongAccount("a key's name is 1 to 100 printable characters")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise WrongAccount(
            f"scopes are some of {', '.join(SCOPES)}, not {', '.join(unknown) or '-'}"
        )
    if priority not in PRIORITIES:
        raise WrongAccount(f"the priority is one of {', '.join(PRIORITIES)}")
    _check_group(group)
    _check_client_limits(limits or {})
    if clients.find_by_name(tx, name) is not None:
        raise WrongAccount(f"there is a key named {name!r} already; revoked names stay")
    key, webhook_secret = api_keys.make_key(), signatures.make_webhook_secret()
    client_id = clients.new_client_id()
    clients.add(
        tx,
        client_id=client_id,
        name=name,
        key_hash=api_keys.hash_key(key, rt.api_key_pepper),
        key_prefix=api_keys.display_prefix(key),
        scopes=scopes,
        webhook_secret=rt.sealer.seal(webhook_secret, f"client:{client_id}"),
        group=group,
        priority=PRIORITIES.index(priority),
        limits=limits,
        expires_at=expires_at,
    )
    return NewKey(client_id, name, key, webhook_secret)


def change_key(
    tx: Transaction,
    name: str,
    *,
    group: str | None = None,
    priority: str | None = None,
    limits: Mapping[str, float | None] | None = None,
) -> None:
    """Change what was given; a limit of None is taken away. Raises `WrongAccount`."""
    client = clients.find_by_name(tx, name)
    if client is None:
        raise WrongAccount(f"there is no key named {name!r}")
    fields: dict[str, Any] = {}
    if group is not None:
        _check_group(group)
        fields["group"] = group
    if priority is not None:
        if priority not in PRIORITIES:
            raise WrongAccount(f"the priority is one of {', '.join(PRIORITIES)}")
        fields["priority"] = PRIORITIES.index(priority)
    if limits:
        kept = {**client.limits, **limits}
        fields["limits"] = {n: v for n, v in kept.items() if v is not None}
        _check_client_limits(fields["limits"])
    if fields:
        clients.change(tx, client.id, **fields)


def _check_group(group: str) -> None:
    if not group or len(group) > 60 or not group.isprintable():
        raise WrongAccount("a group's name is 1 to 60 printable characters")


def _check_client_limits(limits: Mapping[str, float]) -> None:
    for name, value in limits.items():
        if name not in CLIENT_LIMITS:
            known = ", ".join(CLIENT_LIMITS)
            raise WrongAccount(f"there is no limit {name!r}; known are {known}")
        if not 0 < value <= 1_000_000_000:
            raise WrongAccount(f"limit {name} must be above 0")


def reseal(rt: Runtime, tx: Transaction) -> int:
    """Seal every secret that an old key sealed with the present one; gives how many.

    After it the old secret keys are needed no more, except for API keys that have not
    been used since, result links and callbacks still under way.
    """
    count = 0
    for table, column, row_id, sealed in sealed_secrets.list_all(tx):
        if rt.sealer.needs_rotation(sealed):
            aad = sealed_secrets.aad_of(table, row_id)
            clear = rt.sealer.unseal(sealed, aad)
            sealed_secrets.change(tx, table, column, row_id, rt.sealer.seal(clear, aad))
            count += 1
    return count


def rotate_webhook_secret(rt: Runtime, tx: Transaction, name: str) -> str:
    """A new webhook secret; for a day the present one signs too."""
    client = clients.find_by_name(tx, name)
    if client is None:
        raise WrongAccount(f"there is no key named {name!r}")
    secret = signatures.make_webhook_secret()
    clients.rotate_webhook_secret(
        tx,
        client.id,
        rt.sealer.seal(secret, f"client:{client.id}"),
        overlap_s=ROTATION_OVERLAP_S,
    )
    return secret


def add_channel(
    rt: Runtime,
    tx: Transaction,
    plan: ChannelPlan,
    providers: Mapping[str, Provider],
    *,
    origin: str = "cli",
) -> str:
    """Keep a new channel and give its id; raises `WrongAccount`."""
    fields = _checked(plan, providers)
    if channels.find_by_name(tx, plan.name) is not None:
        raise WrongAccount(f"there is a channel named {plan.name!r} already")
    channel_id = channels.new_channel_id()
    try:
        channels.add(
            tx,
            channel_id=channel_id,
            **fields,
            webhook_secret=rt.sealer.seal(plan.webhook_secret, f"channel:{channel_id}")
            if plan.webhook_secret
            else None,
            origin=origin,
        )
        for n, secret in enumerate(plan.secrets, 1):
            _add_key(rt, tx, channel_id, f"key-{n}", secret)
    except Conflict as error:
        raise WrongAccount(f"channel {plan.name!r} cannot be added") from error
    return channel_id


def change_channel(
    rt: Runtime,
    tx: Transaction,
    present: Channel,
    plan: ChannelPlan,
    providers: Mapping[str, Provider],
    *,
    origin: str,
) -> bool:
    """Make a channel be as planned; True when something changed."""
    fields = _checked(plan, providers)
    changed = {
        name: value for name, value in fields.items() if getattr(present, name) != value
    }
    keys_changed = _change_keys(rt, tx, present, plan.secrets)
    aad = f"channel:{present.id}"
    old = present.webhook_secret and rt.sealer.unseal(present.webhook_secret, aad)
    if (old or None) != plan.webhook_secret:
        changed["webhook_secret"] = (
            rt.sealer.seal(plan.webhook_secret, aad) if plan.webhook_secret else None
        )
    if present.origin != origin:
        changed["origin"] = origin
    if not changed and not keys_changed:
        return False
    # What an operator has mended is worth another try.
    changed.update(failure_count=0, paused_until=None, pause_reason=None)
    channels.change(tx, present.id, **changed)
    return True


def _change_keys(
    rt: Runtime, tx: Transaction, channel: Channel, secrets: Sequence[str]
) -> bool:
    """Add the keys that are new and remove those that are gone; they drain."""
    present = {
        rt.sealer.unseal(key.secret, f"key:{key.id}"): key
        for key in channel.usable_keys
    }
    new = [secret for secret in secrets if secret not in present]
    gone = [key for secret, key in present.items() if secret not in secrets]
    for key in gone:
        channels.remove_key(tx, key)
    count = len(channel.keys)
    for n, secret in enumerate(new, count + 1):
        _add_key(rt, tx, channel.id, f"key-{n}", secret)
    return bool(new or gone)


def _add_key(
    rt: Runtime, tx: Transaction, channel_id: str, name: str, secret: str
) -> None:
    key_id = channels.new_key_id()
    channels.add_key(
        tx,
        key_id=key_id,
        channel_id=channel_id,
        name=name,
        secret=rt.sealer.seal(secret, f"key:{key_id}"),
    )


def _checked(plan: ChannelPlan, providers: Mapping[str, Provider]) -> dict[str, Any]:
    """The columns of a plan; `WrongAccount` names the part that is wrong."""
    provider = providers.get(plan.provider)
    if provider is None:
        raise WrongAccount(
            f"provider {plan.provider!r} is unknown; known are {', '.join(providers)}"
        )
    if not plan.name or len(plan.name) > 60 or not plan.name.isprintable():
        raise WrongAccount("a channel's name is 1 to 60 printable characters")
    base_url = (plan.base_url or provider.base_url).rstrip("/")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise WrongAccount(
            f"base URL {base_url!r} must be http(s)://host[:port][/path] without query"
        )
    for secret in plan.secrets or ("",):
        if not secret or not secret.isascii() or not secret.isprintable():
            raise WrongAccount("a secret must be printable ASCII and not empty")
    if len(set(plan.secrets)) != len(plan.secrets):
        raise WrongAccount("a secret is given twice")
    if not 0 <= plan.weight <= 1_000_000:
        raise WrongAccount("the weight must be between 0 and 1000000")
    if not -1000 <= plan.priority <= 1000:
        raise WrongAccount("the priority must be between -1000 and 1000")
    for name, upstream in plan.models.items():
        if provider.describe(upstream) is None:
            raise WrongAccount(
                f"model {upstream!r} (for {name!r}) is not one of "
                f"{provider.name}: {', '.join(m.name for m in provider.models[:40])}"
            )
    return {
        "name": plan.name,
        "provider": plan.provider,
        "base_url": base_url,
        "groups": list(plan.groups),
        "models": dict(plan.models),
        "weight": plan.weight,
        "priority": plan.priority,
        "limits": dict(plan.limits),
        "settings": dict(plan.settings),
        "enabled": plan.enabled,
    }


def from_environment(
    env: Mapping[str, str], providers: Mapping[str, Provider]
) -> list[ChannelPlan]:
    """A channel for each provider whose key the environment holds, under its own name.

    A provider that needs a base URL of its own (`SUNO_BASE_URL`) gets it from there.
    """
    plans = []
    for provider in providers.values():
        secret = next((env[name] for name in provider.env if env.get(name)), None)
        prefix = provider.name.upper().replace("-", "_")
        # Some have no address of their own: whose proxy it is must be said.
        homeless = urlsplit(provider.base_url).hostname in LOOPBACK
        if secret and not (homeless and not env.get(f"{prefix}_BASE_URL")):
            plans.append(
                ChannelPlan(
                    name=provider.name,
                    provider=provider.name,
                    base_url=env.get(f"{prefix}_BASE_URL") or None,
                    secrets=(secret,),
                )
            )
    return plans


def sandbox_plans(
    sandbox_url: str, providers: Mapping[str, Provider]
) -> list[ChannelPlan]:
    """A channel for each provider, leading to the simulated upstream."""
    return [
        ChannelPlan(
            name=f"sandbox-{provider.name}",
            provider=provider.name,
            base_url=sandbox_url.rstrip("/") + provider.sandbox_path,
            secrets=(SANDBOX_SECRET,),
            limits={"poll_spacing_s": 0.0},  # it lives here and is quick
        )
        for provider in providers.values()
        if provider.sandbox_path
    ]


def settle(
    rt: Runtime,
    tx: Transaction,
    plans: Sequence[ChannelPlan],
    providers: Mapping[str, Provider],
    *,
    origin: str,
) -> dict[str, list[str]]:
    """Make the channels of one origin be exactly these; gives what was done.

    Channels of other origins are left alone; a name that another origin uses is taken
    over. Keys: `added`, `changed`, `removed`, `unchanged`.
    """
    done: dict[str, list[str]] = {
        "added": [],
        "changed": [],
        "removed": [],
        "unchanged": [],
    }
    present = {channel.name: channel for channel in channels.list_all(tx)}
    for plan in plans:
        try:
            if plan.name not in present:
                add_channel(rt, tx, plan, providers, origin=origin)
                what = "added"
            elif change_channel(
                rt, tx, present[plan.name], plan, providers, origin=origin
            ):
                what = "changed"
            else:
                what = "unchanged"
        except WrongAccount as error:
            raise WrongAccount(f"channel {plan.name!r}: {error}") from error
        done[what].append(plan.name)
    wanted = {plan.name for plan in plans}
    for channel in present.values():
        if channel.origin == origin and channel.name not in wanted:
            channels.remove(tx, channel)
            done["removed"].append(channel.name)
    return done
