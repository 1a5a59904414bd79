from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.api.gateways import Gateway, make_gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway on SQLite."""
    made = make_gateway(tmp_path)
    yield made
    made.web.close()
    made.rt.database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway on SQLite, and one on PostgreSQL where one answers."""
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    made = make_gateway(tmp_path, database_url=url)
    yield made
    made.web.close()
    made.rt.database.close()
