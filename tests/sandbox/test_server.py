import queue
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import openai
import pytest
import requests

from sandbox.jobs import CallKind, parse_durations
from sandbox.server import DIALECTS, Sandbox, SandboxSettings, running
from tests.sandbox.tiny_dialect import SECRET, routes

AT_ONCE = SandboxSettings(durations=parse_durations("fixed:0"))


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    dialects = {"other": routes, "tiny": routes}
    with running(settings=AT_ONCE, dialects=dialects) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.reset()
    return shared


@pytest.fixture
def hook() -> Iterator["Hook"]:
    hook = Hook()
    yield hook
    hook.close()


class Hook:
    """Takes callbacks: a queue of the headers and the body of each."""

    def __init__(self) -> None:
        got: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.put((dict(self.headers), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Keep the test's output clean."""

        self.got = got
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def next(self) -> tuple[dict[str, str], bytes]:
        return self.got.get(timeout=5)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def submit(
    sandbox: Sandbox, prompt: str = "a lighthouse", provider: str = "tiny", **body: Any
) -> requests.Response:
    return requests.post(
        f"{sandbox.url}/{provider}/jobs",
        json={"prompt": prompt, **body},
        headers=SECRET,
        timeout=5,
    )


def control(sandbox: Sandbox, method: str, path: str, **given: Any) -> Any:
    url = f"{sandbox.url}/_sandbox/{path}"
    return requests.request(method, url, timeout=5, **given).json()


def behave(sandbox: Sandbox, wanted: Any) -> requests.Response:
    url = f"{sandbox.url}/_sandbox/behaviour"
    return requests.put(url, json=wanted, timeout=5)


def test_dialects_are_listed_a_to_z() -> None:
    assert list(DIALECTS) == sorted(DIALECTS)


def test_health_names_the_providers(sandbox: Sandbox) -> None:
    assert control(sandbox, "GET", "healthz") == {
        "status": "ok",
        "providers": ["other", "tiny"],
    }


def test_ledger_tells_what_was_paid_and_called(sandbox: Sandbox) -> None:
    job_id = submit(sandbox, reference="task_7").json()["id"]
    submit(sandbox, "refused [429]")
    submit(sandbox, "a harbour", "other")
    shown = control(sandbox, "GET", "ledger?provider=tiny&prompt_contains=light")
    assert len(shown["submits"]) == 1
    assert shown["submits"][0] == {
        "provider": "tiny",
        "job_id": job_id,
        "model": "",
        "prompt": "a lighthouse",
        "reference": "task_7",
        "at": pytest.approx(time.time(), abs=5),
        "key": "-key",
    }
    assert shown["calls"] == {"tiny": {"submit": 2}}


def test_ledger_of_all_providers_is_given_when_none_is_named(sandbox: Sandbox) -> None:
    submit(sandbox)
    submit(sandbox, provider="other")
    shown = control(sandbox, "GET", "ledger")
    assert [s["provider"] for s in shown["submits"]] == ["tiny", "other"]
    assert shown["calls"] == {"other": {"submit": 1}, "tiny": {"submit": 1}}


def test_reset_forgets_jobs_ledger_turns_and_behaviour(sandbox: Sandbox) -> None:
    job_id = submit(sandbox, "x [poll 500 once]").json()["id"]
    submit(sandbox, "y [429 once]")
    behave(sandbox, {"tiny": {"latency_ms": 1}})
    assert control(sandbox, "POST", "reset") == {"status": "ok"}
    assert sandbox.upstream("tiny").jobs.find(job_id) is None
    assert control(sandbox, "GET", "ledger")["submits"] == []
    assert control(sandbox, "GET", "behaviour") == {}
    assert submit(sandbox, "y [429 once]").status_code == 429


def test_reset_drops_callbacks_that_are_not_yet_sent(
    sandbox: Sandbox, hook: Hook
) -> None:
    submit(sandbox, "x [webhook late 300ms]", hook=hook.url)
    sandbox.reset()
    job_id = submit(sandbox, "y [webhook late 500ms]", hook=hook.url).json()["id"]
    assert hook.next()[0]["webhook-id"] == job_id


def test_upstream_that_is_down_accepts_nothing(sandbox: Sandbox) -> None:
    behave(sandbox, {"tiny": {"down": True}})
    answer = submit(sandbox)
    assert (answer.status_code, "<html>" in answer.text) == (503, True)
    assert sandbox.ledger.submits() == []
    assert sandbox.ledger.calls_of("tiny") == {"down": 1}
    assert submit(sandbox, provider="other").status_code == 202


def test_behaviour_of_submits_needs_no_tag(sandbox: Sandbox) -> None:
    behave(sandbox, {"tiny": {"submit": "500"}})
    assert submit(sandbox).status_code == 500
    assert len(sandbox.ledger.submits()) == 1


def test_behaviour_of_polls_reaches_jobs_under_way(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/tiny/jobs/{submit(sandbox).json()['id']}"
    behave(sandbox, {"tiny": {"poll": "502 once"}})
    statuses = [
        requests.get(url, headers=SECRET, timeout=5).status_code for _ in range(2)
    ]
    assert statuses == [502, 200]


def test_latency_delays_every_answer(sandbox: Sandbox) -> None:
    behave(sandbox, {"tiny": {"latency_ms": 150}})
    begun = time.monotonic()
    submit(sandbox)
    assert time.monotonic() - begun >= 0.15


def test_drawn_durations_can_be_set(sandbox: Sandbox) -> None:
    behave(sandbox, {"tiny": {"durations": "lognormal:500,0.1"}})
    job = sandbox.upstream("tiny").jobs.find(submit(sandbox).json()["id"])
    assert job is not None
    assert 250 < job.ends_at - job.created_at < 1000


def test_behaviour_is_shown_and_an_empty_one_is_the_usual(sandbox: Sandbox) -> None:
    shown = behave(sandbox, {"tiny": {"submit": "hang"}}).json()
    assert shown["tiny"]["submit"] == "hang"
    assert behave(sandbox, {"tiny": {}}).json() == {}
    assert submit(sandbox).status_code == 202


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"nobody": {}}, "'nobody' is no provider here: other, tiny"),
        ({"tiny": 7}, "tiny must be an object"),
        ({"tiny": {"dwon": True}}, "tiny.dwon is not one of down, latency_ms"),
        ({"tiny": {"down": 1}}, "tiny.down must be a bool"),
        ({"tiny": {"latency_ms": "1"}}, "tiny.latency_ms must be a float"),
        ({"tiny": {"latency_ms": True}}, "tiny.latency_ms must be a float"),
        ({"tiny": {"latency_ms": -1}}, "latency_ms"),
        ({"tiny": {"submit": "hangs"}}, "'hangs' is not a tag"),
        ({"tiny": {"durations": "long"}}, "lognormal:<median seconds>,<sigma>"),
        ([], "the body must be a JSON object"),
    ],
)
def test_behaviour_that_does_not_fit_changes_nothing(
    sandbox: Sandbox, wrong: Any, told: str
) -> None:
    if isinstance(wrong, dict):
        wrong = {"other": {"down": True}, **wrong}
    answer = behave(sandbox, wrong)
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert control(sandbox, "GET", "behaviour") == {}


def test_behaviour_can_be_set_by_the_handle(sandbox: Sandbox) -> None:
    sandbox.behave("tiny", submit="403")
    assert submit(sandbox).status_code == 403
    sandbox.behave("tiny")
    assert submit(sandbox).status_code == 202


def test_callback_tells_the_end_and_its_signature_holds(
    sandbox: Sandbox, hook: Hook
) -> None:
    job_id = submit(sandbox, hook=hook.url).json()["id"]
    headers, body = hook.next()
    assert body == b'{"id": "%s", "status": "SUCCEEDED"}' % job_id.encode()
    secret = sandbox.upstream("tiny").keys.whsec()
    client = openai.OpenAI(api_key="k", webhook_secret=secret)
    client.webhooks.verify_signature(body.decode(), headers)
    assert sandbox.ledger.calls("tiny", CallKind.WEBHOOK) == 1


def test_callback_comes_twice_with_one_id_when_asked(
    sandbox: Sandbox, hook: Hook
) -> None:
    submit(sandbox, "x [webhook twice]", hook=hook.url)
    assert hook.next()[0]["webhook-id"] == hook.next()[0]["webhook-id"]


def test_forged_callback_is_signed_by_a_stranger(sandbox: Sandbox, hook: Hook) -> None:
    submit(sandbox, "x [webhook forged]", hook=hook.url)
    headers, body = hook.next()
    secret = sandbox.upstream("tiny").keys.whsec()
    client = openai.OpenAI(api_key="k", webhook_secret=secret)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.verify_signature(body.decode(), headers)


def test_late_callback_comes_after_the_end(sandbox: Sandbox, hook: Hook) -> None:
    begun = time.monotonic()
    submit(sandbox, "x [webhook late 200ms]", hook=hook.url)
    hook.next()
    assert time.monotonic() - begun >= 0.2


def test_no_callback_comes_when_none_is_asked_for(sandbox: Sandbox, hook: Hook) -> None:
    submit(sandbox, "x [no webhook]", hook=hook.url)
    submit(sandbox, "y", hook=hook.url)
    hook.next()
    assert hook.got.empty()
    assert sandbox.ledger.calls("tiny", CallKind.WEBHOOK) == 1


def test_callback_to_another_machine_is_not_sent(sandbox: Sandbox, hook: Hook) -> None:
    submit(sandbox, hook="http://192.0.2.1/hook")
    submit(sandbox, hook=hook.url)
    hook.next()
    assert sandbox.ledger.calls("tiny", CallKind.WEBHOOK) == 2


def test_server_stops_at_once_although_calls_hang() -> None:
    with running(settings=AT_ONCE, dialects={"tiny": routes}) as sandbox:
        host, _, port = sandbox.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(
                b"POST /tiny/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
                b'Content-Length: 21\r\n\r\n{"prompt":"x [hang]"}'
            )
            while not sandbox.ledger.submits():
                time.sleep(0.01)
            begun = time.monotonic()
            sandbox.close()
            assert time.monotonic() - begun < 5


def test_url_is_dead_after_the_server_has_stopped() -> None:
    with running(dialects={}) as sandbox:
        assert control(sandbox, "GET", "healthz")["status"] == "ok"
    with pytest.raises(requests.ConnectionError):
        control(sandbox, "GET", "healthz")


def test_address_that_is_taken_is_told_at_start(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Sandbox("127.0.0.1", port, dialects={})


def test_several_servers_know_nothing_of_each_other(sandbox: Sandbox) -> None:
    with running(settings=AT_ONCE, dialects={"tiny": routes}) as second:
        job_id = submit(second).json()["id"]
        assert sandbox.upstream("tiny").jobs.find(job_id) is None
        assert sandbox.ledger.submits() == []
