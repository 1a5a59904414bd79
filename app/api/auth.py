"""From an API key to the client that it belongs to, and to what it may do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import StrEnum
from typing import ParamSpec, TypeVar

from flask import g, request

from app.api.memory import Memory
from app.errors import NotAllowed, NotAuthenticated
from app.runtime import Runtime
from app.security import api_keys
from app.store import clients
from app.store.clients import Client

P = ParamSpec("P")
T = TypeVar("T")

# A revoked key works no longer than this, and a busy one costs one look each time.
REMEMBERED_S = 4.0
REMEMBERED_KEYS = 10_000

EVERYTHING = "*"


class Scope(StrEnum):
    """What a key may be allowed to do."""

    WRITE = "tasks:write"
    READ = "tasks:read"
    ADMIN = "admin"


Clients = Memory[bytes, Client]


def new_memory() -> Clients:
    """What one process remembers of the keys in use."""
    return Memory(REMEMBERED_S, REMEMBERED_KEYS)


def needs(scope: Scope) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a view run only with a key that has `scope`; sets `g.client`."""

    def wrap(view: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            g.client = authenticate(scope)
            return view(*args, **kwargs)

        return guarded

    return wrap


def authenticate(scope: Scope) -> Client:
    """The client of this request; raises NotAuthenticated or NotAllowed."""
    client = _find_client(g.rt, g.web.clients, read_key())
    if client is None:
        raise NotAuthenticated("this API key is unknown, revoked or expired")
    if not may(client, scope):
        raise NotAllowed(f"this API key has no scope {scope.value}")
    return client


def read_key() -> str:
    """The well-formed key of this request; raises NotAuthenticated."""
    header = request.headers.get("Authorization", "")
    scheme, _, key = header.partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise NotAuthenticated("send the API key as: Authorization: Bearer sk-...")
    if not api_keys.is_well_formed(key):
        raise NotAuthenticated("this is no API key of this gateway: it was mistyped")
    return key


def may(client: Client, scope: Scope) -> bool:
    """Whether a client has a scope; one with none listed has all but `admin`."""
    if scope in client.scopes:
        return True
    return scope is not Scope.ADMIN and (
        not client.scopes or EVERYTHING in client.scopes
    )


def _find_client(rt: Runtime, memory: Clients, key: str) -> Client | None:
    key_hash = api_keys.hash_key(key, rt.api_key_pepper)
    known = memory.find(key_hash)
    if known is not None:
        return known
    since = memory.now()
    with rt.reading() as tx:
        client = clients.find_by_key_hash(tx, key_hash)
    if client is None:
        client = _find_by_old_pepper(rt, key, key_hash)
    return None if client is None else memory.keep(key_hash, client, since=since)


def _find_by_old_pepper(rt: Runtime, key: str, key_hash: bytes) -> Client | None:
    """The client of a key that was hashed before the secret key was rotated.

    Its hash is made anew, so that the old secret key may be dropped one day.
    """
    for pepper in rt.old_api_key_peppers:
        with rt.reading() as tx:
            client = clients.find_by_key_hash(tx, api_keys.hash_key(key, pepper))
        if client is not None:
            with rt.transaction() as tx:
                clients.change(tx, client.id, key_hash=key_hash)
            return client
    return None
