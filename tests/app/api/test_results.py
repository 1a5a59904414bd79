"""Result files: who may fetch them, and in which parts."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.wsgi import FileWrapper

from app.catalog import Offer
from app.generation_requests import request_of
from app.security import signatures
from app.storage import Folder, RemoteFile
from tests.app.api.gateways import (
    LUMEN,
    Gateway,
    a_png,
    add_client,
    base64_of,
    data,
)
from tests.app.api.test_tasks import finish

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ETAG = f'"{SHA256}"'


@pytest.fixture
def task_id(gateway: Gateway) -> str:
    """A finished task with one stored file."""
    made = gateway.submitted()
    key = f"results/{made[-2:]}/{made}/0.png"
    gateway.rt.storage.put(key, CONTENT)
    finish(
        gateway,
        made,
        storage_key=key,
        content_type="image/png",
        size_bytes=len(CONTENT),
        sha256=SHA256,
    )
    return made


def path_of(task_id: str, n: object = 0) -> str:
    return f"/generation/tasks/{task_id}/results/{n}"


def link_of(gateway: Gateway, task_id: str) -> str:
    """The signed link's path and query."""
    url = data(gateway.get(f"/generation/tasks/{task_id}"))["result_urls"][0]
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def test_the_owners_key_fetches_the_file(gateway: Gateway, task_id: str) -> None:
    answer = gateway.get(path_of(task_id))

    assert answer.status_code == 200
    assert answer.data == CONTENT
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["ETag"] == ETAG
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert answer.headers["Content-Disposition"] == (
        f'inline; filename="{task_id}-0.png"'
    )


def test_a_signed_link_needs_no_key(gateway: Gateway, task_id: str) -> None:
    answer = gateway.http.get(link_of(gateway, task_id))

    assert answer.data == CONTENT


def test_the_alias_serves_the_file_too(gateway: Gateway, task_id: str) -> None:
    assert gateway.get("/v1" + path_of(task_id)).data == CONTENT


def test_without_key_or_link_there_is_nothing(gateway: Gateway, task_id: str) -> None:
    assert gateway.http.get(path_of(task_id)).status_code == 401


def test_anothers_key_finds_nothing(gateway: Gateway, task_id: str) -> None:
    key, _ = add_client(gateway.rt, "other")
    headers = {"Authorization": f"Bearer {key}"}

    assert gateway.http.get(path_of(task_id), headers=headers).status_code == 404


def test_a_link_dies(gateway: Gateway, task_id: str) -> None:
    link = link_of(gateway, task_id)
    gateway.clock.now += 86_401

    answer = gateway.http.get(link)

    assert (answer.status_code, answer.json["code"]) == (403, "link_expired")


@pytest.mark.parametrize(
    "change",
    [
        lambda link: link.replace("/results/0", "/results/1"),
        lambda link: link.replace("expires=1", "expires=2"),
        lambda link: link[:-1] + ("A" if link[-1] != "A" else "B"),
        lambda link: link.partition("signature=")[0] + "signature=",
        lambda link: link.replace("expires=", "x="),
        lambda link: link + "%00%ff",
    ],
    ids=["number", "expiry", "signature", "empty", "no expiry", "odd characters"],
)
def test_a_link_that_was_changed_is_refused(
    gateway: Gateway, task_id: str, change: Any
) -> None:
    answer = gateway.http.get(change(link_of(gateway, task_id)))

    assert answer.status_code == 403


def test_a_changed_link_is_refused_although_a_key_comes_along(
    gateway: Gateway, task_id: str
) -> None:
    assert gateway.get(path_of(task_id) + "?signature=x").status_code == 403


@pytest.mark.parametrize("n", ["1", "x", "-1", "9" * 5000, "0x0", "00000"])
def test_a_result_that_does_not_exist_is_not_found(
    gateway: Gateway, task_id: str, n: str
) -> None:
    answer = gateway.get(path_of(task_id, n))

    assert (answer.status_code, answer.json["code"]) == (404, "result_not_found")


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=10200-", 10200, 10240),
        ("bytes=-40", 10200, 10240),
        ("bytes=0-99999", 0, 10240),
        ("bytes=-99999", 0, 10240),
    ],
)
def test_a_range_is_answered_in_part(
    gateway: Gateway, task_id: str, wanted: str, start: int, end: int
) -> None:
    answer = gateway.get(path_of(task_id), Range=wanted)

    assert answer.status_code == 206
    assert answer.data == CONTENT[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/10240"
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["ETag"] == ETAG


@pytest.mark.parametrize(
    "wanted", ["bytes=0-1,5-6", "lines=0-1", "bytes=x", "bytes=5-1", "bytes", "bytes="]
)
def test_ranges_that_are_not_served_give_the_whole(
    gateway: Gateway, task_id: str, wanted: str
) -> None:
    answer = gateway.get(path_of(task_id), Range=wanted)

    assert (answer.status_code, answer.data) == (200, CONTENT)


@pytest.mark.parametrize("wanted", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_outside_of_the_file_is_416(
    gateway: Gateway, task_id: str, wanted: str
) -> None:
    answer = gateway.get(path_of(task_id), Range=wanted)

    assert (answer.status_code, answer.json["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == "bytes */10240"


@pytest.mark.parametrize("known", [ETAG, f'W/{ETAG}, "x"', "*"])
def test_a_file_the_client_has_is_not_sent_again(
    gateway: Gateway, task_id: str, known: str
) -> None:
    answer = gateway.get(path_of(task_id), If_None_Match=known)

    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == ETAG


@pytest.mark.parametrize(("known", "status"), [(ETAG, 206), ('"x"', 200), ("x", 200)])
def test_if_range_asks_for_a_part_of_the_same_file_only(
    gateway: Gateway, task_id: str, known: str, status: int
) -> None:
    answer = gateway.get(path_of(task_id), Range="bytes=0-9", If_Range=known)

    assert answer.status_code == status


def test_head_tells_the_size_without_the_bytes(gateway: Gateway, task_id: str) -> None:
    answer = gateway.http.head(path_of(task_id), headers=gateway.headers)

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(CONTENT))


def test_a_file_that_is_gone_is_not_found(gateway: Gateway, task_id: str) -> None:
    gateway.rt.storage.delete(f"results/{task_id[-2:]}/{task_id}/0.png")

    answer = gateway.get(path_of(task_id))

    assert (answer.status_code, answer.json["code"]) == (404, "result_not_found")


def test_a_link_of_the_upstream_is_passed_on(gateway: Gateway) -> None:
    made = gateway.submitted()
    finish(gateway, made, url="https://cdn.example.com/a.png?sig=b%2Bc")

    answer = gateway.get(path_of(made))

    assert answer.status_code == 302
    assert answer.headers["Location"] == "https://cdn.example.com/a.png?sig=b%2Bc"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://a/\r\nX: y"])
def test_an_odd_link_of_an_upstream_is_not_passed_on(
    gateway: Gateway, url: str
) -> None:
    made = gateway.submitted()
    finish(gateway, made, url=url)

    assert gateway.get(path_of(made)).status_code == 404


def test_a_text_without_a_file_is_not_a_file(gateway: Gateway) -> None:
    made = gateway.submitted()
    finish(gateway, made, text="la la la")

    assert gateway.get(path_of(made)).json["code"] == "result_not_found"


def answered_with(gateway: Gateway, path: str, storage: Any) -> tuple[bytes, list[Any]]:
    """The body of an answer, and the files that the server sent in its own way."""
    handed: list[Any] = []

    def send_file(file: Any, block: int = 8192) -> FileWrapper:
        os.fstat(file.fileno())  # a server asks for the size of the real file
        handed.append(file)
        return FileWrapper(file, block)

    object.__setattr__(gateway.rt, "storage", storage)
    environ = {"wsgi.file_wrapper": send_file}
    answer = gateway.http.get(path, headers=gateway.headers, environ_overrides=environ)
    assert answer.status_code == 200
    return answer.data, handed


def test_the_server_sends_a_file_of_a_folder_by_its_descriptor(
    gateway: Gateway, task_id: str
) -> None:
    storage = gateway.rt.storage
    assert isinstance(storage, Folder)

    body, handed = answered_with(gateway, path_of(task_id), storage)

    assert (body, len(handed)) == (CONTENT, 1)


class OneFileBucket:
    """Storage whose files have no descriptor, as those of a bucket."""

    def size(self, key: str) -> int:
        return len(CONTENT)

    def open(self, key: str) -> io.BufferedReader:
        remote = RemoteFile(len(CONTENT), lambda start, end: CONTENT[start:end])
        return io.BufferedReader(remote)

    def iter_range(self, key: str, start: int, end: int) -> Any:
        return iter([CONTENT[start:end]])


def test_a_file_of_a_bucket_is_not_given_to_the_server_to_send(
    gateway: Gateway, task_id: str
) -> None:
    body, handed = answered_with(gateway, path_of(task_id), OneFileBucket())

    assert (body, handed) == (CONTENT, [])


def input_link(
    gateway: Gateway, task_id: str, *, public_url: str | None = "https://gw.example"
) -> str | None:
    """The link that a provider's flow is given for the first upload of a task."""
    settings = replace(gateway.rt.settings, public_url=public_url)
    request, _ = request_of(
        replace(gateway.rt, settings=settings),
        task_id=task_id,
        submission_id="sub-1",
        offer=Offer(gateway.channel(), LUMEN, LUMEN.models[0]),
        media_type="image",
        inputs=gateway.inputs_of(task_id),
    )
    return request.images[0].link


def test_an_upload_can_be_fetched_by_its_signed_link(gateway: Gateway) -> None:
    png = a_png()
    task_id = gateway.submitted(image=base64_of(png))

    link = input_link(gateway, task_id)

    assert link is not None
    assert link.startswith(
        f"https://gw.example/generation/tasks/{task_id}/inputs/0.png"
    )
    answer = gateway.http.get(link.removeprefix("https://gw.example"))
    assert (answer.status_code, answer.data) == (200, png)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_without_a_public_address_an_upload_has_no_link(gateway: Gateway) -> None:
    task_id = gateway.submitted(image=base64_of(a_png()))
    assert input_link(gateway, task_id, public_url=None) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda link: link.replace("/inputs/0.", "/inputs/1."),
        lambda link: link.replace("/inputs/0.png", "/results/0"),
        lambda link: link.replace("expires=1", "expires=2"),
        lambda link: link.partition("?")[0],
        lambda link: link.replace("/0.png", "/0"),
    ],
)
def test_a_changed_link_to_an_upload_is_refused(
    gateway: Gateway, change: Callable[[str], str]
) -> None:
    task_id = gateway.submitted(image=base64_of(a_png()))
    link = input_link(gateway, task_id)
    assert link is not None
    changed = change(link.removeprefix("https://gw.example"))
    assert gateway.http.get(changed).status_code in (401, 403)
    assert gateway.get(changed.partition("?")[0]).status_code in (403, 404)


def test_a_link_to_an_upload_dies_after_a_day(gateway: Gateway) -> None:
    task_id = gateway.submitted(image=base64_of(a_png()))
    link = input_link(gateway, task_id)
    assert link is not None
    gateway.clock.now += 25 * 3600
    answer = gateway.http.get(link.removeprefix("https://gw.example"))
    assert answer.status_code == 403


def test_an_input_that_came_as_a_url_is_not_served(gateway: Gateway) -> None:
    task_id = gateway.submitted(
        images=["https://cdn.example.com/a.png", base64_of(a_png())]
    )
    signature = signatures.sign_input_link(
        gateway.rt.link_key, task_id, 0, int(gateway.clock()) + 60
    )
    answer = gateway.http.get(
        f"/generation/tasks/{task_id}/inputs/0.png"
        f"?expires={int(gateway.clock()) + 60}&signature={signature}"
    )
    assert answer.status_code == 404
