"""Declared providers: the example's flows, and all that a declaration can say."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import provider_files
from app.capabilities import find_problems
from providers import declared, errors
from providers.declared import (
    Cancel,
    Declaration,
    Failures,
    Hook,
    ImageForm,
    Key,
    KeyPlace,
    Problems,
    Request,
    Results,
    Signature,
    Status,
    Submit,
    Unit,
    read_path,
)
from providers.flow import Call, Flow
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    Failure,
    GenerationRequest,
    MediaType,
    Model,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

EXAMPLE = Path(__file__).parents[2] / "deploy" / "providers" / "mothlight.yaml"
MOTHLIGHT = provider_files.read([EXAMPLE])["mothlight"]
ID = "gen_5d0c11b7a2"
REMOTE = Remote(ID)
PNG = raw(b"\x89PNG\r\n\x1a\n", "image/png")
BASE64 = "iVBORw0KGgo="
DATA_URL = f"data:image/png;base64,{BASE64}"
LINK = "https://cdn.example.com/1.png?sig=a%2Bb"

A_MODEL = Model(name="m", media_type=MediaType.IMAGE)
SUBMIT = Submit(
    request=Request(method="POST", path="/jobs", body={"text": "{prompt}"}),
    id=("job", "id"),
)
STATUS = Status(
    request=Request(method="GET", path="/jobs/{id}"),
    word=("state",),
    words={"new": Phase.PENDING, "busy": Phase.RUNNING, "done": Phase.SUCCEEDED}
    | {"bad": Phase.FAILED, "7": Phase.SUCCEEDED, "true": Phase.SUCCEEDED},
)


def a_provider(**changes: Any) -> Provider:
    """A provider whose declaration says little else than this."""
    told = Declaration(
        name="acme",
        title="Acme",
        base_url="https://api.acme.example",
        models=(A_MODEL,),
        submit=SUBMIT,
        status=STATUS,
        results=Results(url=("url",)),
    )
    return declared.provider(replace(told, **changes))


def submitting(body: Any, **changes: Any) -> Provider:
    """A provider that submits with this body."""
    request = replace(SUBMIT.request, body=body)
    return a_provider(submit=replace(SUBMIT, request=request, **changes))


def still(**fields: Any) -> GenerationRequest:
    return a_request(model="mothlight-still", prompt="a moth", **fields)


def film(**fields: Any) -> GenerationRequest:
    return a_request(
        model="mothlight-film", media_type=MediaType.VIDEO, prompt="a moth", **fields
    )


def paid(provider: Provider, request: GenerationRequest, *before: Any) -> Call:
    """The paid call that a request leads to."""
    calls = calls_of(provider.submit(request), *before, answer({"job": {"id": "j"}}))
    assert [call.paid for call in calls] == [False] * len(before) + [True]
    return calls[-1]


def body_of(provider: Provider, **fields: Any) -> Any:
    return paid(provider, a_request(model="m", **fields)).json


def look(provider: Provider, *bodies: Any) -> Snapshot:
    return play(provider.poll(Remote("j")), *map(answer, bodies))


# The example


def test_least_request_becomes_the_least_body() -> None:
    (call,) = calls_of(MOTHLIGHT.submit(still()), recorded("mothlight/submit"))
    assert call == Call(
        "POST",
        "/generations",
        headers={"Idempotency-Key": "0123456789abcdef"},
        json={
            "model": "still-2",
            "prompt": "a moth",
            "count": 1,
            "label": "genrelay task_0123456789abcdef0123456789abcdef",
        },
        paid=True,
    )


def test_every_field_has_its_place() -> None:
    request = film(
        negative_prompt="dust",
        images=(an_image_url(), an_upload()),
        aspect_ratio="16:9",
        duration=8.0,
        seed=0,
        callback_url="https://gate.example.com/upstream/x",
    )
    calls = calls_of(MOTHLIGHT.submit(request), PNG, PNG, recorded("mothlight/submit"))
    assert [call.public for call in calls] == [True, True, False]
    assert calls[-1].json == {
        "model": "film-1",
        "prompt": "a moth",
        "avoid": "dust",
        "frames": [DATA_URL, DATA_URL],
        "canvas": {"shape": "16:9"},
        "length": 8,
        "count": 1,
        "seed": 0,
        "label": "genrelay task_0123456789abcdef0123456789abcdef",
        "notify": "https://gate.example.com/upstream/x",
    }
    assert isinstance(calls[-1].json["length"], int)


def test_submit_answers_with_the_id() -> None:
    snapshot = play(MOTHLIGHT.submit(still()), recorded("mothlight/submit"))
    assert snapshot == Snapshot(phase=Phase.PENDING, remote=REMOTE)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("waiting", {"phase": Phase.PENDING, "percent": 0, "look_after_s": 1.5}),
        ("drawing", {"phase": Phase.RUNNING, "percent": 42, "look_after_s": 2.0}),
        ("developing", {"phase": Phase.RUNNING, "percent": 93}),
        ("withdrawn", {"phase": Phase.CANCELLED, "percent": 30}),
    ],
)
def test_each_state_is_read(reply: str, told: dict[str, Any]) -> None:
    (call,) = calls_of(MOTHLIGHT.poll(REMOTE), recorded(f"mothlight/{reply}"))
    assert call == Call("GET", f"/generations/{ID}")
    snapshot = play(MOTHLIGHT.poll(REMOTE), recorded(f"mothlight/{reply}"))
    assert snapshot == Snapshot(remote=REMOTE, **told)


def test_finished_job_has_its_results() -> None:
    snapshot = play(MOTHLIGHT.poll(REMOTE), recorded("mothlight/ready"))
    assert snapshot == Snapshot(
        phase=Phase.SUCCEEDED,
        remote=REMOTE,
        percent=100,
        artifacts=tuple(
            Artifact(
                url=f"https://files.mothlight.example/{ID}/{n}.png?pass=a%2Bb%3D",
                content_type="image/png",
                expires_at=1795361000 + n,
            )
            for n in range(2)
        ),
    )


def test_output_that_is_missing_is_told_beside_the_good_one() -> None:
    snapshot = play(MOTHLIGHT.poll(REMOTE), recorded("mothlight/ready_in_part"))
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 1)
    assert snapshot.failure == Failure(
        Reason.UPSTREAM_FAILED, "1 of 2 outputs are missing"
    )


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        ("ruined", Failure(Reason.UPSTREAM_FAILED, "The lamp broke.", "lamp_broke")),
        ("ruined_unsafe", Failure(Reason.CONTENT_REJECTED, "Held back.", "unsafe")),
        (
            "ruined_frame",
            Failure(Reason.INVALID_REQUEST, "Frame 1 is too dark.", "bad_frame"),
        ),
    ],
)
def test_failed_generation_is_a_value(reply: str, failure: Failure) -> None:
    snapshot = play(MOTHLIGHT.poll(REMOTE), recorded(f"mothlight/{reply}"))
    assert (snapshot.phase, snapshot.failure) == (Phase.FAILED, failure)


REFUSED = [
    ("key_unknown", 401, errors.KeyRefused),
    ("funds_low", 403, errors.QuotaExhausted),
    ("model_unknown", 404, errors.ModelRefused),
    ("unsafe", 422, errors.ContentRejected),
    ("no_such_generation", 404, errors.NotFound),
    ("slow_down", 429, errors.RateLimited),
]


@pytest.mark.parametrize(("code", "status", "kind"), REFUSED)
@pytest.mark.parametrize("flow", ["submit", "poll", "cancel", "test"])
def test_each_code_has_its_class(
    code: str, status: int, kind: type[errors.ProviderError], flow: str
) -> None:
    if (code, flow) == ("no_such_generation", "cancel"):
        return  # a value there
    if flow == "cancel" and status == 404:
        return
    reply = recorded(f"mothlight/problem_{code}", status=status)
    with pytest.raises(errors.ProviderError) as caught:
        play(flow_of(flow), reply)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status) == (code, status)
    assert str(caught.value) == reply.json()["problem"]["text"]


def flow_of(name: str) -> Flow[Any]:
    assert MOTHLIGHT.cancel is not None
    assert MOTHLIGHT.test is not None
    return {
        "submit": MOTHLIGHT.submit(still()),
        "poll": MOTHLIGHT.poll(REMOTE),
        "cancel": MOTHLIGHT.cancel(REMOTE),
        "test": MOTHLIGHT.test(),
    }[name]


def test_wait_in_a_refusal_is_a_hint() -> None:
    with pytest.raises(errors.RateLimited) as caught:
        play(
            MOTHLIGHT.poll(REMOTE), recorded("mothlight/problem_slow_down", status=429)
        )
    assert caught.value.retry_after_s == 7


def test_cancel_withdraws() -> None:
    assert MOTHLIGHT.cancel is not None
    (call,) = calls_of(MOTHLIGHT.cancel(REMOTE), raw(b"", "", 204))
    assert call == Call("POST", f"/generations/{ID}/withdraw")
    assert play(MOTHLIGHT.cancel(REMOTE), raw(b"", "", 204)) is True
    assert play(MOTHLIGHT.cancel(REMOTE), answer({"generation": {}})) is True
    for status in (404, 409):
        assert play(MOTHLIGHT.cancel(REMOTE), answer({}, status=status)) is False


def test_key_is_proved_for_nothing() -> None:
    assert MOTHLIGHT.test is not None
    (call,) = calls_of(MOTHLIGHT.test(), recorded("mothlight/account"))
    assert call == Call("GET", "/account")


def test_key_goes_into_its_header() -> None:
    call = MOTHLIGHT.authorize(Call("GET", "/x"), Credentials("k", {}, 0))
    assert call.headers == {"X-Mothlight-Key": "Token k"}


def test_callback_names_its_job_and_bears_a_signature() -> None:
    body = json.dumps({"generation": {"id": ID}}).encode()
    headers = {
        "x-mothlight-signature": "v1=aa11 v2=zz v1=bb22",
        "x-mothlight-timestamp": "1795361000",
    }
    assert MOTHLIGHT.receive is not None
    heard = MOTHLIGHT.receive(Callback(headers, body), "still-2")
    assert (heard.ids, heard.remote) == ((ID,), REMOTE)
    assert heard.signed is not None
    assert heard.signed.scheme == "hmac-sha256"
    assert heard.signed.message == b"1795361000." + body
    assert heard.signed.signature == "aa11 bb22"
    assert (heard.signed.timestamp, heard.signed.tolerance_s) == (1795361000.0, 300.0)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b'{"generation": {"id": "g"}}'),
        ({"x-mothlight-signature": "v1=aa"}, b'{"generation": {"id": "g"}}'),
        (
            {"x-mothlight-signature": "v2=aa", "x-mothlight-timestamp": "1"},
            b'{"generation": {"id": "g"}}',
        ),
        (
            {"x-mothlight-signature": "v1=aa", "x-mothlight-timestamp": "soon"},
            b'{"generation": {"id": "g"}}',
        ),
        ({"x-mothlight-signature": "v1=aa", "x-mothlight-timestamp": "1"}, b"{}"),
        ({"x-mothlight-signature": "v1=aa", "x-mothlight-timestamp": "1"}, b"<html>"),
    ],
)
def test_callback_that_does_not_fit_is_refused(
    headers: dict[str, str], body: bytes
) -> None:
    assert MOTHLIGHT.receive is not None
    with pytest.raises(errors.UnexpectedReply):
        MOTHLIGHT.receive(Callback(headers, body), "still-2")


def test_facts_of_the_example() -> None:
    assert MOTHLIGHT.idempotent
    assert (MOTHLIGHT.poll_spacing_s, MOTHLIGHT.links_live_s) == (2.0, None)
    assert MOTHLIGHT.env == ("MOTHLIGHT_API_KEY",)


# What is not said is refused


def test_field_that_no_template_places_is_refused() -> None:
    model = submitting({"text": "{prompt}", "w": "{width}"}).models[0]
    assert {"seed", "images", "n", "negative_prompt", "duration"} <= model.refuses
    assert not {"size", "width", "height"} & model.refuses
    problems = find_problems({"prompt": "x", "seed": 7, "n": 1}, model)
    assert list(problems) == ["seed"]
    assert list(find_problems({"prompt": "x", "n": 2}, model)) == ["n"]


@pytest.mark.parametrize(
    ("body", "max_images", "most"),
    [
        ({"first": "{images[0]}"}, None, 1),
        ({"first": "{images[0]}", "last": "{images[1]}"}, None, 2),
        ({"first": "{images[0]}", "last": "{images[1]}"}, 1, 1),
        ({"first": "{images[0]}", "all": "{images}"}, None, None),
        ({"all": "{images}"}, 3, 3),
    ],
)
def test_only_as_many_images_as_have_a_place(
    body: Any, max_images: int | None, most: int | None
) -> None:
    submit = replace(SUBMIT, request=replace(SUBMIT.request, body=body))
    model = declared.limited(replace(A_MODEL, max_images=max_images), submit)
    assert model.max_images == most
    assert "images" not in model.refuses


def test_model_that_is_not_listed_is_not_paid_for() -> None:
    with pytest.raises(errors.ModelRefused):
        play(MOTHLIGHT.submit(a_request(model="mothlight-opera")))


# Templates


@pytest.mark.parametrize(
    ("template", "fields", "made"),
    [
        ("{n}", {"n": 2}, 2),
        ("{prompt}", {"prompt": "a {b} 'c' \n"}, "a {b} 'c' \n"),
        ("no. {n} of {seed}", {"n": 2, "seed": 7}, "no. 2 of 7"),
        ("{{{n}}}", {"n": 2}, "{2}"),
        ("{{n}}", {}, "{n}"),
        ("{width}x{height}", {"width": 4}, declared.ABSENT),
        ({"a": "{n}", "b": 1}, {}, {"b": 1}),
        ({"a": {"b": ["{n}"]}}, {}, declared.ABSENT),
        ({"a": {}, "b": [], "c": None, "d": False}, {}, None),
        (["{n}", "x"], {}, ["x"]),
        ({"a": "{n}%"}, {"n": 0.5}, {"a": "0.5%"}),
        ("{seed} {n}", {"seed": 5.0, "n": True}, "5 true"),
    ],
)
def test_template_is_filled(template: Any, fields: dict[str, Any], made: Any) -> None:
    expected = template if made is None else made
    assert declared.filled(template, fields) == expected


@given(st.text(), st.text())
def test_text_of_a_client_is_never_read_as_a_template(prompt: str, other: str) -> None:
    fields = {"prompt": prompt, "input": other}
    assert declared.filled("{prompt}|{input}", fields) == f"{prompt}|{other}"
    assert declared.filled("{prompt}", fields) == prompt


@pytest.mark.parametrize("text", ["{", "}", "a {b", "{a}}", "{{}"])
def test_brace_alone_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="alone"):
        list(declared.names_in(text))


@pytest.mark.parametrize(
    ("fields", "made"),
    [
        ({"size": "640x480"}, {"s": "640x480", "w": 640, "h": 480}),
        ({"width": 64, "height": 32}, {"s": "64x32", "w": 64, "h": 32}),
        ({"size": "large"}, {"s": "large"}),
        ({}, {}),
    ],
)
def test_size_and_sides_are_made_from_each_other(
    fields: dict[str, Any], made: Any
) -> None:
    provider = submitting({"s": "{size}", "w": "{width}", "h": "{height}"})
    assert body_of(provider, **fields) == made


def test_size_in_words_is_refused_where_sides_are_needed() -> None:
    provider = submitting({"w": "{width}", "h": "{height}"})
    with pytest.raises(errors.Rejected, match="WIDTHxHEIGHT"):
        play(provider.submit(a_request(model="m", size="large")))


def test_prompt_and_input_stand_in_for_each_other() -> None:
    provider = submitting({"p": "{prompt}", "i": "{input}"})
    assert body_of(provider, prompt="a", input=None) == {"p": "a", "i": "a"}
    assert body_of(provider, prompt=None, input="b") == {"p": "b", "i": "b"}
    assert body_of(provider, prompt="a", input="b") == {"p": "a", "i": "b"}
    assert body_of(provider, prompt="", input=None) == {}


@pytest.mark.parametrize(
    ("form", "given_as", "made"),
    [
        (ImageForm.URL, an_image_url(), "https://cdn.example.com/a.png"),
        (ImageForm.URL, an_upload(), DATA_URL),
        (ImageForm.DATA_URL, an_image_url(), DATA_URL),
        (ImageForm.DATA_URL, an_upload(), DATA_URL),
        (ImageForm.BASE64, an_image_url(), BASE64),
        (ImageForm.BASE64, an_upload(), BASE64),
    ],
)
def test_image_comes_in_the_form_that_is_taken(
    form: ImageForm, given_as: Any, made: str
) -> None:
    provider = submitting({"one": "{images[0]}", "two": "{images[1]}"}, images=form)
    fetched = [PNG] if made != "https://cdn.example.com/a.png" else []
    call = paid(provider, a_request(model="m", images=(given_as,)), *fetched)
    assert call.json == {"one": made}


def test_image_that_is_gone_is_not_paid_for() -> None:
    with pytest.raises(errors.Rejected, match="HTTP 404"):
        play(MOTHLIGHT.submit(still(images=(an_image_url(),))), answer({}, status=404))


def test_fields_of_a_path_are_quoted_and_those_of_a_query_are_texts() -> None:
    request = Request(
        method="PUT",
        path="/models/{model}/{action}",
        query={"n": "{n}", "seed": "{seed}"},
        headers={"X-Task": "{task_id}"},
    )
    provider = a_provider(
        submit=replace(SUBMIT, request=request), upstream_names={"m": "acme/m 1"}
    )
    call = paid(provider, a_request(model="m", action="a/b", n=3))
    assert (call.method, call.url) == ("PUT", "/models/acme/m%201/a%2Fb")
    assert call.params == {"n": "3"}
    assert call.headers == {"X-Task": "task_0123456789abcdef0123456789abcdef"}
    assert call.json is None
    (call,) = calls_of(provider.poll(Remote("../a?b")), answer({"state": "new"}))
    assert call.url == "/jobs/..%2Fa%3Fb"


def test_metadata_is_merged_but_not_over_what_is_billed() -> None:
    provider = submitting(
        {
            "model": "{model}",
            "text": "{prompt}",
            "input": {"seed": "{seed}", "ref": "x {task_id}"},
            "hook": {"url": "{callback_url}"},
        }
    )
    metadata = {
        "model": "dear",
        "text": "other",
        "extra": {"a": 1},
        "input": {"ref": "mine", "steps": 3},
        "hook": {"url": "https://evil.example.com"},
    }
    assert body_of(provider, seed=5, metadata=metadata) == {
        "model": "m",
        "text": "other",
        "extra": {"a": 1},
        "input": {
            "seed": 5,
            "ref": "x task_0123456789abcdef0123456789abcdef",
            "steps": 3,
        },
    }
    assert body_of(provider, metadata={"input": "gone"})["input"] != "gone"


# Keys


@pytest.mark.parametrize(
    ("key", "headers", "params"),
    [
        (Key(), {"Authorization": "Bearer k"}, {"a": "1"}),
        (Key(place=KeyPlace.HEADER, name="X-Key"), {"X-Key": "k"}, {"a": "1"}),
        (Key(place=KeyPlace.QUERY, name="key", prefix="p-"), {}, {"a": "1"}),
    ],
)
def test_each_place_of_a_key(
    key: Key, headers: dict[str, str], params: dict[str, str]
) -> None:
    call = Call("GET", "/x", params={"a": "1"})
    ready = a_provider(key=key).authorize(call, Credentials("k", {}, 0))
    assert ready.headers == headers
    more = {"key": "p-k"} if key.place is KeyPlace.QUERY else {}
    assert ready.params == params | more


# Paths


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("id", ("id",)),
        ("data.id", ("data", "id")),
        ("data[0].id", ("data", 0, "id")),
        ("data[*].url", ("data", None, "url")),
        ("a[*][1].b-c_d", ("a", None, 1, "b-c_d")),
        ("数据.网址", ("数据", "网址")),
    ],
)
def test_path_is_read(text: str, steps: tuple[Any, ...]) -> None:
    assert read_path(text) == steps


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "$.a", "a[", "a[]", "a[-1]", "[0]", "a b"]
)
def test_path_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"like data\.outputs"):
        read_path(text)


@pytest.mark.parametrize(
    "value", [None, 7, "text", [], {}, {"a": None}, {"a": []}, {"a": "b"}]
)
def test_path_that_leads_nowhere_finds_nothing(value: Any) -> None:
    assert declared.find(value, ("a", 0)) is None
    assert declared.find(value, ("a", "b")) is None
    with pytest.raises((KeyError, IndexError, TypeError)):
        declared.get(value, ("a", 0))


# Submits and looks


@pytest.mark.parametrize(
    ("body", "job_id"),
    [({"job": {"id": "x-1"}}, "x-1"), ({"job": {"id": 42}}, "42")],
)
def test_id_is_a_text_or_a_number(body: Any, job_id: str) -> None:
    snapshot = play(a_provider().submit(a_request(model="m")), answer(body))
    assert snapshot.remote == Remote(job_id)


@pytest.mark.parametrize(
    "body", [{}, {"job": {}}, *({"job": {"id": i}} for i in ("", None, True, 1.5, []))]
)
def test_accepted_job_without_an_id_is_unexpected(body: Any) -> None:
    with pytest.raises(errors.UnexpectedReply):
        play(a_provider().submit(a_request(model="m")), answer(body))


@pytest.mark.parametrize(
    ("word", "phase"), [("new", Phase.PENDING), (7, Phase.SUCCEEDED)]
)
def test_word_of_a_state_may_be_a_number(word: Any, phase: Phase) -> None:
    assert look(a_provider(), {"state": word, "url": LINK}).phase is phase
    assert look(a_provider(), {"state": True, "url": LINK}).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("word", ["newer", "", None, {}, [], 8, False])
def test_word_that_nobody_listed_is_unexpected(word: Any) -> None:
    with pytest.raises(errors.UnexpectedReply):
        look(a_provider(), {"state": word})


@pytest.mark.parametrize(
    ("unit", "value", "percent"),
    [
        (Unit.PERCENT, 41.6, 42),
        (Unit.PERCENT, "41%", 41),
        (Unit.PERCENT, 100, 99),
        (Unit.FRACTION, 0.5, 50),
        (Unit.FRACTION, "0.25", 25),
        (Unit.FRACTION, 1e300, 99),
        (Unit.PERCENT, -1, None),
        (Unit.PERCENT, math.nan, None),
        (Unit.PERCENT, "half", None),
        (Unit.PERCENT, None, None),
        (Unit.PERCENT, True, None),
        (Unit.PERCENT, [], None),
        (Unit.PERCENT, 10**400, None),
    ],
)
def test_progress_is_read_and_decides_nothing(
    unit: Unit, value: Any, percent: int | None
) -> None:
    status = replace(STATUS, progress=("done",), progress_unit=unit)
    snapshot = look(a_provider(status=status), {"state": "busy", "done": value})
    assert (snapshot.phase, snapshot.percent) == (Phase.RUNNING, percent)


def test_next_look_is_advised_by_the_body_or_a_header() -> None:
    status = replace(STATUS, look_after=("wait",), look_after_header="x-wait")
    provider = a_provider(status=status)
    for body, headers, hint_s in (
        ({"wait": 5}, {"x_wait": "9"}, 5.0),
        ({}, {"x_wait": "9"}, 9.0),
        ({"wait": "soon"}, {}, None),
    ):
        reply = answer({"state": "busy", **body}, **headers)
        assert play(provider.poll(Remote("j")), reply).look_after_s == hint_s


def test_failure_without_words_has_some() -> None:
    snapshot = look(a_provider(), {"state": "bad"})
    assert snapshot.failure == Failure(
        Reason.UPSTREAM_FAILED, "the job failed without a reason"
    )
    failures = Failures(code=("c",), reasons={"5": Reason.CONTENT_REJECTED})
    snapshot = look(a_provider(failure=failures), {"state": "bad", "c": 5})
    assert snapshot.failure == Failure(Reason.CONTENT_REJECTED, "5", "5")


# Results


def results(body: Any, **where: Any) -> tuple[Artifact, ...]:
    provider = a_provider(results=Results(**where))
    return look(provider, {"state": "done", **body}).artifacts


def test_results_are_links() -> None:
    assert results({"url": LINK}, url=("url",)) == (Artifact(url=LINK),)
    assert results({"a": [[LINK], [LINK]]}, url=("a", None, None)) == (
        Artifact(url=LINK),
        Artifact(url=LINK),
    )
    assert results({"u": "/f/1"}, url=("u",), protected=True) == (
        Artifact(url="/f/1", protected=True),
    )


def test_results_are_base64() -> None:
    image = Artifact(content=b"\x89PNG\r\n\x1a\n", content_type="image/png")
    for text in (DATA_URL, BASE64, "iVBO\nRw0KGgo", BASE64.rstrip("=")):
        assert results(
            {"all": [{"b": text}]}, content=("all", None, "b"), content_type="image/png"
        ) == (image,)
    assert results({"url": DATA_URL}, url=("url",)) == (image,)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": None},
        {"url": ""},
        {"url": 7},
        {"url": "file:///etc/passwd"},
        {"url": "/relative"},
        {"url": [LINK]},
        {"url": "data:image/png;base64,"},
        {"url": "data:image/png;base64,!!"},
    ],
)
def test_finished_job_without_results_is_looked_at_again(body: Any) -> None:
    with pytest.raises(errors.UnexpectedReply):
        results(body, url=("url",))


@pytest.mark.parametrize("listed", [[], None, "x", {}, [None], [{}]])
def test_empty_list_of_results_is_unexpected(listed: Any) -> None:
    with pytest.raises(errors.UnexpectedReply):
        results({"all": listed}, url=("all", None, "url"))


@pytest.mark.parametrize(
    ("told", "instant"),
    [
        (1795361000, 1795361000),
        (1795361000.9, 1795361000),
        (1795361000123, 1795361000),
        ("2026-11-22T12:00:00Z", 1795348800),
        ("2026-11-22T12:00:00", 1795348800),
        ("2026-11-22T13:00:00+01:00", 1795348800),
        (None, None),
    ],
)
def test_instant_of_expiry_is_read(told: Any, instant: int | None) -> None:
    (artifact,) = results(
        {"url": LINK, "till": told}, url=("url",), expires_at=("till",)
    )
    assert artifact.expires_at == instant


@pytest.mark.parametrize("told", ["tomorrow", "", True, [], -1, 1e400, 10**400])
def test_instant_that_cannot_be_read_withholds_no_result(told: Any) -> None:
    (artifact,) = results(
        {"url": LINK, "till": told}, url=("url",), expires_at=("till",)
    )
    assert artifact == Artifact(url=LINK)


def test_what_stands_beside_results_belongs_to_each() -> None:
    body = {"all": [{"u": LINK, "t": "image/png"}, {"u": LINK}], "till": 9}
    found = results(
        body,
        url=("all", None, "u"),
        content_type_at=("all", None, "t"),
        content_type="image/webp",
        expires_at=("till",),
    )
    assert [each.content_type for each in found] == ["image/png", "image/webp"]
    assert [each.expires_at for each in found] == [9, 9]
    for types in (["image/png"], None, 7):
        body = {"all": [LINK, LINK], "types": types}
        found = results(body, url=("all", None), content_type_at=("types", None))
        assert [each.content_type for each in found] == [None, None]


def test_results_may_need_a_call_of_their_own() -> None:
    where = Results(
        request=Request(method="POST", path="/results", body={"job": "{id}"}),
        url=("files", None),
    )
    provider = a_provider(results=where)
    done = [answer({"state": "done"}), answer({"files": [LINK]})]
    assert play(provider.poll(Remote("j")), *done).artifacts == (Artifact(url=LINK),)
    calls = calls_of(provider.poll(Remote("j")), *done)
    assert calls[1] == Call("POST", "/results", json={"job": "j"})
    assert look(provider, {"state": "busy"}).phase is Phase.RUNNING
    refused = [done[0], answer({}, status=503)]
    with pytest.raises(errors.Unavailable):
        play(provider.poll(Remote("j")), *refused)


# Errors

PROBLEMS = Problems(
    code=("code",),
    message=("msg",),
    classes={"1001": errors.RateLimited, "1002": errors.KeyRefused},
    fine=frozenset({"0", "ok"}),
    retry_after=("wait",),
)


@pytest.mark.parametrize("code", [0, "0", "ok", None, {}])
def test_code_that_is_fine_or_missing_is_no_error(code: Any) -> None:
    reply = answer({"code": code, "job": {"id": "j"}})
    provider = a_provider(errors=PROBLEMS)
    assert play(provider.submit(a_request(model="m")), reply).remote == Remote("j")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1001, errors.RateLimited),
        ("1002", errors.KeyRefused),
        (1003, errors.UnexpectedReply),
    ],
)
def test_error_under_a_status_of_success(
    code: Any, kind: type[errors.ProviderError]
) -> None:
    provider = a_provider(errors=PROBLEMS)
    reply = answer({"code": code, "msg": "no", "job": {"id": "j"}})
    with pytest.raises(errors.ProviderError) as caught:
        play(provider.submit(a_request(model="m")), reply)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"code": 9, "msg": "dark"}, "dark"),
        ({"code": 9}, "9"),
        ({"msg": "dark"}, "dark"),
        ({}, "HTTP 418 without a readable error"),
        ([], "HTTP 418 without a readable error"),
        ({"code": {}, "msg": []}, "HTTP 418 without a readable error"),
    ],
)
def test_refusal_is_told_as_far_as_it_can_be_read(body: Any, told: str) -> None:
    with pytest.raises(errors.Rejected) as caught:
        play(a_provider(errors=PROBLEMS).poll(Remote("j")), answer(body, status=418))
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("body", "headers", "hint_s"),
    [
        ({"wait": 3}, {"retry_after": "8"}, 3),
        ({}, {"retry_after": "8"}, 8),
        ({"wait": "later"}, {}, None),
    ],
)
def test_time_to_wait_stands_in_the_body_or_the_header(
    body: Any, headers: dict[str, str], hint_s: float | None
) -> None:
    reply = answer({"code": 1001, "msg": "x", **body}, status=429, **headers)
    with pytest.raises(errors.RateLimited) as caught:
        play(a_provider(errors=PROBLEMS).poll(Remote("j")), reply)
    assert caught.value.retry_after_s == hint_s


def test_cancel_of_an_upstream_that_answers_with_codes() -> None:
    cancel = Cancel(request=Request(method="DELETE", path="/jobs/{id}"))
    provider = a_provider(errors=PROBLEMS, cancel=cancel)
    assert provider.cancel is not None
    with pytest.raises(errors.KeyRefused):
        play(provider.cancel(Remote("j")), answer({"code": 1002, "msg": "no"}))


# Callbacks


def test_callback_without_a_signature_names_its_job() -> None:
    provider = a_provider(callback=Hook(id=("job", 0)))
    assert provider.receive is not None
    heard = provider.receive(Callback({}, b'{"job": [17]}'), "m")
    assert (heard.ids, heard.remote, heard.signed) == (("17",), Remote("17"), None)


def test_each_part_of_a_signed_message_has_its_place() -> None:
    form = Signature(
        header="x-sig",
        signed="{{{id}}}:{timestamp}:{body}:end",
        timestamp_header="x-at",
        id_header="x-id",
    )
    provider = a_provider(callback=Hook(id=("j",), signature=form))
    headers = {"x-sig": "ff", "x-at": "12", "x-id": "e1"}
    assert provider.receive is not None
    signed = provider.receive(Callback(headers, b'{"j": "\xc3\xa4"}'), "m").signed
    assert signed is not None
    assert signed.message == b'{e1}:12:{"j": "\xc3\xa4"}:end'


def test_signature_without_an_instant_holds_at_any_time() -> None:
    provider = a_provider(callback=Hook(id=("j",), signature=Signature(header="s")))
    assert provider.receive is not None
    signed = provider.receive(Callback({"s": "ff"}, b'{"j": "1"}'), "m").signed
    assert signed is not None
    assert abs(1.8e9 - signed.timestamp) <= signed.tolerance_s
    assert signed.message == b'{"j": "1"}'


@given(st.binary(max_size=40))
def test_base64_of_any_bytes_is_read(content: bytes) -> None:
    if not content:
        return
    text = base64.b64encode(content).decode()
    assert results({"b": text}, content=("b",)) == (Artifact(content=content),)
