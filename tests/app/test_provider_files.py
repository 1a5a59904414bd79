"""Providers as operators describe them: what is read, and what is wrong in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app import provider_files
from app.provider_files import (
    BUILT_IN,
    CLASSES,
    MODEL_READERS,
    MOST_BYTES,
    READERS,
    Sheet,
    WrongProviderFiles,
    load,
    read,
)
from app.settings import Settings, SettingsError
from providers import declared, errors
from providers.types import MediaType, Model, Phase

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "providers" / "mothlight.yaml"
PAGE = ROOT / "docs" / "declaring-a-provider.md"

BASE = """\
name: acme
title: Acme
base_url: https://api.acme.example/v1
submit:
  call: POST /videos
  body: {model: "{model}", text: "{prompt}"}
  id: video.id
status:
  call: GET /videos/{id}
  word: video.state
  words: {new: pending, done: succeeded, bad: failed}
results:
  url: video.files[*].url
models:
  - name: film
    media_type: video
"""


def problems_of(text: str) -> list[str]:
    """What is said of a file with this text."""
    sheet = Sheet("acme.yaml")
    told = sheet.read_text(text)
    assert (told is None) == bool(sheet.problems)
    return [
        str(problem).removeprefix("acme.yaml:") for problem in sorted(sheet.problems)
    ]


def with_line(number: int, text: str) -> str:
    """`BASE` with another text in one line."""
    lines = BASE.splitlines()
    lines[number - 1] = text
    return "\n".join(lines) + "\n"


def told_by(text: str) -> declared.Declaration:
    sheet = Sheet("acme.yaml")
    told = sheet.read_text(text)
    assert sheet.problems == []
    assert told is not None
    return told


def test_least_file_is_a_provider(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(BASE, encoding="utf-8")
    (provider,) = read([path]).values()
    assert (provider.name, provider.title) == ("acme", "Acme")
    assert provider.base_url == "https://api.acme.example/v1"
    assert provider.describe("film") == provider.models[0]
    assert provider.describe("else") is None
    assert provider.sandbox_path == ""
    powers = (provider.cancel, provider.test, provider.receive, provider.find)
    assert powers == (None,) * 4
    assert not provider.idempotent


def test_example_says_what_it_says() -> None:
    told = told_by(EXAMPLE.read_text(encoding="utf-8"))
    assert told.key == declared.Key(
        place=declared.KeyPlace.HEADER, name="X-Mothlight-Key", prefix="Token "
    )
    assert told.submit.images is declared.ImageForm.DATA_URL
    assert told.status.words["developing"] is Phase.RUNNING
    assert told.results.url == ("generation", "outputs", None, "url")
    assert told.errors.classes["funds_low"] is errors.QuotaExhausted
    assert told.cancel is not None
    assert told.cancel.too_late == {404, 409}
    assert told.callback is not None
    assert told.callback.signature == declared.Signature(
        header="x-mothlight-signature",
        prefix="v1=",
        signed="{timestamp}.{body}",
        timestamp_header="x-mothlight-timestamp",
    )
    assert told.upstream_names["mothlight-film"] == "film-1"
    assert told.models[0].aspect_ratios == ("1:1", "3:2", "2:3")
    assert told.models[1].durations == (4.0, 8.0)


def test_example_has_every_section() -> None:
    assert set(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))) == set(READERS)


def test_every_limit_of_a_model_can_be_declared() -> None:
    limits = {field.name for field in fields(Model)} - {"sync"}
    assert set(MODEL_READERS) == limits | {"upstream"}


def test_every_limit_is_read() -> None:
    model = """
    upstream: vendor/film
    actions: [generate, Extend]
    needs: [prompt, images]
    refuses: [seed]
    max_prompt: 1_000
    max_images: 2
    max_n: 1
    sizes: [1024x768]
    side_range: [64, 2048]
    pixel_range: [4096, 4194304]
    ratio_range: [0.5, 2]
    side_multiple: 8
    aspect_ratios: [16:9, "1:1"]
    resolutions: [720p, 1080]
    durations: [5, 7.5]
    duration_range: [5, 10]
    speed_range: [0.5, 2.0]
    qualities: [high]
    output_formats: [mp4]
    typical_s: 30
    longest_s: 600
    resold: true
"""
    text = BASE.replace("{prompt}", "{prompt} {images[0]}") + model.lstrip("\n")
    told = told_by(text)
    assert told.upstream_names == {"film": "vendor/film"}
    assert told.models == (
        Model(
            name="film",
            media_type=MediaType.VIDEO,
            actions=("generate", "Extend"),
            needs=frozenset({"prompt", "images"}),
            refuses=frozenset({"seed"}),
            max_prompt=1000,
            max_images=2,
            max_n=1,
            sizes=("1024x768",),
            side_range=(64, 2048),
            pixel_range=(4096, 4194304),
            ratio_range=(0.5, 2.0),
            side_multiple=8,
            aspect_ratios=("16:9", "1:1"),
            resolutions=("720p", "1080"),
            durations=(5.0, 7.5),
            duration_range=(5.0, 10.0),
            speed_range=(0.5, 2.0),
            qualities=("high",),
            output_formats=("mp4",),
            typical_s=30.0,
            longest_s=600.0,
            resold=True,
        ),
    )


def test_parts_of_a_signature_may_stand_on_lines() -> None:
    text = with_line(6, '  body: {hook: "{callback_url}"}') + "callback:\n  id: id\n"
    text += '  signature: {header: X-Sig, signed: "{body}\\nend"}\n'
    told = told_by(text).callback
    assert told is not None
    assert told.signature is not None
    assert told.signature.signed == "{body}\nend"


def test_body_keeps_the_types_of_its_constants() -> None:
    body = 'body: {a: 1, b: 1.5, c: true, d: null, e: "1", f: [x, {}], g: "", h: -2}'
    told = told_by(with_line(6, f"  {body}"))
    made = told.submit.request.body
    assert made == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": "1",
        "f": ["x", {}],
        "g": "",
        "h": -2,
    }
    assert [type(made[name]) for name in "abc"] == [int, float, bool]


def test_alias_stands_for_what_it_names() -> None:
    text = with_line(6, "  body: {a: &x {t: '{prompt}'}, b: *x}")
    assert told_by(text).submit.request.body == {
        "a": {"t": "{prompt}"},
        "b": {"t": "{prompt}"},
    }


def test_every_class_of_error_has_a_word() -> None:
    kinds = {errors.Rejected, errors.ChannelRefused, errors.OutcomeUnknown}
    wanted = {*errors.ProviderError.__subclasses__()} - {
        errors.NotSent,
        errors.UnexpectedReply,
    }
    for kind in (errors.Rejected, errors.ChannelRefused):
        wanted |= {*kind.__subclasses__()}
    assert kinds < wanted
    assert set(CLASSES.values()) == wanted


# Wrong files. Each row: a line of BASE, what stands there instead, what is said.

KNOWN_FIELDS = ", ".join(sorted(declared.FIELDS))
ONE_LINE: list[tuple[int, str, str]] = [
    (
        11,
        "  words: {new: pending, done: finished}",
        (
            "11: status.words.done: is 'finished'; one of pending, running, "
            "succeeded, failed, cancelled"
        ),
    ),
    (
        11,
        "  words: {new: pending}",
        "11: status.words: none of them means succeeded",
    ),
    (11, "  words: {}", "11: status.words: must not be empty"),
    (11, "  words: [done]", "11: status.words: must be a mapping"),
    (
        2,
        "tilte: Acme",
        ("1: title: is required|2: tilte: is no field here; did you mean title?"),
    ),
    (
        2,
        "title: Acme\nzzz: 1",
        "3: zzz: is no field here",
    ),
    (
        2,
        "title: Acme\ntitle: Acme",
        "3: title: is given twice, first in line 2",
    ),
    (
        11,
        "  words: {done: succeeded, done: failed}",
        "11: status.words.done: is given twice, first in line 11",
    ),
    (
        6,
        "  body: {a: {b: 1, b: 2}}",
        "6: submit.body.a.b: is given twice, first in line 6",
    ),
    (
        1,
        "name: Acme!",
        ("1: name: is 'Acme!'; it must be small letters, digits and -, such as acme-2"),
    ),
    (
        1,
        "name: openai",
        "1: name: is 'openai', which is the name of a built-in provider",
    ),
    (2, "title: ''", "2: title: must not be empty"),
    (
        2,
        "title: yes",
        ("2: title: must be a text: put it into quotes if YAML reads it otherwise"),
    ),
    (
        2,
        "title: [Acme]",
        ("2: title: must be a text: put it into quotes if YAML reads it otherwise"),
    ),
    (
        2,
        f"title: {'x' * 2001}",
        "2: title: has more than 2,000 characters",
    ),
    (
        2,
        'title: "a\\nb"',
        "2: title: has a control character or a line break",
    ),
    *(
        (
            3,
            f"base_url: {url}",
            (
                f"3: base_url: is {url!r}; it must be https://host[/path], or "
                "http:// on this machine (a channel may have its own)"
            ),
        )
        for url in (
            "http://api.acme.example",
            "api.acme.example",
            "ftp://api.acme.example",
            "https://",
            "https://user@api.acme.example",
        )
    ),
    (
        3,
        "base_url: https://api.acme.example:port",
        ("3: base_url: is 'https://api.acme.example:port', which cannot be read"),
    ),
    (
        3,
        "base_url: https://api.acme.example?a=b",
        "3: base_url: must end with a host or a path, without ? and #",
    ),
    (
        3,
        "base_url: https://api.acme.example\nenv: [acme_key]",
        "4: env[0]: is 'acme_key'; it must be in capitals, as ACME_API_KEY",
    ),
    (
        3,
        "base_url: https://api.acme.example\nenv: [DATABASE_URL]",
        "4: env[0]: DATABASE_URL is a setting of the gateway, no key",
    ),
    (
        3,
        "base_url: https://api.acme.example\nenv: ACME_KEY",
        "4: env: must be a list",
    ),
    (
        3,
        "base_url: https://api.acme.example\nenv: []",
        "4: env: must have 1 to 1000 items",
    ),
    *(
        (3, f"base_url: https://api.acme.example\nkey: {key}", f"4: {told}")
        for key, told in (
            ("{in: body}", "key.in: is 'body'; one of bearer, header, query"),
            ("{name: X}", "key.in: is required"),
            ("{in: header}", "key: a key in a header needs the name of it"),
            (
                "{in: bearer, name: X}",
                "key: a bearer key has its own header: no name or prefix",
            ),
            (
                "{in: header, name: 'X Y'}",
                "key.name: is 'X Y'; it must be the name of a header",
            ),
        )
    ),
    (
        5,
        "  call: /videos",
        (
            "5: submit.call: is '/videos'; it must be a method and a path "
            "without query, like POST /videos"
        ),
    ),
    (
        5,
        "  call: POST /videos?x=1",
        (
            "5: submit.call: is 'POST /videos?x=1'; it must be a method and a "
            "path without query, like POST /videos"
        ),
    ),
    (
        5,
        "  call: POST /{prompt}",
        (
            "5: submit.call: places {prompt}, which has no place here; "
            "allowed: action, model"
        ),
    ),
    (5, "", "6: submit.call: is required"),
    (
        6,
        '  body: {text: "{promt}"}',
        (
            "6: submit.body.text: places {promt}, which is no field; "
            "did you mean prompt?"
        ),
    ),
    (
        6,
        '  body: {text: "{xyz}"}',
        (
            "6: submit.body.text: places {xyz}, which is no field; "
            f"allowed: {KNOWN_FIELDS}"
        ),
    ),
    (
        6,
        "  body:\n    text:\n      - a: [1, '{prompt']",
        (
            "8: submit.body.text[0].a[1]: has a { alone: fields are {name}, "
            "braces {{ and }}"
        ),
    ),
    (6, "  body: text", "6: submit.body: must be a mapping"),
    (
        6,
        "  body: {ratio: 16:9}",
        "6: submit.body.ratio: is '16:9': put it into quotes if it is a text",
    ),
    (
        6,
        "  body: {a: .inf}",
        "6: submit.body.a: is '.inf': put it into quotes if it is a text",
    ),
    (
        6,
        "  body: {a: 2026-11-22}",
        ("6: submit.body.a: is '2026-11-22': put it into quotes if it is a text"),
    ),
    (
        6,
        "  body: {a: !!python/object/apply:os.system [x]}",
        (
            "6: submit.body.a: has the tag "
            "'tag:yaml.org,2002:python/object/apply:os.system', which is not taken"
        ),
    ),
    (
        6,
        "  body: {[a]: 1}",
        "6: submit.body: has a key that is no text: put it into quotes",
    ),
    (
        6,
        "  body: {a: &a {b: 1}, c: {<<: *a}}",
        "6: submit.body.c: has a key that is no text: put it into quotes",
    ),
    (
        6,
        "  headers: {X-Prompt: '{prompt}'}",
        (
            "6: submit.headers.X-Prompt: places {prompt}, which has no place "
            "here; allowed: action, callback_url, model, submission_key, task_id"
        ),
    ),
    (
        6,
        "  query: {all: '{images}'}",
        (
            "6: submit.query.all: places {images}, which has no place here; "
            f"allowed: {KNOWN_FIELDS.replace('images, ', '')}"
        ),
    ),
    (
        6,
        "  images: jpeg",
        "6: submit.images: is 'jpeg'; one of url, data_url, base64",
    ),
    (
        6,
        '  body: {hook: "{callback_url}"}',
        "5: submit: places {callback_url}, and there is no callback",
    ),
    *(
        (
            7,
            f"  id: {path}",
            (f"7: submit.id: is {path!r}; a path is written like data.outputs[*].url"),
        )
        for path in ("$.id", "a..b", "a[x]", "a b")
    ),
    (
        7,
        "  id: videos[*].id",
        "7: submit.id: must lead to one value, so it has no [*]",
    ),
    (
        9,
        "  call: GET /videos",
        "9: status.call: neither it nor its query or body places {id}",
    ),
    (
        9,
        "  call: GET /videos/{model}",
        ("9: status.call: places {model}, which has no place here; allowed: id"),
    ),
    (
        10,
        "  word: video.state\n  progress_unit: tenths",
        "11: status.progress_unit: is 'tenths'; one of percent, fraction",
    ),
    (
        10,
        "  word: video.state\n  spacing_s: fast",
        "11: status.spacing_s: must be a number from 0 to 3600",
    ),
    (
        10,
        "  word: video.state\n  spacing_s: -1",
        "11: status.spacing_s: must be a number from 0 to 3600",
    ),
    (
        13,
        "  url: a\n  base64: b",
        "13: results: needs either url or base64",
    ),
    (13, "  {}", "13: results: needs either url or base64"),
    (
        13,
        "  base64: b\n  protected: true",
        "14: results.protected: is about links, and base64 is none",
    ),
    (
        13,
        "  url: b\n  protected: 1",
        "14: results.protected: must be true or false",
    ),
    (
        13,
        "  url: b\n  expires_at: c[*].d",
        "14: results.expires_at: has a [*], and the results have none",
    ),
    (
        13,
        "  url: b\n  query: {a: b}",
        "13: results: has query, headers or body without a call",
    ),
    (
        13,
        "  url: b\n  call: GET /results",
        "14: results.call: neither it nor its query or body places {id}",
    ),
    (
        13,
        "  url: b\n  content_type: mp4",
        "14: results.content_type: is 'mp4'; it must be like video/mp4",
    ),
    (
        13,
        "  url: b\n  links_live_s: 0.5",
        "14: results.links_live_s: must be a whole number from 1 to 31536000",
    ),
    *(
        (14, f"{section}\nmodels:", f"{line}: {told}")
        for section, line, told in (
            (
                "failure: {reasons: {a: content_rejected}}",
                14,
                "failure.reasons: needs the path of the code",
            ),
            (
                "failure: {code: c, reasons: {a: rejected}}",
                14,
                (
                    "failure.reasons.a: is 'rejected'; one of content_rejected, "
                    "invalid_request, upstream_failed, upstream_timeout, "
                    "upstream_expired"
                ),
            ),
            (
                "errors: {message: m, fine: [0]}",
                14,
                "errors.fine: needs the path of the code",
            ),
            (
                "errors: {message: m, classes: {a: rejected}}",
                14,
                "errors.classes: needs the path of the code",
            ),
            (
                "errors:\n  code: c\n  classes:\n    a: refused",
                17,
                f"errors.classes.a: is 'refused'; one of {', '.join(CLASSES)}",
            ),
            (
                "cancel: {call: POST /x}",
                14,
                "cancel.call: neither it nor its query or body places {id}",
            ),
            (
                "cancel: {call: 'POST /x/{id}', too_late: [200]}",
                14,
                "cancel.too_late[0]: must be a whole number from 400 to 499",
            ),
            (
                "test: {call: 'GET /x/{id}'}",
                14,
                "test.call: places {id}, which has no place here; allowed: none",
            ),
            (
                "callback: {id: a}",
                14,
                "callback: no template of submit places {callback_url}",
            ),
            (
                "callback: {id: a, signature: {header: X, signed: '{timestamp}'}}",
                14,
                "callback.signature.signed: must place {body}",
            ),
            (
                "callback: {id: a, signature: {header: X, signed: 7}}",
                14,
                "callback.signature.signed: must be a text",
            ),
            (
                "callback: {id: a, signature: {header: X, id_header: Y}}",
                14,
                "callback.signature: {id} in signed and id_header need each other",
            ),
            (
                "callback: {id: a, signature: {header: X, signed: '{body}{secret}'}}",
                14,
                (
                    "callback.signature.signed: places {secret}, which is no field; "
                    "allowed: body, id, timestamp"
                ),
            ),
            (
                "sandbox_path: acme",
                14,
                "sandbox_path: is 'acme'; it must be a path like /mothlight",
            ),
        )
    ),
    (
        16,
        "    media_type: movie",
        "16: models[0].media_type: is 'movie'; one of image, video, audio",
    ),
    (
        15,
        "  - title: film",
        ("15: models[0].name: is required|15: models[0].title: is no field here"),
    ),
    *(
        (16, f"    media_type: video\n    {line}", f"17: models[0].{told}")
        for line, told in (
            ("needs: [seed]", "needs: no template of submit places seed"),
            (
                "needs: [sed]",
                "needs[0]: 'sed' is no field of a task; did you mean seed?",
            ),
            (
                "refuses: [callback_url]",
                "refuses[0]: 'callback_url' is no field of a task",
            ),
            ("sizes: [large]", "sizes[0]: is 'large'; it must be like 1024x768"),
            (
                "aspect_ratios: [wide]",
                "aspect_ratios[0]: is 'wide'; it must be like 16:9",
            ),
            ("side_range: [64]", "side_range: must be a list of two numbers"),
            ("side_range: [64, 8]", "side_range: has the higher number first"),
            (
                "side_range: [1, x]",
                "side_range: must be a whole number from 1 to 100000",
            ),
            ("max_n: 0", "max_n: must be a whole number from 1 to 1000"),
            ("max_n: 1.5", "max_n: must be a whole number from 1 to 1000"),
            ("durations: [0]", "durations[0]: must be a number from 0.001 to 100000"),
            ("durations: 5", "durations: must be a list"),
            ("longest_s: 10", "longest_s: typically 30 seconds, at most 10"),
            ("typical_s: 999", "typical_s: typically 999 seconds, at most 900"),
        )
    ),
    (
        16,
        "    media_type: video\n    needs: [prompt]\n    refuses: [prompt]",
        "18: models[0].refuses: prompt is needed, too",
    ),
    (
        16,
        "    media_type: video\n  - {name: film, media_type: video}",
        "17: models[1].name: 'film' is used already",
    ),
    (
        14,
        "models: []\nxmodels:",
        (
            "14: models: must have 1 to 1000 items|"
            "15: xmodels: is no field here; did you mean models?"
        ),
    ),
]


@pytest.mark.parametrize(
    ("number", "line", "told"), ONE_LINE, ids=[told[:90] for _, _, told in ONE_LINE]
)
def test_wrong_file_is_told_with_its_line(number: int, line: str, told: str) -> None:
    assert problems_of(with_line(number, line)) == told.split("|")


def test_problem_names_the_file() -> None:
    sheet = Sheet("providers/acme.yaml")
    sheet.read_text(with_line(11, "  words: {done: finished}"))
    assert [str(problem) for problem in sheet.problems] == [
        (
            "providers/acme.yaml:11: status.words.done: is 'finished'; one of pending, "
            "running, succeeded, failed, cancelled"
        )
    ]


def test_several_models_need_a_place_for_their_name() -> None:
    text = with_line(6, '  body: {text: "{prompt}"}')
    text += "  - {name: other, media_type: image}\n"
    assert problems_of(text) == [
        "5: submit: none of its templates places {model}, of several"
    ]


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = BASE.replace("POST", "SEND").replace("succeeded", "won")
    text = text.replace("media_type", "kind").replace("title", "tile")
    assert problems_of(text) == [
        "1: title: is required",
        "2: tile: is no field here; did you mean title?",
        (
            "5: submit.call: is 'SEND /videos'; it must be a method and a path "
            "without query, like POST /videos"
        ),
        (
            "11: status.words.done: is 'won'; one of pending, running, "
            "succeeded, failed, cancelled"
        ),
        "15: models[0].media_type: is required",
        "16: models[0].kind: is no field here",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: is empty"),
        ("# nothing\n", "1: is empty"),
        ("- a\n", "1: must be a mapping"),
        ("acme", "1: must be a mapping"),
        (
            "a: 1\n b: 2",
            "2: is not YAML: mapping values are not allowed here",
        ),
        ("a: [1\nb: 2", "2: is not YAML: expected ',' or ']', but got ':'"),
        ("a: 1\n---\nb: 2", "2: is not YAML: but found another document"),
        ("a: *x", "1: is not YAML: found undefined alias 'x'"),
        ("a: 1\nb: \x07", "2: has a character that YAML does not allow"),
        ("[" * 1500, "1: is nested too deep"),
        ("[" * 60 + "]" * 60, "1: is nested too deep"),
        ("a: &a [*a]", "1: is nested too deep"),
    ],
)
def test_text_that_is_no_such_file(text: str, told: str) -> None:
    assert problems_of(text) == [told]


def test_aliases_cannot_make_a_file_large() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 9):
        listed = ", ".join([f"*a{n - 1}"] * 10)
        lines.append(f"a{n}: &a{n} [{listed}]")
    assert problems_of("\n".join(lines)) == [
        "1: has, with its aliases, more than 10,000 values"
    ]


SLIPS = (
    *("", "- x", "x", "  x: [", "name: {}", "  - {}", "  call: [a]", "? a", "&a *a"),
    *("  words: x", "  body: !x {}", "models: {a: b}", "  id: {a: b}", "key: 7"),
)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_file_that_is_spoilt_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever a hand slips into the example, no other error comes of it."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    slip = st.sampled_from(SLIPS)
    lines[at] = data.draw(slip)
    problems_of("\n".join(lines))


# Files and folders


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(*paths: Path) -> list[str]:
    with pytest.raises(WrongProviderFiles) as caught:
        read(paths)
    return [
        str(replace(problem, file=Path(problem.file).name))
        for problem in caught.value.problems
    ]


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    latin = write(tmp_path, "latin.yaml", b"a: 1\ntitle: Caf\xe9\n")
    large = write(tmp_path, "large.yaml", "#" * (MOST_BYTES + 1))
    gone = tmp_path / "gone.yaml"
    assert refusal(latin, large, gone) == [
        "gone.yaml:1: No such file or directory",
        "large.yaml:1: has more than 262,144 bytes",
        "latin.yaml:2: is not a text in UTF-8",
    ]


def test_name_is_used_once(tmp_path: Path) -> None:
    one = write(tmp_path, "one.yaml", BASE)
    two = write(tmp_path, "two.yaml", f"# again\n{BASE}")
    assert refusal(one, two) == [f"two.yaml:2: name: 'acme' is used already, in {one}"]


def test_without_a_folder_there_are_the_built_in_ones() -> None:
    assert load(None) is BUILT_IN


def test_folder_adds_its_providers_in_order(tmp_path: Path) -> None:
    write(tmp_path, "b.yaml", BASE)
    write(tmp_path, "a.yml", EXAMPLE.read_bytes())
    write(tmp_path, "notes.txt", "not read")
    names = list(load(tmp_path))
    assert names == sorted({*BUILT_IN, "acme", "mothlight"})


def test_wrong_files_of_a_folder_are_told_together(tmp_path: Path) -> None:
    one = write(tmp_path, "one.yaml", BASE.replace("Acme", "[]"))
    two = write(tmp_path, "two.yaml", "x: 1")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "GENRELAY_PROVIDERS: 9 errors"
    assert lines[1].startswith(f"{one}:2: title: must be a text")
    assert f"{two}:1: x: is no field here" in lines


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone", "cannot be read: No such file or directory"),
        ("file", "cannot be read: Not a directory"),
        ("empty", "must hold 1 to 200 files named *.yaml, it has 0"),
    ],
)
def test_folder_that_cannot_be_used_is_told(
    tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path, "file", "")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / name)
    assert str(caught.value) == f"GENRELAY_PROVIDERS={tmp_path / name}: {told}"


def test_setting_names_the_folder(tmp_path: Path) -> None:
    assert Settings.from_env({}).providers is None
    made = Settings.from_env({"GENRELAY_PROVIDERS": str(tmp_path)})
    assert made.providers == tmp_path


# The page about it


def test_page_has_the_example_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"```yaml\n{EXAMPLE.read_text(encoding='utf-8')}```" in page


def keys_of(readers: Mapping[str, Any], before: str = "") -> set[str]:
    return {f"{before}{name}" for name in readers}


def test_page_explains_every_field() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = keys_of(READERS) | keys_of(MODEL_READERS) | set(CLASSES)
    names |= keys_of(provider_files.SIGNATURE_READERS)
    for kind in (declared.Submit, declared.Status, declared.Results, declared.Problems):
        names |= {field.name for field in fields(kind)} - {"request", "content"}
    names |= {"base64", "too_late", "reasons", "call", "query", "headers", "body"}
    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_page_names_every_field_of_a_template() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(n for n in declared.FIELDS if f"`{{{n}}}`" not in page) == []
