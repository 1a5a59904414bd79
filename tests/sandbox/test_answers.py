import base64
import io
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image

from sandbox.answers import without_id
from sandbox.jobs import CallKind, JobPhase, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.tiny_dialect import SECRET, late_routes, routes

AT_ONCE = SandboxSettings(
    durations=parse_durations("fixed:0"),
    secrets={"closed": frozenset({"right-key"})},
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    dialects = {"closed": routes, "late": late_routes, "tiny": routes}
    with running(settings=AT_ONCE, dialects=dialects) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.reset()
    return shared


def submit(
    sandbox: Sandbox, prompt: str = "a lighthouse", path: str = "tiny/jobs", **body: Any
) -> requests.Response:
    return requests.post(
        f"{sandbox.url}/{path}",
        json={"prompt": prompt, **body},
        headers=SECRET,
        timeout=5,
    )


def poll(sandbox: Sandbox, job_id: str, timeout_s: float = 5) -> requests.Response:
    return requests.get(
        f"{sandbox.url}/tiny/jobs/{job_id}", headers=SECRET, timeout=timeout_s
    )


def fetch(
    sandbox: Sandbox, job_id: str, name: str = "0.png", **headers: str
) -> requests.Response:
    return requests.get(
        f"{sandbox.url}/tiny/files/{job_id}/{name}", headers=headers, timeout=5
    )


def paid_count(sandbox: Sandbox) -> int:
    return len(sandbox.ledger.submits())


def test_plain_prompt_is_accepted_paid_and_done(sandbox: Sandbox) -> None:
    answer = submit(sandbox)
    assert answer.status_code == 202
    assert poll(sandbox, answer.json()["id"]).json()["status"] == "SUCCEEDED"
    assert paid_count(sandbox) == 1


@pytest.mark.parametrize(
    ("tag", "status", "error"),
    [
        ("400", 400, "the request was refused, as its prompt asks"),
        ("401", 401, "unauthorized"),
        ("403", 403, "forbidden"),
        ("429", 429, "rate_limit"),
        ("quota", 402, "quota"),
        ("blocked", 400, "blocked"),
        ("500 before", 500, "server_error"),
        ("503 before", 503, "server_error"),
    ],
)
def test_refused_submit_is_not_paid(
    sandbox: Sandbox, tag: str, status: int, error: str
) -> None:
    answer = submit(sandbox, f"x [{tag}]")
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert paid_count(sandbox) == 0


def test_counted_refusal_ends_and_then_the_prompt_is_accepted(sandbox: Sandbox) -> None:
    statuses = [submit(sandbox, "x [429 twice]").status_code for _ in range(3)]
    assert statuses == [429, 429, 202]
    assert paid_count(sandbox) == 1


def test_refusals_are_counted_for_each_prompt_alone(sandbox: Sandbox) -> None:
    prompts = ["x [429 once]", "y [429 once]", "x [429 once]"]
    assert [submit(sandbox, p).status_code for p in prompts] == [429, 429, 202]


@pytest.mark.parametrize("tag", ["500", "502"])
def test_server_error_after_acceptance_is_paid(sandbox: Sandbox, tag: str) -> None:
    assert submit(sandbox, f"x [{tag}]").status_code == int(tag)
    assert paid_count(sandbox) == 1


def test_reset_comes_without_an_answer_but_is_paid(sandbox: Sandbox) -> None:
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        submit(sandbox, "x [reset]")
    assert paid_count(sandbox) == 1


def test_cut_answer_breaks_off_but_is_paid(sandbox: Sandbox) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="Incomplete"):
        submit(sandbox, "x [cut]")
    assert paid_count(sandbox) == 1


def test_hanging_submit_is_never_answered_but_is_paid(sandbox: Sandbox) -> None:
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            f"{sandbox.url}/tiny/jobs",
            json={"prompt": "x [hang]"},
            headers=SECRET,
            timeout=0.3,
        )
    assert paid_count(sandbox) == 1


def test_web_page_comes_with_status_200_and_is_paid(sandbox: Sandbox) -> None:
    answer = submit(sandbox, "x [html]")
    assert (answer.status_code, answer.headers["Content-Type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    assert paid_count(sandbox) == 1


def test_answer_without_its_id_is_else_the_usual_one(sandbox: Sandbox) -> None:
    answer = submit(sandbox, "x [no id]")
    assert (answer.status_code, answer.json()) == (202, {"of": "tiny"})
    assert paid_count(sandbox) == 1


def test_id_is_taken_out_wherever_it_is_told() -> None:
    body = b'{"data":"j-1","urls":{"get":"/x/j-1/y"},"list":["j-1",{"n":2}],"n":1}'
    assert without_id(body, "j-1") == {"urls": {}, "list": [{"n": 2}], "n": 1}
    assert without_id(b'{"task":7,"ok":true}', "7") == {"ok": True}
    assert without_id(b"ID3", "7") == {}


def test_answer_that_tells_no_id_loses_all_it_holds() -> None:
    assert without_id(b'{"data":[{"b64_json":"iVBO"}]}', "j-1") == {}


def test_slow_answer_is_paid_before_it_is_given(sandbox: Sandbox) -> None:
    begun = time.monotonic()
    assert submit(sandbox, "x [slow answer 200ms]").status_code == 202
    assert time.monotonic() - begun >= 0.2
    assert sandbox.ledger.submits()[0].at < time.time() - 0.15


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ("poll 429 once", 429),
        ("poll 500 once", 500),
        ("poll 404 once", 404),
        ("poll html once", 200),
    ],
)
def test_counted_fault_of_a_poll_passes(
    sandbox: Sandbox, tag: str, status: int
) -> None:
    job_id = submit(sandbox, f"x [{tag}]").json()["id"]
    spoilt = poll(sandbox, job_id)
    assert spoilt.status_code == status
    assert "SUCCEEDED" not in spoilt.text
    assert poll(sandbox, job_id).json()["status"] == "SUCCEEDED"


def test_faults_of_polls_are_counted_for_each_job_alone(sandbox: Sandbox) -> None:
    ids = [submit(sandbox, "x [poll 500 once]").json()["id"] for _ in range(2)]
    assert [poll(sandbox, job_id).status_code for job_id in ids] == [500, 500]


def test_uncounted_fault_of_a_poll_stays(sandbox: Sandbox) -> None:
    job_id = submit(sandbox, "x [poll 401]").json()["id"]
    assert [poll(sandbox, job_id).status_code for _ in range(3)] == [401, 401, 401]


def test_hanging_poll_is_never_answered(sandbox: Sandbox) -> None:
    job_id = submit(sandbox, "x [poll hang once]").json()["id"]
    with pytest.raises(requests.ReadTimeout):
        poll(sandbox, job_id, timeout_s=0.2)
    assert poll(sandbox, job_id).status_code == 200


def test_unknown_id_is_answered_as_not_found(sandbox: Sandbox) -> None:
    assert poll(sandbox, "nobody").status_code == 404


def test_fault_of_one_job_spoils_a_read_of_several(sandbox: Sandbox) -> None:
    ids = [submit(sandbox, p).json()["id"] for p in ("x", "y [poll 500 once]")]
    url = f"{sandbox.url}/tiny/jobs?ids={','.join(ids)},unknown"
    assert requests.get(url, timeout=5).status_code == 500
    assert [job["id"] for job in requests.get(url, timeout=5).json()] == ids


def test_moderation_after_acceptance_fails_the_job(sandbox: Sandbox) -> None:
    job_id = submit(sandbox, "x [blocked]", "late/jobs").json()["id"]
    job = sandbox.upstream("late").jobs.find(job_id)
    assert job is not None
    assert job.phase(time.time()) is JobPhase.FAILED
    assert paid_count(sandbox) == 1


def test_submit_that_waits_brings_the_result(sandbox: Sandbox) -> None:
    begun = time.monotonic()
    answer = submit(sandbox, "x [slow 300ms]", "tiny/now")
    assert time.monotonic() - begun >= 0.3
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)


def test_result_that_comes_at_once_can_be_cut(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/tiny/now"
    with requests.post(
        url, json={"prompt": "x [cut]"}, headers=SECRET, timeout=5, stream=True
    ) as answer:
        assert answer.headers["Content-Type"] == "image/png"
        size = int(answer.headers["Content-Length"])
        got: list[int] = []
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            got.extend(itertools.chain.from_iterable(answer.iter_content(1)))
    assert bytes(got).startswith(b"\x89PNG")
    assert len(got) < size


@pytest.mark.parametrize(
    ("tag", "status", "error"),
    [("fail", 500, "server_error"), ("blocked late", 400, "blocked")],
)
def test_submit_that_waits_is_refused_when_its_job_failed(
    sandbox: Sandbox, tag: str, status: int, error: str
) -> None:
    answer = submit(sandbox, f"x [{tag}]", "tiny/now")
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert paid_count(sandbox) == 1


def test_result_is_an_image_that_carries_the_prompt(sandbox: Sandbox) -> None:
    answer = fetch(sandbox, submit(sandbox, "a lighthouse").json()["id"])
    assert answer.headers["Content-Type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).info["prompt"] == "a lighthouse"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-7", 206, slice(0, 8)),
        ("bytes=8-", 206, slice(8, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=oops", 200, slice(None)),
    ],
)
def test_range_of_a_result_is_answered(
    sandbox: Sandbox, asked: str, status: int, part: slice
) -> None:
    job_id = submit(sandbox).json()["id"]
    whole = fetch(sandbox, job_id).content
    answer = fetch(sandbox, job_id, Range=asked)
    assert (answer.status_code, answer.content) == (status, whole[part])


def test_range_behind_the_end_is_refused(sandbox: Sandbox) -> None:
    job_id = submit(sandbox).json()["id"]
    size = len(fetch(sandbox, job_id).content)
    answer = fetch(sandbox, job_id, Range=f"bytes={size}-")
    assert (answer.status_code, answer.headers["Content-Range"]) == (
        416,
        f"bytes */{size}",
    )


def test_big_result_has_the_size_asked_for_and_is_still_an_image(
    sandbox: Sandbox,
) -> None:
    answer = fetch(sandbox, submit(sandbox, "x [big 1MB]").json()["id"])
    assert len(answer.content) == 1_000_000
    Image.open(io.BytesIO(answer.content)).load()


def test_expired_link_is_refused(sandbox: Sandbox) -> None:
    answer = fetch(sandbox, submit(sandbox, "x [expire]").json()["id"])
    assert (answer.status_code, "expired" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("x", "1.png"),
        ("x", "0.exe"),
        ("x [stuck]", "0.png"),
        ("x [fail]", "0.png"),
    ],
)
def test_file_that_is_not_there_is_not_found(
    sandbox: Sandbox, prompt: str, name: str
) -> None:
    job_id = submit(sandbox, prompt).json()["id"]
    assert fetch(sandbox, job_id, name).status_code == 404


def test_spoilt_output_has_no_file_while_the_others_have(sandbox: Sandbox) -> None:
    job_id = submit(sandbox, "x [partial]", n=2).json()["id"]
    statuses = [fetch(sandbox, job_id, f"{i}.png").status_code for i in (0, 1)]
    assert statuses == [200, 404]


@pytest.mark.parametrize(
    ("path", "authorization", "status"),
    [
        ("tiny", None, 401),
        ("tiny", "some-key", 401),
        ("tiny", "Bearer ", 401),
        ("tiny", "Bearer bad-key", 401),
        ("tiny", "Bearer quota-key", 402),
        ("tiny", "Bearer any-key", 202),
        ("closed", "Bearer any-key", 401),
        ("closed", "Bearer right-key", 202),
    ],
)
def test_secret_decides_whether_a_submit_is_let_in(
    sandbox: Sandbox, path: str, authorization: str | None, status: int
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = requests.post(
        f"{sandbox.url}/{path}/jobs", json={"prompt": "x"}, headers=headers, timeout=5
    )
    assert answer.status_code == status
    assert sandbox.ledger.calls(path, CallKind.SUBMIT) == 1


def test_secret_without_credit_may_still_read_its_jobs(sandbox: Sandbox) -> None:
    job_id = submit(sandbox).json()["id"]
    answer = requests.get(
        f"{sandbox.url}/tiny/jobs/{job_id}",
        headers={"Authorization": "Bearer quota-key"},
        timeout=5,
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"prompt": 7}', b'{"prompt": "x", "n": 9}', b"\xff"]
)
def test_body_that_does_not_fit_is_refused_and_not_paid(
    sandbox: Sandbox, body: bytes
) -> None:
    answer = requests.post(
        f"{sandbox.url}/tiny/jobs", data=body, headers=SECRET, timeout=5
    )
    assert answer.status_code == 400
    assert paid_count(sandbox) == 0


def test_text_that_is_no_unicode_can_be_echoed(sandbox: Sandbox) -> None:
    body = b'{"prompt": "x", "reference": "\\ud800"}'
    answer = requests.post(
        f"{sandbox.url}/tiny/jobs", data=body, headers=SECRET, timeout=5
    )
    assert answer.status_code == 202
    assert requests.get(f"{sandbox.url}/_sandbox/ledger", timeout=5).status_code == 200


def test_input_may_be_large(sandbox: Sandbox) -> None:
    image = base64.b64encode(bytes(3_000_000)).decode()
    assert submit(sandbox, image=image).status_code == 202
