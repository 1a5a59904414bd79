"""Channels as operators write them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts import ChannelPlan, WrongAccount
from app.channel_file import LIMITS, read, read_limits, read_models

EXAMPLE = Path(__file__).parents[2] / "deploy" / "channels.example.yaml"

SHORT = """\
channels:
  - name: main
    provider: openai
    secret: sk-clear
"""

FULL = """\
channels:
  - name: main
    provider: openai
    base_url: https://gate.example.com/v1
    secret: ${KEY}
    webhook_secret_env: HOOK
    models: {pictures: gpt-image-2}
    weight: 3
    priority: -2
    limits: {poll_spacing_s: 2.5}
    settings: {organization: org-1}
    enabled: no
"""


def in_channel(line: str) -> str:
    """A file whose channel has this line as its fifth."""
    return f"{SHORT}    {line}\n"


def refusal(text: str, **env: str) -> str:
    with pytest.raises(WrongAccount) as caught:
        read(text, env)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_three_fields_make_a_channel() -> None:
    assert read(SHORT, {}) == [
        ChannelPlan(name="main", provider="openai", secrets=("sk-clear",))
    ]


def test_every_field_is_read() -> None:
    assert read(FULL, {"KEY": "sk-1", "HOOK": "whsec_1"}) == [
        ChannelPlan(
            name="main",
            provider="openai",
            base_url="https://gate.example.com/v1",
            secrets=("sk-1",),
            webhook_secret="whsec_1",
            models={"pictures": "gpt-image-2"},
            weight=3,
            priority=-2,
            limits={"poll_spacing_s": 2.5},
            settings={"organization": "org-1"},
            enabled=False,
        )
    ]


def test_the_example_is_a_valid_file() -> None:
    variables = ("OPENAI_API_KEY", "DASHSCOPE_API_KEY", "SUNO_API_KEY", "FAL_KEY")

    plans = read(EXAMPLE.read_text(encoding="utf-8"), dict.fromkeys(variables, "k"))

    assert len(plans) > 2


def test_the_order_of_the_file_is_kept() -> None:
    second = SHORT.replace("main", "other").removeprefix("channels:\n")

    assert [plan.name for plan in read(SHORT + second, {})] == ["main", "other"]


def test_an_empty_list_means_no_channels() -> None:
    assert read("channels: []", {}) == []


def test_a_secret_may_be_made_of_several_variables() -> None:
    text = SHORT.replace("sk-clear", "${ID}:${KEY}")

    assert read(text, {"ID": "a", "KEY": "b"})[0].secrets == ("a:b",)


def test_a_secret_may_name_its_variable() -> None:
    text = SHORT.replace("secret: sk-clear", "secret_env: KEY")

    assert read(text, {"KEY": "sk-1"})[0].secrets == ("sk-1",)


def test_a_channel_may_have_several_secrets_and_serve_some_groups() -> None:
    text = SHORT.replace("secret: sk-clear", 'secrets: [sk-1, "${KEY}"]')

    (plan,) = read(text + "    groups: [vip]\n", {"KEY": "sk-2"})

    assert plan.secrets == ("sk-1", "sk-2")
    assert plan.groups == ("vip",)


@pytest.mark.parametrize(
    ("line", "models"),
    [
        ("models: [a, b]", {"a": "a", "b": "b"}),
        ('models: ["a=up-a", b]', {"a": "up-a", "b": "b"}),
        ("models: {a: up-a}", {"a": "up-a"}),
    ],
)
def test_models_are_a_list_or_a_mapping(line: str, models: dict[str, str]) -> None:
    assert read(in_channel(line), {})[0].models == models


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("secrte: x", "line 5: 'secrte' is no field"),
        ("name: other", "line 5: name is given twice, first in line 2"),
        ("secret_env: KEY", "line 4: secret and secret_env are both given"),
        ("secrets: [a]", "line 5: secrets and secret are both given"),
        ("groups: vip", "line 5: groups must be a list of names"),
        ("weight: 2.5", "line 5: weight must be a whole number from 0 to 1000000"),
        ("weight: -1", "line 5: weight must be"),
        ("weight: .inf", "line 5: weight must be"),
        ("weight: .nan", "line 5: weight must be"),
        ("weight: many", "line 5: weight must be"),
        ("weight: [1]", "line 5: weight must be"),
        ("priority: 1001", "line 5: priority must be a whole number from -1000"),
        ("enabled: 1", "line 5: enabled must be true or false"),
        ("enabled: [yes]", "line 5: enabled must be true or false"),
        ("models: gpt", "line 5: models must be a list of names, or a mapping"),
        ("models: []", "line 5: models must not be empty: leave it out"),
        ("models: {}", "line 5: models must not be empty: leave it out"),
        ("models: [a, a]", "line 5: models 'a' is given twice"),
        ("models: [a=]", "line 5: models 'a=' is neither NAME nor NAME=UPSTREAM-NAME"),
        ("models: [1]", "line 5: models must be a text: put it into quotes"),
        ("models: {a: b, a: c}", "line 5: models has 'a' twice"),
        ("limits: {speed: 1}", "there is no such limit; known are poll_spacing_s"),
        ("limits: {poll_spacing_s: -1}", "'poll_spacing_s': must be 0 to 3600"),
        ("limits: {poll_spacing_s: .inf}", "'poll_spacing_s': must be 0 to 3600"),
        ("limits: {poll_spacing_s: soon}", "'poll_spacing_s': must be 0 to 3600"),
        ("limits: [poll_spacing_s]", "line 5: limits must be a mapping"),
        ("settings: {a: 1}", "line 5: settings must be a text"),
        ("settings: text", "line 5: settings must be a mapping of names to texts"),
        ("base_url: 80", "line 5: base_url must be a text"),
        ("base_url: ''", "line 5: base_url must not be empty"),
        ("webhook_secret: ${NONE}", "webhook_secret names the variable 'NONE', which"),
        ("webhook_secret: ${NO", "webhook_secret has `${` without a name"),
        ("webhook_secret_env: NONE", "names the variable 'NONE', which is not set"),
        ("? [a]\n    : b", "line 5: 'a list or mapping' is no field"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(line: str, told: str) -> None:
    assert told in refusal(in_channel(line))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: the file is empty"),
        ("# nothing yet\n", "line 1: the file is empty"),
        ("- a\n", "line 1: the file must be a mapping with channels"),
        ("chanels: []\n", "line 1: 'chanels' is no field; the file has channels"),
        ("{}\n", "line 1: channels is required"),
        ("channels: {a: b}\n", "line 1: channels must be a list"),
        ("channels:\n  - main\n", "line 2: a channel must be a mapping with name"),
        ("channels:\n  - provider: fal\n    secret: k\n", "line 2: name is required"),
        ("channels:\n  - name: a\n    secret: k\n", "line 2: provider is required"),
        (
            "channels:\n  - name: a\n    provider: fal\n",
            "secret (or secret_env, or secrets) is",
        ),
        ("channels: [\n", "line 2: not YAML"),
        ("channels:\n\t- a\n", "line 2: not YAML"),
        ("channels: *gone\n", "line 1: not YAML: found undefined alias"),
        ("channels: []\n\x00", "line 2: not YAML: a character that is not allowed"),
        ("channels: &a [*a]\n", "line 1: a channel must be a mapping"),
        ("channels: " + "[" * 5000, "nested too deep"),
        ("channels: []\n---\nchannels: []\n", "line 2: not YAML"),
    ],
)
def test_a_file_that_holds_no_channels_is_refused(text: str, told: str) -> None:
    assert told in refusal(text)


def test_a_name_may_be_used_once() -> None:
    again = SHORT.removeprefix("channels:\n")

    told = refusal(SHORT + again)

    assert told == "line 5: name 'main' is used already, in line 2"


@pytest.mark.parametrize(
    "line",
    [
        "secret: [sk-hidden]",
        "secret: {sk-hidden: 1}",
        "secret: ${sk-hidden}",
        "secret: 'sk-hidden ${'",
        'secret: "sk-hidden',
        "secret: @sk-hidden",
        "secret: *sk-hidden",
        "secret: !sk-hidden",
        "secret: !!sk-hidden x",
        "secret: &sk-hidden",
        "secret_env: [sk-hidden]",
        "secrets: sk-hidden",
        "secrets: [[sk-hidden]]",
    ],
)
def test_the_text_of_a_secret_is_never_shown(line: str) -> None:
    text = SHORT.replace("secret: sk-clear", line)

    assert "hidden" not in refusal(text)


@given(
    st.text(alphabet=st.sampled_from("channels:[]{}-&*!|>'\"\n \t#?,name"), max_size=60)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(WrongAccount):
        read(text, {})


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("", {}),
        ("a", {"a": "a"}),
        ("a, b=up-b", {"a": "a", "b": "up-b"}),
        ("fal-ai/x=fal-ai/x/turbo", {"fal-ai/x": "fal-ai/x/turbo"}),
    ],
)
def test_models_of_the_command_line_are_read(text: str, models: dict[str, str]) -> None:
    assert read_models(text) == models


@pytest.mark.parametrize("text", [",", "a,,b", "=b", "a=", "a,a", "a=b,a=c"])
def test_wrong_models_of_the_command_line_are_refused(text: str) -> None:
    with pytest.raises(WrongAccount, match=r"^models: '"):
        read_models(text)


def test_limits_of_the_command_line_are_read() -> None:
    assert read_limits(["poll_spacing_s=2"]) == {"poll_spacing_s": 2.0}
    assert read_limits([]) == {}


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["poll_spacing_s"], "is not NAME=NUMBER"),
        (["speed=1"], f"known are {', '.join(LIMITS)}"),
        (["poll_spacing_s=fast"], "must be 0 to 3600"),
        (["poll_spacing_s=nan"], "must be 0 to 3600"),
        (["poll_spacing_s=-1"], "must be 0 to 3600"),
        (["poll_spacing_s=1", "poll_spacing_s=2"], "is given twice"),
    ],
)
def test_wrong_limits_of_the_command_line_are_refused(
    texts: list[str], told: str
) -> None:
    with pytest.raises(WrongAccount, match=told):
        read_limits(texts)
