"""Channels as operators write them: a YAML file, and the options of the command line.

    channels:
      - name: main
        provider: openai
        secret: ${OPENAI_API_KEY}
        models: [gpt-image-2, "pictures=gpt-image-1"]
        weight: 2

`deploy/channels.example.yaml` shows every field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from app.accounts import ChannelPlan, WrongAccount
from app.limits import CHANNEL_LIMITS

# What an operator may limit for one channel: the lowest and the highest value of each.
LIMITS: Mapping[str, tuple[float, float]] = {
    name: (0.0, 3600.0) if name == "poll_spacing_s" else (0.001, 1_000_000.0)
    for name in CHANNEL_LIMITS
}
WEIGHTS = (0, 1_000_000)
PRIORITIES = (-1000, 1000)

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
QUOTED = re.compile(r"'[^']{3,}'")
SHOWN_CHARS = 80

Env = Mapping[str, str]
Read = Callable[[Node, Env], Any]


def read(text: str, env: Env) -> list[ChannelPlan]:
    """The channels of a file, in its order.

    `${NAME}` in a secret, a webhook secret or a base URL stands for a variable of
    `env`. Raises `WrongAccount` with the line, the field and what is allowed there; the
    text of a secret is never part of it.
    """
    root = _compose(text)
    if root is None:
        raise WrongAccount("line 1: the file is empty: it needs `channels:`")
    fields = _fields(root, ("channels",), "the file")
    if "channels" not in fields:
        _wrong(root, "channels", "is required")
    listed = fields["channels"]
    if not isinstance(listed, SequenceNode):
        _wrong(listed, "channels", "must be a list, each item with a name")
    plans: list[ChannelPlan] = []
    lines: dict[str, int] = {}
    for node in listed.value:
        plan = _read_channel(node, env)
        if plan.name in lines:
            first = lines[plan.name]
            _wrong(node, "name", f"{plan.name!r} is used already, in line {first}")
        lines[plan.name] = _line(node)
        plans.append(plan)
    return plans


def read_models(text: str) -> dict[str, str]:
    """`a,b=upstream-b` as names of clients and of the upstream; "" means all models."""
    if not text.strip():
        return {}
    try:
        return _model_names(text.split(","))
    except ValueError as error:
        raise WrongAccount(f"models: {error}") from error


def read_limits(texts: Iterable[str]) -> dict[str, float]:
    """`["poll_spacing_s=2"]` as numbers by name."""
    limits: dict[str, float] = {}
    for text in texts:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign:
            raise WrongAccount(f"limit {_shown(text)} is not NAME=NUMBER")
        if name in limits:
            raise WrongAccount(f"limit {name} is given twice")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if problem := _limit_problem(name, number):
            raise WrongAccount(f"limit {_shown(text)}: {problem}")
        limits[name] = number
    return limits


def _compose(text: str) -> Node | None:
    """The file's nodes, which know their lines."""
    try:
        node: Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        # Its whole text quotes the line, which may hold a secret; so does a part of it
        # when the secret starts with one of YAML's own characters.
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = QUOTED.sub("what is there", error.problem or "")
        raise WrongAccount(f"line {line}: not YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise WrongAccount(
            f"line {line}: not YAML: a character that is not allowed"
        ) from None
    except RecursionError:
        raise WrongAccount("line 1: not a file of channels: nested too deep") from None
    return node


def _read_channel(node: Node, env: Env) -> ChannelPlan:
    fields = _fields(node, tuple(FIELDS), "a channel")
    for name in ("name", "provider"):
        if name not in fields:
            _wrong(node, name, "is required")
    for name in ("secret", "webhook_secret"):
        if name in fields and f"{name}_env" in fields:
            _wrong(fields[name], name, f"and {name}_env are both given: use one")
    values: dict[str, Any] = {}
    for name, value in fields.items():
        column = name.removesuffix("_env")
        try:
            values[column] = FIELDS[name](value, env)
        except ValueError as error:
            _wrong(value, name, str(error))
    if "secret" in values and "secrets" in values:
        _wrong(fields["secrets"], "secrets", "and secret are both given: use one")
    if "secret" in values:
        values["secrets"] = (values.pop("secret"),)
    if "secrets" not in values:
        _wrong(node, "secret", "(or secret_env, or secrets) is required")
    return ChannelPlan(**values)


def _fields(node: Node, allowed: Sequence[str], what: str) -> dict[str, Node]:
    """The values of a mapping by their names; each of `allowed`, and given once."""
    if not isinstance(node, MappingNode):
        raise WrongAccount(
            f"line {_line(node)}: {what} must be a mapping with {', '.join(allowed)}"
        )
    found: dict[str, Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, ScalarNode) else "a list or mapping"
        if name not in allowed:
            _wrong(key, _shown(name), f"is no field; {what} has {', '.join(allowed)}")
        if name in found:
            _wrong(key, name, f"is given twice, first in line {_line(found[name])}")
        found[name] = value
    return found


def _text(node: Node, env: Env) -> str:
    if not isinstance(node, ScalarNode) or not node.tag.endswith(":str"):
        raise ValueError("must be a text: put it into quotes if it looks like a number")
    text = node.value.strip()
    if not text:
        raise ValueError("must not be empty")
    return str(text)


def _expanded(node: Node, env: Env) -> str:
    """A text in which `${NAME}` stands for a variable."""
    text = VARIABLE.sub(lambda found: _variable(found[1], env), _text(node, env))
    if "${" in VARIABLE.sub("", _text(node, env)):
        raise ValueError("has `${` without a name and `}` after it")
    return text


def _from_variable(node: Node, env: Env) -> str:
    return _variable(_text(node, env), env)


def _variable(name: str, env: Env) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise ValueError(f"names the variable {_shown(name)}, which is not set")
    return value


def _models(node: Node, env: Env) -> dict[str, str]:
    match node:
        case MappingNode():
            named = _text_pairs(node, env)
            if not named:
                raise ValueError("must not be empty: leave it out to serve all models")
            return named
        case SequenceNode():
            texts = [_text(item, env) for item in node.value]
            if not texts:
                raise ValueError("must not be empty: leave it out to serve all models")
            return _model_names(texts)
    raise ValueError("must be a list of names, or a mapping of names to upstream names")


def _model_names(texts: Iterable[str]) -> dict[str, str]:
    models: dict[str, str] = {}
    for text in texts:
        name, sign, upstream = (part.strip() for part in text.partition("="))
        if not name or (sign and not upstream):
            raise ValueError(f"{_shown(text)} is neither NAME nor NAME=UPSTREAM-NAME")
        if name in models:
            raise ValueError(f"{_shown(name)} is given twice")
        models[name] = upstream or name
    return models


def _settings(node: Node, env: Env) -> dict[str, str]:
    if not isinstance(node, MappingNode):
        raise ValueError("must be a mapping of names to texts")
    return _text_pairs(node, env)


def _text_pairs(node: MappingNode, env: Env) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for key, value in node.value:
        name = _text(key, env)
        if name in pairs:
            raise ValueError(f"has {_shown(name)} twice")
        pairs[name] = _text(value, env)
    return pairs


def _limits(node: Node, env: Env) -> dict[str, float]:
    if not isinstance(node, MappingNode):
        raise ValueError(f"must be a mapping with {', '.join(LIMITS)}")
    limits: dict[str, float] = {}
    for key, value in node.value:
        name = _text(key, env)
        if name in limits:
            raise ValueError(f"has {_shown(name)} twice")
        limits[name] = _number(value)
        if problem := _limit_problem(name, limits[name]):
            raise ValueError(f"{_shown(name)}: {problem}")
    return limits


def _limit_problem(name: str, value: float) -> str:
    if name not in LIMITS:
        return f"there is no such limit; known are {', '.join(LIMITS)}"
    low, high = LIMITS[name]
    return "" if low <= value <= high else f"must be {low:g} to {high:g}"


def _number(node: Node) -> float:
    if isinstance(node, ScalarNode) and node.tag.endswith((":int", ":float")):
        try:
            return float(node.value.replace("_", ""))
        except ValueError:  # .inf, .nan, 0x10
            return math.nan
    return math.nan


def _whole(low: int, high: int) -> Read:
    def read_whole(node: Node, env: Env) -> int:
        number = _number(node)
        if not low <= number <= high or number != int(number):
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(number)

    return read_whole


def _truth(node: Node, env: Env) -> bool:
    if isinstance(node, ScalarNode) and node.tag.endswith(":bool"):
        return bool(yaml.SafeLoader.bool_values[node.value.lower()])
    raise ValueError("must be true or false")


def _expanded_list(node: Node, env: Env) -> tuple[str, ...]:
    if not isinstance(node, SequenceNode) or not node.value:
        raise ValueError("must be a list of secrets")
    return tuple(_expanded(item, env) for item in node.value)


def _texts(node: Node, env: Env) -> tuple[str, ...]:
    if not isinstance(node, SequenceNode):
        raise ValueError("must be a list of names")
    return tuple(_text(item, env) for item in node.value)


FIELDS: Mapping[str, Read] = {
    "name": _text,
    "provider": _text,
    "base_url": _expanded,
    "secret": _expanded,
    "secrets": _expanded_list,
    "groups": _texts,
    "secret_env": _from_variable,
    "webhook_secret": _expanded,
    "webhook_secret_env": _from_variable,
    "models": _models,
    "weight": _whole(*WEIGHTS),
    "priority": _whole(*PRIORITIES),
    "limits": _limits,
    "settings": _settings,
    "enabled": _truth,
}


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _wrong(node: Node, field: str, text: str) -> NoReturn:
    raise WrongAccount(f"line {_line(node)}: {field} {text}") from None


def _shown(text: str) -> str:
    short = text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
    return repr(short)
