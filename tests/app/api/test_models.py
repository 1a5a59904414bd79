"""Which models a key may use, and what each takes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from app.store import durations
from app.store.durations import Ended
from app.store.models import channels as channels_table
from tests.app.api.gateways import Gateway, add_client, data


def names(gateway: Gateway, query: str = "") -> list[str]:
    answer = gateway.get(f"/generation/models{query}")
    return [model["id"] for model in data(answer)["models"]]


def changed(gateway: Gateway, name: str, **values: Any) -> None:
    with gateway.rt.transaction() as tx:
        tx.execute(
            update(channels_table).where(channels_table.c.name == name).values(**values)
        )


def test_every_served_model_is_listed(gateway: Gateway) -> None:
    found = names(gateway)
    assert found == sorted(found)
    assert {"lumen-1", "lumen-video", "vela-1"} <= set(found)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?media_type=video", ["lumen-video"]),
        ("?q=SPEECH", ["lumen-speech"]),
        ("?media_type=audio&q=lumen", ["lumen-speech"]),
        ("?q=nothing", []),
    ],
)
def test_the_list_can_be_narrowed(
    gateway: Gateway, query: str, found: list[str]
) -> None:
    assert names(gateway, query) == found


@pytest.mark.parametrize("query", ["?media_type=smell", "?page=2", "?q=a&q=b"])
def test_other_queries_are_refused(gateway: Gateway, query: str) -> None:
    assert gateway.get(f"/generation/models{query}").status_code == 400


def test_one_model_tells_its_limits_and_a_body(gateway: Gateway) -> None:
    told = data(gateway.get("/generation/models/lumen-video"))
    assert told["media_type"] == "video"
    assert told["limits"]["durations"] == [5.0, 10.0]
    assert told["limits"]["resolutions"] == ["720P", "1080P"]
    assert told["duration"]["from_tasks"] == 0
    assert gateway.post(told["example"]).status_code == 200


def test_providers_of_one_name_are_told_apart(gateway: Gateway) -> None:
    told = data(gateway.get("/generation/models/lumen-1"))
    assert told["providers"] == ["lumen", "vela"]
    assert [o["limits"]["max_n"] for o in told["offers"]] == [4, 8]


def test_duration_is_learned_from_past_tasks(gateway: Gateway) -> None:
    job = Ended(gateway.channel().id, "lumen-video", 30.0, 200.0, 200.0, False)
    with gateway.rt.transaction() as tx:
        durations.learn(tx, [job] * 40)

    told = data(gateway.get("/generation/models/lumen-video"))["duration"]

    assert told["from_tasks"] == 40
    assert told["usual_s"] == pytest.approx(200, rel=0.2)


def test_names_with_slashes_are_found(gateway: Gateway) -> None:
    changed(gateway, "main", models={"studio/pier/v2": "lumen-1"})
    assert data(gateway.get("/generation/models/studio/pier/v2"))["id"] == (
        "studio/pier/v2"
    )
    assert gateway.get("/v1/models/studio/pier/v2").json["id"] == "studio/pier/v2"  # type: ignore[index]


def test_unknown_name_lists_close_ones(gateway: Gateway) -> None:
    answer = gateway.get("/generation/models/lumen-vide")
    assert answer.status_code == 400
    assert answer.json["code"] == "model_not_found"  # type: ignore[index]
    assert "lumen-video" in answer.json["message"]  # type: ignore[index]


def test_models_of_other_groups_and_of_disabled_channels_are_not_shown(
    gateway: Gateway,
) -> None:
    changed(gateway, "main", groups=["studio"])
    changed(gateway, "second", enabled=False)
    assert names(gateway) == []
    assert gateway.get("/generation/models/lumen-video").status_code == 400
    assert gateway.get("/v1/models").json["data"] == []  # type: ignore[index]


def test_openai_clients_find_the_same_names(gateway: Gateway) -> None:
    listed = gateway.get("/v1/models").json
    assert listed is not None
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == names(gateway)
    assert listed["data"][0] == {
        "id": "lumen-1",
        "object": "model",
        "created": 0,
        "owned_by": "lumen",
        "supported_endpoint_types": ["generation-task"],
    }


@pytest.mark.parametrize(
    "path", ["/generation/models", "/generation/models/lumen-1", "/v1/models"]
)
def test_a_key_that_may_read_is_needed(gateway: Gateway, path: str) -> None:
    assert gateway.http.get(path).status_code == 401
    gateway.key, _ = add_client(gateway.rt, "writer", ["tasks:write"])
    assert gateway.get(path).status_code == 403
