"""Tasks: submit, read, list, cancel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, g, request

from app import answers, cancellation, capabilities, catalog
from app.api import cursors, dry_runs, idempotency, uploads, waiting
from app.api.auth import Scope, may, needs
from app.api.problems import success
from app.api.queries import read_once, read_query
from app.api.schemas import LIST_QUERY
from app.api.task_requests import TaskRequest, load, read_task_request
from app.api.uploads import Image
from app.api.web_process import WebProcess
from app.bells import Bell
from app.catalog import Offer
from app.errors import InvalidRequest, ModelNotFound, TaskNotFound
from app.lifecycle import FINAL, STATUSES, State
from app.store import client_limits, ledger, task_lists, tasks
from app.store import idempotency as kept_answers
from app.store.ids import new_task_id
from app.store.tasks import NewTask, Task

bp = Blueprint("tasks", __name__)

ROUTE = "/generation/tasks"
ALIAS = "/v1/generation/tasks"
TASK_ID = re.compile(r"task_[0-9a-f]{32}")
USUAL_LIMIT = 20


@bp.post(ROUTE)
@bp.post(ALIAS)
@needs(Scope.WRITE)
def submit() -> Response:
    """Take one task; its row is committed before the answer is sent."""
    if dry_runs.is_wanted(read_once("dry_run")):
        return _try_out()
    key = idempotency.read_key(request.headers)
    headers = _take_turn()
    with ExitStack() as files:
        limit = g.rt.settings.max_upload_bytes
        wanted = read_task_request(request, files, max_upload_bytes=limit)
        images = uploads.read_images(wanted.images, files, limit)
        body_hash = idempotency.body_hash(wanted, images) if key else b""
        first = _find_first_answer(key, body_hash)
        answer = first or _add(wanted, images, key, body_hash)
    if first:
        return _answer(answer, {**headers, "Idempotent-Replayed": "true"})
    g.rt.ring(Bell.SUBMIT)
    return _answer(answer, headers)


def _try_out() -> Response:
    """Check a task as if it were sent, and show the call that would leave."""
    headers = _take_turn()
    rt, web = g.rt, g.web
    with ExitStack() as files:
        limit = rt.settings.max_upload_bytes
        wanted = read_task_request(request, files, max_upload_bytes=limit)
        images = uploads.read_images(wanted.images, files, limit)
        chosen = choose(web, wanted, len(images))
        if wanted.callback_url:
            web.callback_urls.check(wanted.callback_url)
        types = uploads.check_images(images, rt.settings.max_image_pixels)
    sent = dry_runs.sent_images(images, types)
    inputs = {**chosen.inputs, "metadata": wanted.metadata, "images": sent}
    data = dry_runs.describe(rt, wanted.model, inputs, chosen.fit, group=g.client.group)
    if may(g.client, Scope.ADMIN):
        return success(data, headers)
    return success({**data, "channel": None}, headers)


def _take_turn() -> dict[str, str]:
    """Count this request against the client's rate; gives `RateLimit-*` headers."""
    if "requests_per_s" not in g.client.limits:
        return {}
    with g.rt.transaction() as tx:
        room = client_limits.take_turn(tx, g.client.id, g.client.limits)
    assert room is not None
    return {
        "RateLimit-Limit": str(room.limit),
        "RateLimit-Remaining": str(room.remaining),
        "RateLimit-Reset": str(room.reset_s),
    }


@bp.get(f"{ROUTE}/<task_id>")
@bp.get(f"{ALIAS}/<task_id>")
@needs(Scope.READ)
def read(task_id: str) -> Response:
    """One task; `?wait=N` answers at its next change of status."""
    wait_s = waiting.read_wait(read_once("wait"))
    task = get_task(task_id)
    if wait_s and not task.is_final:
        seen = STATUSES[task.state]
        g.web.waiting.wait(task_id, lambda state: STATUSES[state] != seen, wait_s)
        task = get_task(task_id)
    return success(answers.task_data(g.rt, task, base_url=base_url()), {})


@bp.get(ROUTE)
@bp.get(ALIAS)
@needs(Scope.READ)
def read_list() -> Response:
    """The client's tasks, the newest first, page by page."""
    query = load(LIST_QUERY, read_query())
    limit = query.get("limit", USUAL_LIMIT)
    cursor = query.get("cursor")
    key, client_id = g.rt.link_key, g.client.id
    with g.rt.reading() as tx:
        found = task_lists.list_tasks(
            tx,
            client_id,
            states=_states_of(query.get("status")),
            media_type=query.get("media_type"),
            model=query.get("model"),
            after=cursors.read_cursor(key, client_id, cursor) if cursor else None,
            limit=limit + 1,
        )
    page, more = found[:limit], len(found) > limit
    place = task_lists.Place(page[-1].created_at, page[-1].id) if more else None
    # Files within a list would make it arbitrarily large: they have links here.
    linked = [replace(task, response_format="url") for task in page]
    data = {
        "tasks": [answers.task_data(g.rt, t, base_url=base_url()) for t in linked],
        "next_cursor": cursors.make_cursor(key, client_id, place) if place else None,
    }
    return success(data, {})


@bp.post(f"{ROUTE}/<task_id>/cancel")
@bp.post(f"{ALIAS}/<task_id>/cancel")
@needs(Scope.WRITE)
def cancel(task_id: str) -> Response:
    """End a task that has not ended; what it has cost by then stays spent."""
    check_task_id(task_id)
    task = cancellation.cancel(g.rt, task_id, g.client.id)
    return success(answers.task_data(g.rt, task, base_url=base_url()), {})


def get_task(task_id: str) -> Task:
    """The client's task; an unknown id and another client's are the same."""
    check_task_id(task_id)
    with g.rt.reading() as tx:
        return tasks.get(tx, task_id, g.client.id)


def check_task_id(task_id: str) -> None:
    """Raise TaskNotFound for a text that can be no id, without asking the store."""
    if TASK_ID.fullmatch(task_id) is None:
        raise TaskNotFound(f"there is no task {task_id[:60]!r}")


def base_url() -> str | None:
    """Where the client reached us, unless the operator says where we are."""
    if g.rt.settings.public_url:
        return None
    return request.host_url.rstrip("/")


@dataclass(frozen=True)
class _Choice:
    """A model that can do what is asked for, and the inputs in its own words."""

    offer: Offer
    inputs: Mapping[str, Any]
    fit: Sequence[Offer]  # every one that may take it


def _add(
    wanted: TaskRequest, images: Sequence[Image], key: str | None, body_hash: bytes
) -> dict[str, Any]:
    """Store the files, then the task, then give the answer's data."""
    rt, web = g.rt, g.web
    # What to check needs no bytes: how many images there are.
    chosen = choose(web, wanted, len(images))
    if wanted.callback_url:
        web.callback_urls.check(wanted.callback_url)
    types = uploads.check_images(images, rt.settings.max_image_pixels)
    task_id = new_task_id()
    with uploads.stored(rt.storage, task_id, images, types) as kept_images:
        new = NewTask(
            id=task_id,
            model=wanted.model,
            media_type=chosen.offer.model.media_type.value,
            inputs={**chosen.inputs, **({"images": kept_images} if images else {})},
            metadata=wanted.metadata,
            response_format=wanted.response_format,
            callback_url=wanted.callback_url,
        )
        # Asked before the transaction: a thread that holds one connection and waits for
        # another would stop all, once every connection is held so.
        costs = web.has_prices()
        if key is None and not costs and not client_limits.has_limits(g.client.limits):
            return _accepted(new, web.additions.add(g.client.id, new))
        with rt.transaction() as tx:
            client_limits.check_room(tx, g.client.id, g.client.limits)
            created_at = tasks.add(tx, g.client.id, new)
            if costs:
                names = [offer.channel.name for offer in chosen.fit]
                ledger.hold(tx, g.client.id, task_id, new.model, names, new.inputs)
            answer = _accepted(new, created_at)
            if key:
                kept_answers.keep(
                    tx,
                    g.client.id,
                    ROUTE,
                    key,
                    body_hash=body_hash,
                    task_id=task_id,
                    answer=answer,
                    kept_s=rt.settings.idempotency_ttl_s,
                )
    return answer


def _accepted(new: NewTask, created_at: int) -> dict[str, Any]:
    named = {"id": new.id, "media_type": new.media_type, "model": new.model}
    return answers.accepted(named, created_at)


def choose(web: WebProcess, wanted: TaskRequest, image_count: int) -> _Choice:
    """The first offer that can express the request.

    Raises ModelNotFound, or InvalidRequest with what keeps the nearest offer from it.
    """
    channels = catalog.open_to(web.channels(), g.client.group)
    offers = catalog.offers(channels, web.providers, wanted.model)
    if not offers:
        raise _unknown_model(web, wanted.model)
    inputs = {**wanted.inputs, "images": (None,) * image_count}
    refusals, fit = [], []
    for offer in offers:
        problems = capabilities.find_problems(inputs, offer.model, wanted.names)
        if problems:
            refusals.append(problems)
        else:
            fit.append(offer)
    if fit:
        action = capabilities.action_for(inputs.get("action"), fit[0].model)
        return _Choice(fit[0], {**wanted.inputs, "action": action}, fit)
    nearest = min(refusals, key=len)
    field, texts = next(iter(nearest.items()))
    raise InvalidRequest(f"{field} {texts[0]}", errors=nearest)


def _find_first_answer(key: str | None, body_hash: bytes) -> Mapping[str, Any] | None:
    if key is None:
        return None
    kept_s = g.rt.settings.idempotency_ttl_s
    with g.rt.reading() as tx:
        kept = kept_answers.find(tx, g.client.id, ROUTE, key, kept_s=kept_s)
    if kept is None:
        return None
    idempotency.check_same(kept, body_hash)
    return kept.answer


def _answer(data: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """The answer to a submit, held back when the client prefers to wait."""
    task_id = data["task_id"]
    headers = {"Location": f"{ROUTE}/{task_id}", **headers}
    wait_s = waiting.read_preference(request.headers.get("Prefer", ""))
    if wait_s and g.web.waiting.wait(task_id, FINAL.__contains__, wait_s):
        headers["Preference-Applied"] = f"wait={wait_s}"
        data = answers.task_data(g.rt, get_task(task_id), base_url=base_url())
    return success(data, headers)


def _unknown_model(web: WebProcess, name: str) -> ModelNotFound:
    names = catalog.model_names(web.channels(), web.providers)
    text = catalog.unknown_model(name, names)
    return ModelNotFound(text, errors={"model": [text]})


def _states_of(status: str | None) -> list[State]:
    return [state for state, word in STATUSES.items() if word == status]
