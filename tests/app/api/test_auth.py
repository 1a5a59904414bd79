"""API keys: who is let in, for how long, and what for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.api import auth
from app.api.memory import Memory
from app.security import api_keys
from app.store import clients
from app.wsgi import create_app
from tests.app.api.gateways import PROVIDERS, Clock, Gateway, add_client

PATH = "/generation/tasks"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer sk-1",
        "Bearer " + "x" * 5000,
        "Bearer sk-ä",
        pytest.param(api_keys.make_key(), id="a key without its scheme"),
        pytest.param(f"Bearer {api_keys.make_key()}", id="a key that nobody has"),
    ],
)
def test_without_a_known_key_nobody_is_let_in(
    gateway: Gateway, header: str | None
) -> None:
    headers = (
        {} if header is None else {"Authorization": header.encode().decode("latin1")}
    )

    answer = gateway.http.get(PATH, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (401, "invalid_api_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_scheme_is_read_in_any_case(gateway: Gateway) -> None:
    headers = {"Authorization": f"bearer {gateway.key}"}

    assert gateway.http.get(PATH, headers=headers).status_code == 200


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_key_that_ended_stops_within_five_seconds(gateway: Gateway, end: str) -> None:
    seconds = Clock(0)
    memory = Memory[bytes, clients.Client](auth.REMEMBERED_S, 10, seconds)
    object.__setattr__(gateway.web, "clients", memory)
    expires_at = int(gateway.clock() * 1000) + 2000
    key, _ = add_client(
        gateway.rt, "ends", expires_at=expires_at if end == "expired" else None
    )
    headers = {"Authorization": f"Bearer {key}"}
    assert gateway.http.get(PATH, headers=headers).status_code == 200

    with gateway.rt.transaction() as tx:
        if end == "revoked":
            clients.revoke(tx, "ends")
    gateway.clock.now += 5
    seconds.now += 5

    assert gateway.http.get(PATH, headers=headers).status_code == 401


def test_a_key_in_use_is_looked_up_once(gateway: Gateway) -> None:
    gateway.get(PATH)
    with gateway.rt.transaction() as tx:
        clients.revoke(tx, "first")

    assert gateway.get(PATH).status_code == 200  # remembered for a moment


def test_an_unknown_key_is_not_remembered(gateway: Gateway) -> None:
    key = api_keys.make_key()
    headers = {"Authorization": f"Bearer {key}"}
    assert gateway.http.get(PATH, headers=headers).status_code == 401

    with gateway.rt.transaction() as tx:
        clients.add(
            tx,
            client_id="client_new",
            name="new",
            key_hash=api_keys.hash_key(key, gateway.rt.api_key_pepper),
            key_prefix="sk-",
            scopes=[],
            webhook_secret=b"",
        )

    assert gateway.http.get(PATH, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        ([], 200, 200),
        (["*"], 200, 200),
        (["tasks:read"], 200, 403),
        (["tasks:write"], 403, 200),
        (["tasks:read", "tasks:write"], 200, 200),
        (["admin"], 403, 403),
    ],
)
def test_a_key_may_do_what_its_scopes_say(
    gateway: Gateway, scopes: Sequence[str], reads: int, writes: int
) -> None:
    key, _ = add_client(gateway.rt, "scoped", scopes)
    headers = {"Authorization": f"Bearer {key}"}
    body = {"model": "lumen-free", "prompt": "a"}

    assert gateway.http.get(PATH, headers=headers).status_code == reads
    answer = gateway.http.post(PATH, json=body, headers=headers)
    assert answer.status_code == writes
    if writes == 403:
        assert answer.json["code"] == "not_allowed"


@pytest.mark.parametrize(
    ("scopes", "is_admin"), [((), False), (("*",), False), (("admin",), True)]
)
def test_admin_must_be_listed(scopes: tuple[str, ...], is_admin: bool) -> None:
    client = clients.Client(
        id="c",
        name="n",
        key_prefix="sk-",
        scopes=scopes,
        group="default",
        priority=1,
        limits={},
        created_at=0,
        expires_at=None,
        revoked_at=None,
    )

    assert auth.may(client, auth.Scope.ADMIN) is is_admin


def test_memory_forgets_when_it_is_full() -> None:
    memory = Memory[str, int](10, 2)
    for key in "abc":
        memory.get(key, lambda: 1)

    assert [memory.find(key) for key in "abc"] == [None, None, 1]


def test_key_made_before_the_secret_key_was_rotated_still_works(
    gateway: Gateway,
) -> None:
    rotated = replace(
        gateway.rt,
        api_key_pepper=b"n" * 32,
        old_api_key_peppers=(gateway.rt.api_key_pepper,),
    )
    headers = {"Authorization": f"Bearer {gateway.key}"}
    path = "/generation/tasks"
    both = create_app(rotated, PROVIDERS).test_client()
    assert both.get(path, headers=headers).status_code == 200
    # Its hash was made anew meanwhile: the old secret key may go.
    new_only = create_app(replace(rotated, old_api_key_peppers=()), PROVIDERS)
    assert new_only.test_client().get(path, headers=headers).status_code == 200
