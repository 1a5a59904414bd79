"""The runtime: opened with the right key or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from app.bells import Bell
from app.provider_files import BUILT_IN, WrongProviderFiles
from app.runtime import no_ring, open_runtime, running
from app.security.sealing import SealError
from app.settings import Settings
from app.wsgi import WEB_PROCESS, create_app
from tests.app.store.stores import sqlite_url

ONE, TWO = "1f2e3d4c5b6a79880a1b2c3d4e5f6071", "9081f2e3d4c5b6a7980a1b2c3d4e5f60"


def settings(folder: Path, **variables: str) -> Settings:
    env = {
        "GENRELAY_DATA": str(folder),
        "GENRELAY_SECRET_KEY": ONE,
        "DATABASE_URL": f"sqlite:///{folder}/store.db",
        **variables,
    }
    return Settings.from_env(env)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sqlite_url(tmp_path)
    return tmp_path


def test_runtime_opens_again_with_the_same_key(folder: Path) -> None:
    for _ in range(2):
        with running(settings(folder), no_ring) as rt:
            assert rt.sealer.unseal(rt.sealer.seal("x", "a"), "a") == "x"


def test_store_of_another_key_is_not_opened(folder: Path) -> None:
    with running(settings(folder), no_ring):
        pass
    with pytest.raises(SealError):
        open_runtime(settings(folder, GENRELAY_SECRET_KEY=TWO), no_ring)


def test_store_of_a_former_key_is_opened_when_that_is_given_too(folder: Path) -> None:
    with running(settings(folder), no_ring):
        pass
    rotated = settings(folder, GENRELAY_SECRET_KEY=TWO, GENRELAY_OLD_SECRET_KEYS=ONE)
    with running(rotated, no_ring) as rt:
        assert rt.sealer.unseal(rt.sealer.seal("x", "a"), "a") == "x"


def test_keys_for_different_purposes_are_different(folder: Path) -> None:
    with running(settings(folder), no_ring) as rt:
        keys = {rt.api_key_pepper, rt.link_key, rt.callback_key}
    assert len(keys) == 3
    assert {len(key) for key in keys} == {32}


def test_text_of_a_runtime_shows_no_key(folder: Path) -> None:
    with running(settings(folder), no_ring) as rt:
        shown = repr(rt)
        for key in (rt.api_key_pepper, rt.link_key, rt.callback_key):
            assert repr(key) not in shown
    assert ONE not in shown


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"GENRELAY_WEB_HOST": "0.0.0.0"}, "http://127.0.0.1:8000"),
        ({"GENRELAY_WEB_PORT": "9"}, "http://127.0.0.1:9"),
        ({"GENRELAY_PUBLIC_URL": "https://g.example/api/"}, "https://g.example/api"),
    ],
)
def test_public_url_has_no_slash_at_its_end(
    folder: Path, variables: dict[str, str], wanted: str
) -> None:
    with running(settings(folder, **variables), no_ring) as rt:
        assert rt.public_url == wanted


def test_transaction_and_reading_are_the_stores(folder: Path) -> None:
    with running(settings(folder), no_ring) as rt:
        with rt.transaction() as tx:
            tx.exec_driver_sql("INSERT INTO facts (name, value) VALUES ('a', x'00')")
        with rt.reading() as tx:
            names = tx.exec_driver_sql("SELECT name FROM facts").scalars().all()
    assert "a" in names


def test_ring_is_the_one_that_was_given(folder: Path) -> None:
    rung: list[Bell] = []
    with running(settings(folder), rung.append) as rt:
        rt.ring(Bell.POLL)
        replace(rt, ring=no_ring).ring(Bell.POLL)
    assert rung == [Bell.POLL]


def test_providers_of_files_stand_among_the_built_in_ones(folder: Path) -> None:
    declared = str(Path(__file__).parents[2] / "deploy" / "providers")
    with running(settings(folder), no_ring) as rt:
        assert rt.providers is BUILT_IN
    with running(settings(folder, GENRELAY_PROVIDERS=declared), no_ring) as rt:
        assert rt.providers.keys() - BUILT_IN.keys() == {"mothlight"}
        web = create_app(rt).extensions[WEB_PROCESS]
        assert web.providers is rt.providers
        web.close()


def test_wrong_file_of_a_provider_stops_the_start(folder: Path) -> None:
    declared = folder / "providers"
    declared.mkdir()
    (declared / "acme.yaml").write_text("name: acme!\n", encoding="utf-8")
    with pytest.raises(WrongProviderFiles, match=r"acme\.yaml:1: name: is 'acme!'"):
        open_runtime(settings(folder, GENRELAY_PROVIDERS=str(declared)), no_ring)


def test_store_that_was_not_migrated_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        open_runtime(settings(tmp_path), no_ring)
