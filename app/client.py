"""A client of the gateway: sends one task, follows it, and saves what it made."""

from __future__ import annotations

import json
import mimetypes
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from app.connection_errors import never_left, reason_of
from app.media import extension_of
from app.settings import Settings

GATEWAY_FILE = "gateway.json"
CREDENTIALS_FILE = "credentials.json"

ROUTE = "/generation/tasks"
WAIT_S = 30
LIVE_WAIT_S = 2  # on a terminal: an answer held back would hide the percentage
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
SENDS = 5  # of one task, whose key makes sure that it is made once
BUSY = frozenset({409, 429, 502, 503, 504})
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
CHUNK_BYTES = 256 * 1024
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
ENDED = frozenset({"succeeded", "failed", "cancelled"})


class CallFailed(Exception):
    """The task was refused, or did not succeed; the text says why."""


class _Unanswered(Exception):
    """A call without a usable answer; `sent` when the gateway may have taken it."""

    def __init__(
        self, message: str, *, sent: bool = True, pause_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.sent = sent
        self.pause_s = pause_s


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway and the key to use there; the URL has no slash at its end."""

    url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """A task that succeeded, the files that were saved, and results without a file."""

    task: Mapping[str, Any]
    files: tuple[Path, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, as the client uses it; tests pass their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def find_gateway(
    url: str | None, api_key: str | None, env: Mapping[str, str]
) -> Target:
    """The gateway at `url`, else the embedded one of the data folder that `env` names.

    The embedded gateway's key is used for that gateway alone. Raises `CallFailed`.
    """
    data = Settings.from_env(env).data
    own_url = _kept(data / GATEWAY_FILE, "url")
    if url is None and own_url is None:
        raise CallFailed(
            f"no gateway was started with the data folder {data}: start one with "
            "`genrelay up`, or name one with --url or GENRELAY_URL"
        )
    found = (url or own_url or "").strip().rstrip("/")
    parts = urlsplit(found)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise CallFailed(f"the gateway's URL {found!r} is not http(s)://host[:port]")
    if api_key is None and found == own_url:
        api_key = _kept(data / CREDENTIALS_FILE, "api_key")
    if not api_key:
        raise CallFailed(f"give the API key for {found}: --api-key or GENRELAY_API_KEY")
    if not api_key.isascii() or not api_key.isprintable():
        raise CallFailed("the API key must be printable ASCII")
    return Target(found, api_key)


def generate(
    target: Target,
    *,
    prompt: str,
    model: str,
    images: Sequence[Path],
    fields: Mapping[str, str],
    out: Path,
    timeout_s: float,
    console: Console,
    clock: Clock | None = None,
) -> Finished:
    """Send a task, wait until it ends, save its files into the folder `out`.

    The task is sent again, under one idempotency key, when an answer was lost. Raises
    `CallFailed`, and OSError where files cannot be read or saved.
    """
    out.mkdir(parents=True, exist_ok=True)
    body = _body(prompt, model, images, fields)
    with requests.Session() as session, _progress(console) as show:
        call = _Caller(target, session, clock or Clock(), timeout_s)
        show({"status": "sending"})
        task_id = str(call.send(body)["task_id"])
        wait_s = LIVE_WAIT_S if console.is_terminal and not console.quiet else WAIT_S
        task = call.follow(task_id, wait_s, show)
        if task["status"] != "succeeded":
            code = f" ({task['error_code']})" if task.get("error_code") else ""
            reason = task.get("error") or "no reason was given"
            raise CallFailed(f"{task_id} {task['status']}{code}: {reason}")
        show({**task, "status": "saving"})
        files = _save_all(call, task, out)
    texts = tuple(result["text"] for result in task["results"] if result["text"])
    return Finished(task, files, texts)


@dataclass(frozen=True)
class _Bearer(AuthBase):
    """The key as `Authorization`; a password in ~/.netrc would replace a header."""

    api_key: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.api_key:
            request.headers["Authorization"] = f"Bearer {self.api_key}"
        return request


class _Caller:
    """Calls of one gateway until a deadline; what may pass by itself is tried again."""

    def __init__(
        self, target: Target, session: requests.Session, clock: Clock, timeout_s: float
    ) -> None:
        self.target = target
        self.clock = clock
        self.timeout_s = timeout_s
        self._session = session
        # A proxy of the environment cannot reach what runs on this machine.
        session.trust_env = urlsplit(target.url).hostname not in LOCAL
        self._ends_at = clock.now() + timeout_s

    def send(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST the task; safe to repeat, because every try has the same key."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        may_be_there = False
        for sends in count(1):
            try:
                return self.call("POST", ROUTE, headers=headers, **body)
            except _Unanswered as error:
                may_be_there = may_be_there or error.sent
                if not may_be_there:
                    raise CallFailed(
                        f"nothing answers at {self.target.url}: {error}"
                    ) from error
                if error.pause_s is None and sends >= SENDS:
                    raise CallFailed(
                        f"no answer of {self.target.url} to the task, which may have "
                        f"been taken: {error}"
                    ) from error
                self.pause(error, sends, "the task was not taken")
        raise AssertionError("count has no end")

    def follow(
        self, task_id: str, wait_s: int, show: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        """The task at its end; raises `CallFailed` when the time is over before."""
        failures = 0
        task: dict[str, Any] = {"status": "queued"}
        while True:
            asked_at = self.clock.now()
            left_s = max(0, min(wait_s, int(self._ends_at - asked_at)))
            try:
                task = self.call(
                    "GET", f"{ROUTE}/{task_id}", params={"wait": str(left_s)}
                )
            except _Unanswered as error:
                failures += 1
                show({**task, "status": "no answer, asking again"})
                self.pause(error, failures, f"{task_id} goes on, but cannot be seen")
                continue
            failures = 0
            show(task)
            if task["status"] in ENDED:
                return task
            if self.clock.now() >= self._ends_at:
                raise CallFailed(
                    f"{task_id} is still {task['status']} after {self.timeout_s:g} "
                    f"seconds; it goes on: GET {self.target.url}{ROUTE}/{task_id}"
                )
            # A gateway with many waiting clients answers at once.
            self.clock.sleep(max(0, FIRST_PAUSE_S - (self.clock.now() - asked_at)))

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """`data` of a successful answer; `CallFailed` with the gateway's words."""
        url = self.target.url + path
        auth = _Bearer(self.target.api_key)
        with self._answer(method, url, auth=auth, **body) as response:
            try:
                envelope = response.json()
                code, message = envelope["code"], envelope["message"]
                if response.ok and code == "success":
                    return dict(envelope["data"])
                texts = [
                    f"{name} {text}"
                    for name, wrong in (envelope.get("errors") or {}).items()
                    for text in wrong
                ]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise CallFailed(
                    f"{url} answered HTTP {response.status_code}, and not as genrelay"
                ) from error
            except requests.RequestException as error:
                raise _Unanswered(reason_of(error)) from error
        told = "; ".join(texts) if len(texts) > 1 else message
        raise CallFailed(f"{told} ({code}, HTTP {response.status_code})")

    def save(self, url: str, path: Path) -> None:
        """Stream a result file to a path that is not there yet."""
        for tries in count(1):
            try:
                # A signed link, maybe of another house: it never gets the key.
                with self._answer(
                    "GET", url, auth=_Bearer(""), stream=True
                ) as response:
                    if not response.ok:
                        raise CallFailed(
                            f"the file at {url.partition('?')[0]} cannot be fetched: "
                            f"HTTP {response.status_code}"
                        )
                    _write(response, path)
                return
            except _Unanswered as error:
                if tries >= SENDS:
                    raise CallFailed(
                        f"a result file did not arrive: {error}"
                    ) from error
                self.pause(error, tries, "a result file did not arrive")

    def pause(self, error: _Unanswered, failures: int, what: str) -> None:
        """Wait as long as the gateway says, else longer each time."""
        pause_s = error.pause_s
        if pause_s is None:
            pause_s = min(FIRST_PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S)
        if self.clock.now() + pause_s > self._ends_at:
            raise CallFailed(
                f"{what} within {self.timeout_s:g} seconds: {error}"
            ) from error
        self.clock.sleep(pause_s)

    def _answer(self, method: str, url: str, **options: Any) -> requests.Response:
        try:
            response = self._session.request(
                method, url, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S), **options
            )
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            raise _Unanswered(reason_of(error), sent=not never_left(error)) from error
        except requests.RequestException as error:
            raise CallFailed(f"{url} cannot be called: {error}") from error
        if response.status_code in BUSY:
            pause_s = _retry_after_s(response)
            # A conflict passes by itself only where the gateway says so.
            if response.status_code != 409 or pause_s is not None:
                response.close()
                raise _Unanswered(f"HTTP {response.status_code}", pause_s=pause_s)
        return response


def _body(
    prompt: str, model: str, images: Sequence[Path], fields: Mapping[str, str]
) -> dict[str, Any]:
    """The task as `requests` takes it.

    JSON has types that a command line does not: with further fields or images the task
    is a form, whose texts the gateway reads by the type of each field.
    """
    texts = {"model": model, "prompt": prompt}
    for name in fields:
        if name in texts:
            raise CallFailed(f"{name} is given twice: as a field too")
    if not fields and not images:
        return {"json": texts}
    parts: list[tuple[str, tuple[str | None, str | bytes, str]]] = [
        (name, (None, text, "text/plain; charset=utf-8"))
        for name, text in {**texts, **fields}.items()
    ]
    for image in images:
        guessed = mimetypes.guess_type(image.name)[0] or "application/octet-stream"
        name = "image" if len(images) == 1 else "images"
        parts.append((name, (image.name, image.read_bytes(), guessed)))
    return {"files": parts}


def _save_all(caller: _Caller, task: Mapping[str, Any], out: Path) -> tuple[Path, ...]:
    """Save each result that is a file, as `<model>-<end of the task id>-<n>.<type>`."""
    model = re.sub(r"[^A-Za-z0-9._-]+", "-", str(task["model"])).strip("-.") or "result"
    files = []
    for n, result in enumerate(task["results"], 1):
        if not result["url"]:
            continue
        extension = extension_of(result["content_type"] or "")
        name = f"{model[:80]}-{str(task['task_id'])[-8:]}-{n}"
        path = _free_path(out, name, extension)
        try:
            caller.save(str(result["url"]), path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        files.append(path)
    return tuple(files)


def _free_path(folder: Path, name: str, extension: str) -> Path:
    """A new, empty file: whatever is there already stays as it is."""
    for copy in count(1):
        path = folder / f"{name}{f'-{copy}' if copy > 1 else ''}.{extension}"
        with suppress(FileExistsError):
            path.open("xb").close()
            return path
    raise AssertionError("count has no end")


def _write(response: requests.Response, path: Path) -> None:
    with path.open("wb") as file:
        try:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
        except requests.RequestException as error:
            raise _Unanswered(reason_of(error)) from error


def _retry_after_s(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    return float(text) if re.fullmatch(r"[0-9]{1,6}", text) else None


def _kept(path: Path, name: str) -> str | None:
    """A text in a JSON file of the data folder; None when it is not there."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """On a terminal, a bar with percentage, status and time for the block's length."""
    with Progress(
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # it would print an empty line
    ) as progress:
        line: TaskID = progress.add_task("", total=100)

        def show(task: Mapping[str, Any]) -> None:
            percent = re.match(r"[0-9]+", str(task.get("progress", "")))
            progress.update(
                line,
                description=str(task["status"]),
                completed=int(percent[0]) if percent else None,
                refresh=True,
            )

        yield show
