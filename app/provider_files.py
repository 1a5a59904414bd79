"""Providers as operators describe them: a folder of YAML files, each of one upstream.

    name: acme
    title: Acme
    base_url: https://api.acme.example/v1
    submit:
      call: POST /videos
      body: {model: "{model}", text: "{prompt}"}
      id: video.id
    ...

`docs/declaring-a-provider.md` has every field, `deploy/providers/mothlight.yaml` is an
example. A file is read whole, so that all that is wrong in it is told at once.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from app.settings import VARIABLES, SettingsError
from providers import declared, errors
from providers.registry import BY_NAME
from providers.types import MediaType, Model, Phase, Provider, Reason

BUILT_IN: Mapping[str, Provider] = BY_NAME

ENDINGS = (".yaml", ".yml")
MOST_BYTES = 256 * 1024
MOST_FILES = 200
# Aliases make a small file large: what counts is how much they stand for.
MOST_NODES = 10_000
DEEPEST = 40
LONGEST_TEXT = 2000
SHOWN_CHARS = 60
LONGEST_S = 30 * 86_400.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")

CALL = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/[^\s?#]*)")
CLASSES: Mapping[str, type[errors.ProviderError]] = {
    "rejected": errors.Rejected,
    "content_rejected": errors.ContentRejected,
    "channel_refused": errors.ChannelRefused,
    "key_refused": errors.KeyRefused,
    "quota_exhausted": errors.QuotaExhausted,
    "model_refused": errors.ModelRefused,
    "rate_limited": errors.RateLimited,
    "unavailable": errors.Unavailable,
    "not_found": errors.NotFound,
    "outcome_unknown": errors.OutcomeUnknown,
}
OF_JOBS = frozenset({"id"})


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, and where."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class Inside(ValueError):
    """What is wrong with one part of a section: `way` leads to it."""

    def __init__(self, text: str, *way: str | int) -> None:
        super().__init__(text)
        self.way = way


class WrongProviderFiles(SettingsError):
    """What is wrong in files, a line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        head = f"GENRELAY_PROVIDERS: {count} {'error' if count == 1 else 'errors'}"
        super().__init__("\n".join([head, *map(str, self.problems)]))


def load(folder: Path | None) -> Mapping[str, Provider]:
    """The built-in providers and those of a folder's files, A to Z.

    Raises `WrongProviderFiles` with all that is wrong in all of them, and
    `SettingsError` for a folder that cannot be read.
    """
    if folder is None:
        return BUILT_IN
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix in ENDINGS)
    except OSError as error:
        raise SettingsError(
            f"GENRELAY_PROVIDERS={folder}: cannot be read: {error.strerror}"
        ) from error
    if not 0 < len(paths) <= MOST_FILES:
        raise SettingsError(
            f"GENRELAY_PROVIDERS={folder}: must hold 1 to {MOST_FILES} files named "
            f"*.yaml, it has {len(paths)}"
        )
    return dict(sorted({**BUILT_IN, **read(paths)}.items()))


def read(paths: Sequence[Path]) -> dict[str, Provider]:
    """The providers of these files by name; raises `WrongProviderFiles`."""
    providers: dict[str, Provider] = {}
    problems: list[Problem] = []
    used: dict[str, str] = {}
    for path in paths:
        sheet = Sheet(str(path))
        told = sheet.read_file(path)
        problems += sheet.problems
        if told is None:
            continue
        if told.name in used:
            text = f"name: {told.name!r} is used already, in {used[told.name]}"
            problems.append(Problem(sheet.file, sheet.name_line, text))
        used.setdefault(told.name, sheet.file)
        providers[told.name] = declared.provider(told)
    if problems:
        raise WrongProviderFiles(problems)
    return providers


Read = Callable[["Sheet", Node, str], Any]
"""Reads a node, the text is the way to it; raises ValueError, or notes a problem."""


@dataclass
class Sheet:
    """One file while it is read, and what is wrong in it."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    name_line: int = 1

    def read_file(self, path: Path) -> declared.Declaration | None:
        """What the file declares; None when `problems` say why not."""
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise ValueError(f"has more than {MOST_BYTES:,} bytes")
            return self.read_text(content.decode())
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self.problems.append(Problem(self.file, line, "is not a text in UTF-8"))
        except OSError as error:
            self.problems.append(Problem(self.file, 1, f"{error.strerror}"))
        except ValueError as error:
            self.problems.append(Problem(self.file, 1, str(error)))
        return None

    def read_text(self, text: str) -> declared.Declaration | None:
        """What a file's text declares."""
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            told = Problem(self.file, line, f"is not YAML: {error.problem}")
            self.problems.append(told)
            return None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            told = Problem(self.file, line, "has a character that YAML does not allow")
            self.problems.append(told)
            return None
        except RecursionError:
            root = None
            self.problems.append(Problem(self.file, 1, "is nested too deep"))
            return None
        if root is None:
            self.problems.append(Problem(self.file, 1, "is empty"))
            return None
        if problem := too_large(root):
            self.problems.append(Problem(self.file, 1, problem))
            return None
        told_all: declared.Declaration | None = self.read(root, "", read_declaration)
        return None if self.problems else told_all

    def wrong(self, node: Node, where: str, text: str) -> None:
        """Note what is wrong at a node."""
        told = f"{where}: {text}" if where else text
        self.problems.append(Problem(self.file, line_of(node), told))

    def read(self, node: Node, where: str, reader: Read) -> Any:
        """What the reader makes of a node; None when it is wrong, which is noted."""
        try:
            return reader(self, node, where)
        except ValueError as error:
            self.wrong(node, where, str(error))
            return None

    def pairs(self, node: Node, where: str) -> dict[str, Node]:
        """The values of a mapping by their keys, each given once."""
        if not isinstance(node, MappingNode) or not node.tag.endswith(":map"):
            raise ValueError("must be a mapping")
        found: dict[str, Node] = {}
        for key, value in node.value:
            try:
                name = text_of(key)
            except ValueError:
                self.wrong(key, where, "has a key that is no text: put it into quotes")
                continue
            if name in found:
                first = line_of(found[name])
                told = f"is given twice, first in line {first}"
                self.wrong(key, joined(where, name), told)
            found.setdefault(name, value)
        return found

    def fields(
        self,
        node: Node,
        where: str,
        readers: Mapping[str, Read],
        required: Sequence[str] = (),
    ) -> dict[str, Any] | None:
        """The read values of a section; None when anything in it is wrong."""
        before = len(self.problems)
        found = self.pairs(node, where)
        for name in found.keys() - readers.keys():
            told = f"is no field here{close_to(name, readers)}"
            key = next(key for key, _ in node.value if key.value == name)
            self.wrong(key, joined(where, name), told)
        for name in required:
            if name not in found:
                self.wrong(node, joined(where, name), "is required")
        values = {
            name: self.read(value, joined(where, name), readers[name])
            for name, value in found.items()
            if name in readers
        }
        return values if len(self.problems) == before else None


def too_large(root: Node) -> str:
    """Why the file stands for more than a provider could need; "" when it does not."""
    waiting, count = [(root, 1)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > MOST_NODES:
            return f"has, with its aliases, more than {MOST_NODES:,} values"
        if depth > DEEPEST:
            return "is nested too deep"
        if isinstance(node, MappingNode):
            waiting += [(part, depth + 1) for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            waiting += [(part, depth + 1) for part in node.value]
    return ""


# Readers of single values


def text_of(node: Node) -> str:
    """A scalar as it is written: a number too, so that `16:9` is what it seems."""
    if not isinstance(node, ScalarNode) or not node.tag.endswith(
        (":str", ":int", ":float")
    ):
        raise ValueError(
            "must be a text: put it into quotes if YAML reads it otherwise"
        )
    text = str(node.value)
    if not text.strip():
        raise ValueError("must not be empty")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"has more than {LONGEST_TEXT:,} characters")
    if not text.isprintable():
        raise ValueError("has a control character or a line break")
    return text


def text(sheet: Sheet, node: Node, where: str) -> str:
    return text_of(node)


def like(pattern: str, what: str) -> Read:
    """A text of that form."""

    def read_text(sheet: Sheet, node: Node, where: str) -> str:
        told = text_of(node)
        if not re.fullmatch(pattern, told):
            raise ValueError(f"is {shown(told)}; it must be {what}")
        return told

    return read_text


def choice(words: Mapping[str, Any]) -> Read:
    """What one of a few words stands for."""

    def read_choice(sheet: Sheet, node: Node, where: str) -> Any:
        told = text_of(node)
        if told not in words:
            raise ValueError(f"is {shown(told)}; one of {', '.join(words)}")
        return words[told]

    return read_choice


def words_of(kind: type[StrEnum]) -> dict[str, Any]:
    return {word.value: word for word in kind}


def number_of(node: Node) -> float:
    if isinstance(node, ScalarNode) and node.tag.endswith((":int", ":float")):
        try:
            return float(node.value.replace("_", ""))
        except ValueError:  # .inf, 0x10, 16:9
            return math.nan
    return math.nan


def number(low: float, high: float) -> Read:
    def read_number(sheet: Sheet, node: Node, where: str) -> float:
        told = number_of(node)
        if not low <= told <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return told

    return read_number


def whole(low: int, high: int) -> Read:
    def read_whole(sheet: Sheet, node: Node, where: str) -> int:
        told = number_of(node)
        if not low <= told <= high or told != int(told):
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(told)

    return read_whole


def truth(sheet: Sheet, node: Node, where: str) -> bool:
    if isinstance(node, ScalarNode) and node.tag.endswith(":bool"):
        return bool(yaml.SafeLoader.bool_values[node.value.lower()])
    raise ValueError("must be true or false")


def list_of(reader: Read, most: int = 1000) -> Read:
    def read_list(sheet: Sheet, node: Node, where: str) -> tuple[Any, ...]:
        if not isinstance(node, SequenceNode) or not node.tag.endswith(":seq"):
            raise ValueError("must be a list")
        if not 0 < len(node.value) <= most:
            raise ValueError(f"must have 1 to {most} items")
        return tuple(
            sheet.read(item, f"{where}[{n}]", reader)
            for n, item in enumerate(node.value)
        )

    return read_list


def range_of(reader: Read) -> Read:
    """Two numbers, the lower one first."""

    def read_range(sheet: Sheet, node: Node, where: str) -> tuple[Any, Any]:
        if not isinstance(node, SequenceNode) or len(node.value) != 2:
            raise ValueError("must be a list of two numbers")
        low, high = (reader(sheet, item, where) for item in node.value)
        if low > high:
            raise ValueError("has the higher number first")
        return low, high

    return read_range


def table_of(reader: Read) -> Read:
    """Words of an upstream, and what each means."""

    def read_table(sheet: Sheet, node: Node, where: str) -> dict[str, Any]:
        pairs = sheet.pairs(node, where)
        if not pairs:
            raise ValueError("must not be empty")
        return {
            name: sheet.read(value, joined(where, name), reader)
            for name, value in pairs.items()
        }

    return read_table


def path(sheet: Sheet, node: Node, where: str) -> declared.Path:
    """A path to one value of a reply."""
    steps = declared.read_path(text_of(node))
    if None in steps:
        raise ValueError("must lead to one value, so it has no [*]")
    return steps


def paths(sheet: Sheet, node: Node, where: str) -> declared.Path:
    """A path to one or several values of a reply."""
    return declared.read_path(text_of(node))


def field_name(sheet: Sheet, node: Node, where: str) -> str:
    """A unified field that a client may give."""
    name = text_of(node)
    known = declared.CLIENT_FIELDS | {"prompt", "input"}
    if name not in known:
        raise ValueError(f"{shown(name)} is no field of a task{close_to(name, known)}")
    return name


def base_url(sheet: Sheet, node: Node, where: str) -> str:
    told = text_of(node)
    try:
        parts = urlsplit(told)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"is {shown(told)}, which cannot be read") from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    if not secure or not host or parts.username is not None:
        raise ValueError(
            f"is {shown(told)}; it must be https://host[/path], or http:// on this "
            "machine (a channel may have its own)"
        )
    if parts.query or parts.fragment:
        raise ValueError("must end with a host or a path, without ? and #")
    return told.rstrip("/")


def variable(sheet: Sheet, node: Node, where: str) -> str:
    name = like("[A-Z][A-Z0-9_]{0,99}", "in capitals, as ACME_API_KEY")(
        sheet, node, where
    )
    if name in {variable.name for variable in VARIABLES}:
        raise ValueError(f"{name} is a setting of the gateway, no key")
    return str(name)


name = like("[a-z][a-z0-9-]{0,39}", "small letters, digits and -, such as acme-2")
header_name = like(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "the name of a header")
content_type = like(r"[a-z]+/[\w.+-]+", "like video/mp4")
size = like(r"\d{1,5}x\d{1,5}", "like 1024x768")
seconds = number(0, LONGEST_S)


# Templates


def template(allowed: Collection[str]) -> Read:
    """A text that may place these fields."""

    def read_template(sheet: Sheet, node: Node, where: str) -> str:
        told = text_of(node)
        check_names(told, allowed)
        return told

    return read_template


def check_names(told: str, allowed: Collection[str]) -> None:
    """Raise ValueError for a field that may not be placed here."""
    for placed in declared.names_in(told):
        image = declared.ONE_IMAGE.fullmatch(placed) and "images" in allowed
        if placed in allowed or image:
            continue
        listed = f"allowed: {', '.join(sorted(allowed)) or 'none'}"
        if placed in declared.FIELDS | OF_JOBS:
            raise ValueError(f"places {{{placed}}}, which has no place here; {listed}")
        near = close_to(placed, allowed) or f"; {listed}"
        raise ValueError(f"places {{{placed}}}, which is no field{near}")


def signed_text(sheet: Sheet, node: Node, where: str) -> str:
    """What a callback's signature is over; it may have several lines."""
    if not isinstance(node, ScalarNode) or not node.tag.endswith(":str"):
        raise ValueError("must be a text")
    check_names(node.value, ("body", "timestamp", "id"))
    return str(node.value)


def texts(allowed: Collection[str]) -> Read:
    """Names and templates, as headers and queries have them."""
    return table_of(template(allowed))


def json_of(allowed: Collection[str]) -> Read:
    """A JSON object whose texts are templates."""

    def read_value(sheet: Sheet, node: Node, where: str) -> Any:
        if isinstance(node, MappingNode):
            return {
                name: sheet.read(value, joined(where, name), read_value)
                for name, value in sheet.pairs(node, where).items()
            }
        if isinstance(node, SequenceNode) and node.tag.endswith(":seq"):
            return [
                sheet.read(item, f"{where}[{n}]", read_value)
                for n, item in enumerate(node.value)
            ]
        return constant(node, allowed)

    def read_body(sheet: Sheet, node: Node, where: str) -> Any:
        if not isinstance(node, MappingNode):
            raise ValueError("must be a mapping")
        return read_value(sheet, node, where)

    return read_body


def constant(node: Node, allowed: Collection[str]) -> Any:
    """A scalar of a body: a template, a number, true, false or null."""
    if not isinstance(node, ScalarNode):
        raise ValueError(f"has the tag {shown(node.tag)}, which is not taken")
    kind = node.tag.rpartition(":")[2]
    if kind == "str":
        check_names(node.value, allowed)
        return str(node.value)
    if kind == "bool":
        return bool(yaml.SafeLoader.bool_values[node.value.lower()])
    if kind == "null":
        return None
    told = number_of(node)
    if not math.isfinite(told):
        raise ValueError(f"is {shown(node.value)}: put it into quotes if it is a text")
    return int(told) if kind == "int" else told


# Sections


def section(
    make: Callable[..., Any], readers: Mapping[str, Read], required: Sequence[str] = ()
) -> Read:
    """A mapping with these fields; `make` raises ValueError for what cannot be."""

    def read_section(sheet: Sheet, node: Node, where: str) -> Any:
        values = sheet.fields(node, where, readers, required)
        try:
            return None if values is None else make(**values)
        except Inside as error:
            part, way = inside(node, where, error.way)
            sheet.wrong(part, way, str(error))
            return None

    return read_section


def inside(node: Node, where: str, way: Sequence[str | int]) -> tuple[Node, str]:
    """A part of a section that was read well, and the way to it."""
    for step in way:
        if isinstance(step, int):
            node, where = node.value[step], f"{where}[{step}]"
        else:
            node = next(value for key, value in node.value if key.value == step)
            where = joined(where, step)
    return node, where


def call_readers(
    in_path: Collection[str],
    in_texts: Collection[str],
    in_headers: Collection[str],
    in_body: Collection[str],
) -> dict[str, Read]:
    """The fields that describe an HTTP call, and what each may place."""

    def call(sheet: Sheet, node: Node, where: str) -> tuple[str, str]:
        told = text_of(node)
        match = CALL.fullmatch(told)
        if match is None:
            raise ValueError(
                f"is {shown(told)}; it must be a method and a path without query, "
                "like POST /videos"
            )
        check_names(match[2], in_path)
        return match[1], match[2]

    return {
        "call": call,
        "query": texts(in_texts),
        "headers": texts(in_headers),
        "body": json_of(in_body),
    }


JOB_CALL = call_readers(OF_JOBS, OF_JOBS, OF_JOBS, OF_JOBS)


def make_request(
    call: tuple[str, str],
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
) -> declared.Request:
    method, path = call
    return declared.Request(
        method=method, path=path, query=query or {}, headers=headers or {}, body=body
    )


def take_request(values: dict[str, Any]) -> declared.Request:
    """The call of a section, taken out of its values."""
    return make_request(**{n: values.pop(n) for n in JOB_CALL if n in values})


def take_job_request(values: dict[str, Any]) -> declared.Request:
    request = take_request(values)
    if "id" not in declared.placed_fields(request):
        raise Inside("neither it nor its query or body places {id}", "call")
    return request


def make_submit(**values: Any) -> declared.Submit:
    return declared.Submit(request=take_request(values), **values)


def make_status(**values: Any) -> declared.Status:
    request = take_job_request(values)
    if Phase.SUCCEEDED not in values["words"].values():
        raise Inside("none of them means succeeded", "words")
    header = values.pop("look_after_header", "").lower()
    return declared.Status(request=request, look_after_header=header, **values)


def make_results(**values: Any) -> declared.Results:
    if ("url" in values) == ("base64" in values):
        raise ValueError("needs either url or base64")
    if "base64" in values and "protected" in values:
        raise Inside("is about links, and base64 is none", "protected")
    several = None in (values.get("url") or values.get("base64") or ())
    for each in ("content_type_at", "expires_at"):
        if None in values.get(each, ()) and not several:
            raise Inside("has a [*], and the results have none", each)
    content = values.pop("base64", None)
    request = take_job_request(values) if "call" in values else None
    if values.keys() & JOB_CALL.keys():
        raise ValueError("has query, headers or body without a call")
    return declared.Results(content=content, request=request, **values)


def make_problems(**values: Any) -> declared.Problems:
    if "code" not in values:
        for each in ("classes", "fine"):
            if each in values:
                raise Inside("needs the path of the code", each)
    fine = frozenset(values.pop("fine", ()))
    return declared.Problems(fine=fine, **values)


def make_failures(**values: Any) -> declared.Failures:
    if "reasons" in values and "code" not in values:
        raise Inside("needs the path of the code", "reasons")
    return declared.Failures(**values)


def make_cancel(**values: Any) -> declared.Cancel:
    too_late = frozenset(values.pop("too_late", (404,)))
    return declared.Cancel(request=take_job_request(values), too_late=too_late)


def make_key(**values: Any) -> declared.Key:
    place = values.pop("in")
    named = "name" in values
    if place is declared.KeyPlace.BEARER and values:
        raise ValueError("a bearer key has its own header: no name or prefix")
    if place is not declared.KeyPlace.BEARER and not named:
        raise ValueError(f"a key in a {place} needs the name of it")
    return declared.Key(place=place, **values)


def make_signature(**values: Any) -> declared.Signature:
    signed = set(declared.names_in(values.get("signed", "{body}")))
    if "body" not in signed:
        raise Inside("must place {body}", "signed")
    for each in ("timestamp", "id"):
        if (each in signed) != (f"{each}_header" in values):
            raise ValueError(f"{{{each}}} in signed and {each}_header need each other")
    lowered = {n: v.lower() for n, v in values.items() if n.endswith("header")}
    return declared.Signature(**{**values, **lowered})


def make_model(**values: Any) -> tuple[Model, str]:
    upstream = values.pop("upstream", values["name"])
    for each in ("needs", "refuses"):
        values[each] = frozenset(values.get(each, ()))
    if both := sorted(values["needs"] & values["refuses"]):
        raise Inside(f"{', '.join(both)} is needed, too", "refuses")
    model = Model(**values)
    if model.typical_s > model.longest_s:
        way = "typical_s" if "typical_s" in values else "longest_s"
        raise Inside(
            f"typically {model.typical_s:g} seconds, at most {model.longest_s:g}", way
        )
    return model, upstream


def make_declaration(**values: Any) -> declared.Declaration:
    pairs: Sequence[tuple[Model, str]] = values.pop("models")
    submit: declared.Submit = values["submit"]
    placed = declared.placed_fields(submit.request)
    names = [model.name for model, _ in pairs]
    for n, (model, _) in enumerate(pairs):
        if model.name in names[:n]:
            raise Inside(f"{model.name!r} is used already", "models", n, "name")
        unsaid = sorted(model.needs & declared.limited(model, submit).refuses)
        if unsaid:
            raise Inside(
                f"no template of submit places {', '.join(unsaid)}",
                *("models", n, "needs"),
            )
    if len(pairs) > 1 and "model" not in placed:
        raise Inside("none of its templates places {model}, of several", "submit")
    if "callback" in values and "callback_url" not in placed:
        raise Inside("no template of submit places {callback_url}", "callback")
    if "callback" not in values and "callback_url" in placed:
        raise Inside("places {callback_url}, and there is no callback", "submit")
    return declared.Declaration(
        models=tuple(model for model, _ in pairs),
        upstream_names={model.name: upstream for model, upstream in pairs},
        **values,
    )


def new_name(sheet: Sheet, node: Node, where: str) -> str:
    """A name that no built-in provider has."""
    sheet.name_line = line_of(node)
    told = str(name(sheet, node, where))
    if told in BUILT_IN:
        raise ValueError(f"is {shown(told)}, which is the name of a built-in provider")
    return told


SIDES = whole(1, 100_000)
MODEL_READERS: Mapping[str, Read] = {
    "name": text,
    "upstream": text,
    "media_type": choice(words_of(MediaType)),
    "actions": list_of(text),
    "needs": list_of(field_name),
    "refuses": list_of(field_name),
    "max_prompt": whole(1, 10_000_000),
    "max_images": whole(0, 1000),
    "max_n": whole(1, 1000),
    "sizes": list_of(size),
    "side_range": range_of(SIDES),
    "pixel_range": range_of(whole(1, 10_000_000_000)),
    "ratio_range": range_of(number(0.001, 1000)),
    "side_multiple": whole(1, 10_000),
    "aspect_ratios": list_of(like(r"\d{1,4}:\d{1,4}", "like 16:9")),
    "resolutions": list_of(text),
    "durations": list_of(number(0.001, 100_000)),
    "duration_range": range_of(number(0.001, 100_000)),
    "speed_range": range_of(number(0.001, 100)),
    "qualities": list_of(text),
    "output_formats": list_of(text),
    "typical_s": number(0.001, LONGEST_S),
    "longest_s": number(1, LONGEST_S),
    "resold": truth,
}
SIGNATURE_READERS: Mapping[str, Read] = {
    "header": header_name,
    "prefix": text,
    "signed": signed_text,
    "timestamp_header": header_name,
    "id_header": header_name,
}
READERS: Mapping[str, Read] = {
    "name": new_name,
    "title": text,
    "base_url": base_url,
    "env": list_of(variable),
    "sandbox_path": like(r"/[\w./-]*\w", "a path like /mothlight"),
    "key": section(
        make_key,
        {
            "in": choice(words_of(declared.KeyPlace)),
            "name": header_name,
            "prefix": text,
        },
        ("in",),
    ),
    "submit": section(
        make_submit,
        {
            **call_readers(
                in_path=("model", "action"),
                in_texts=declared.FIELDS - {"images"},
                in_headers=declared.OWN_FIELDS,
                in_body=declared.FIELDS,
            ),
            "id": path,
            "images": choice(words_of(declared.ImageForm)),
            "idempotency_header": header_name,
        },
        ("call", "id"),
    ),
    "status": section(
        make_status,
        {
            **JOB_CALL,
            "word": path,
            "words": table_of(choice(words_of(Phase))),
            "progress": path,
            "progress_unit": choice(words_of(declared.Unit)),
            "look_after": path,
            "look_after_header": header_name,
            "spacing_s": number(0, 3600),
        },
        ("call", "word", "words"),
    ),
    "results": section(
        make_results,
        {
            **JOB_CALL,
            "url": paths,
            "base64": paths,
            "protected": truth,
            "content_type": content_type,
            "content_type_at": paths,
            "expires_at": paths,
            "links_live_s": whole(1, 365 * 86_400),
        },
    ),
    "failure": section(
        make_failures,
        {"code": path, "message": path, "reasons": table_of(choice(words_of(Reason)))},
    ),
    "errors": section(
        make_problems,
        {
            "code": path,
            "message": path,
            "classes": table_of(choice(CLASSES)),
            "fine": list_of(text),
            "retry_after": path,
        },
    ),
    "cancel": section(
        make_cancel,
        {**JOB_CALL, "too_late": list_of(whole(400, 499))},
        ("call",),
    ),
    "test": section(make_request, call_readers((), (), (), ()), ("call",)),
    "callback": section(
        declared.Hook,
        {
            "id": path,
            "signature": section(make_signature, SIGNATURE_READERS, ("header",)),
        },
        ("id",),
    ),
    "models": list_of(section(make_model, MODEL_READERS, ("name", "media_type"))),
}
read_declaration = section(
    make_declaration,
    READERS,
    ("name", "title", "base_url", "submit", "status", "results", "models"),
)


# Words


def line_of(node: Node) -> int:
    return int(node.start_mark.line) + 1


def joined(where: str, name: str) -> str:
    short = name if len(name) <= SHOWN_CHARS else f"{name[:SHOWN_CHARS]}..."
    return f"{where}.{short}" if where else short


def close_to(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like one that is not."""
    near = difflib.get_close_matches(name[:100], list(known), 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}...")
