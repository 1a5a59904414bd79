"""The journal, and a sandbox that is stopped or killed and started again with it."""

from __future__ import annotations

import json
import logging
import os
import queue
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import openai
import pytest
import requests
from standardwebhooks import Webhook

from sandbox.jobs import Durations, Job, JobPhase, MediaType, Upstream, parse_durations
from sandbox.journal import HEADER, Journal, line_of
from sandbox.memory import recall
from sandbox.scripts import parse_script
from sandbox.server import Sandbox, SandboxSettings, running
from sandbox.webhooks import SigningKeys

ROOT = Path(__file__).parents[2]
NOW = 1_780_000_000.0
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SECRETS = {"Authorization": "Bearer some-key"}
FAL = {"Authorization": "Key some-id:some-key"}
ASYNC = {**SECRETS, "X-DashScope-Async": "enable"}


# The file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.jsonl"


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[Journal]:
    journal = Journal(path, **options)
    try:
        yield journal
    finally:
        journal.close()


def records_in(path: Path) -> list[dict[str, Any]]:
    """What a journal tells, without its header."""
    found: list[dict[str, Any]] = []
    with opened(path) as journal:
        journal.read(found.append)
    return [record for record in found if record["kind"] != "journal"]


def numbered(*numbers: int) -> list[dict[str, Any]]:
    return [{"kind": "n", "n": number} for number in numbers]


def write(path: Path, *numbers: int) -> None:
    with opened(path) as journal:
        for record in numbered(*numbers):
            journal.append(record)


def test_what_is_appended_is_read_in_its_order(path: Path) -> None:
    write(path, 1, 2)
    write(path, 3)
    assert records_in(path) == numbered(1, 2, 3)


def test_texts_that_are_no_unicode_come_back_as_they_were(path: Path) -> None:
    with opened(path) as journal:
        journal.append({"kind": "n", "text": "a \ud83d \n灯塔"})
    assert records_in(path)[0]["text"] == "a \ud83d \n灯塔"


def test_torn_last_line_is_left_out_without_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, 1, 2)
    path.write_bytes(path.read_bytes()[:-5])
    assert records_in(path) == numbered(1)
    assert caplog.text == ""


@pytest.mark.parametrize("damage", [b"\xff\x00\xfe", b"[]", b"3", b"{", b"[" * 9999])
def test_other_damage_is_left_out_with_a_warning(
    path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, 1)
    path.write_bytes(path.read_bytes() + damage + b"\n" + line_of(numbered(2)[0]))
    found: list[Any] = []

    def take(record: dict[str, Any]) -> None:
        found.append(record["n"])

    with opened(path) as journal:
        journal.read(take)
    assert found == [1, 2]
    assert "1 damaged lines" in caplog.text


def test_only_the_owner_may_read_jobs_and_keys(path: Path) -> None:
    path.touch(0o644)
    with opened(path) as journal:
        journal.keys_of(["fal"])
        journal.rewrite(numbered(1))
        journal.append(numbered(2)[0])
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"jobs.jsonl": 0o600, "jobs.jsonl.keys": 0o600}


def test_size_is_bounded_and_the_newest_records_stay(path: Path) -> None:
    with opened(path, most_bytes=2000) as journal:
        for record in numbered(*range(1000)):
            journal.append(record)
    sizes = [file.stat().st_size for file in path.parent.iterdir()]
    assert sum(sizes) <= 2000
    numbers = [record["n"] for record in records_in(path)]
    assert numbers == list(range(numbers[0], 1000))
    assert len(numbers) > 30


def test_rewritten_journal_holds_nothing_older(path: Path) -> None:
    with opened(path, most_bytes=200) as journal:
        for record in numbered(*range(20)):
            journal.append(record)
        older = path.with_name("jobs.jsonl.1")
        left_over = older.read_bytes()
        journal.rewrite(numbered(50))
        journal.append(numbered(51)[0])
    assert not older.exists()
    older.write_bytes(left_over)  # as if killed before it was removed
    assert records_in(path) == numbered(50, 51)


def test_kill_between_two_parts_loses_nothing(path: Path) -> None:
    write(path, 1, 2)
    path.rename(path.with_name("jobs.jsonl.1"))
    assert records_in(path) == numbered(1, 2)


def test_second_process_is_told_that_the_journal_is_in_use(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sandbox.journal import Journal;"
        "Journal(Path(sys.argv[1]))"
    )
    with opened(path) as journal:
        journal.keys_of(["fal"])
        journal.rewrite(numbered(1))
        second = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert "in use by another process" in second.stderr
    assert records_in(path) == numbered(1)


def test_full_disk_is_told_once_and_lived_with(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no full disk here")
    with opened(path) as journal:
        with full.open("wb") as file:
            os.dup2(file.fileno(), journal._file)
        for record in numbered(1, 2):
            journal.append(record)
    assert caplog.text.count("cannot be written") == 1


def test_keys_stay_and_new_providers_get_theirs(path: Path) -> None:
    with opened(path) as journal:
        first = journal.keys_of(["fal"])["fal"]
    kept = path.with_name("jobs.jsonl.keys")
    kept.write_bytes(kept.read_bytes() + b'{"provider":"torn","ed25')
    with opened(path) as journal:
        both = journal.keys_of(["fal", "openai"])
    with opened(path) as journal:
        again = journal.keys_of(["fal", "openai"])
    assert both["fal"].record() == first.record()
    assert again["openai"].record() == both["openai"].record()
    assert both["openai"].secret != first.secret


def test_writing_a_job_takes_less_than_30_microseconds(path: Path) -> None:
    job = a_job(extra={"title": "a title", "tags": "some tags", "hook": ""})
    with opened(path) as journal:
        upstream = Upstream(name="tiny")
        recall(journal, {"tiny": upstream}, NOW)
        fastest = min(timed(upstream, job) for _ in range(20))
    assert fastest < 30e-6


def timed(upstream: Upstream, job: Job) -> float:
    """Seconds per job; the fastest of several says what the code itself takes."""
    start = time.perf_counter()
    for _ in range(200):
        upstream.keep(job)
    return (time.perf_counter() - start) / 200


# What is remembered


def a_job(tags: str = "", **changes: Any) -> Job:
    given: dict[str, Any] = {
        "id": "job-1",
        "model": "m",
        "prompt": f"a lighthouse {tags}",
        "media_type": MediaType.VIDEO,
        "script": parse_script(tags),
        "created_at": NOW,
        "starts_at": NOW + 1.25,
        "ends_at": NOW + 11.5,
        "width": 640,
        "height": 360,
        "seconds": 5.5,
        "count": 2,
        "reference": "ours",
        "owner": "some-key",
        "base_url": "http://127.0.0.1:9100/tiny",
        "extra": {"title": "t", "n": [1, None]},
    }
    return Job(**{**given, **changes})


def an_upstream(name: str = "tiny") -> Upstream:
    upstream = Upstream(name=name, chance=random.Random(1))
    upstream.shelf("uploads", 2)
    return upstream


@contextmanager
def remembering(path: Path, now: float = NOW, name: str = "tiny") -> Iterator[Upstream]:
    """An upstream that goes on from a journal while the block runs."""
    upstream = an_upstream(name)
    with opened(path) as journal:
        recall(journal, {name: upstream}, now)
        yield upstream


def keep(upstream: Upstream, job: Job) -> None:
    upstream.add(job)
    upstream.keep(job)


ALL_TAGS = (
    "[slow 5s] [fail] [partial] [blocked late] [429 twice] [500 once] [no id] "
    "[slow answer 2s] [poll 404 once] [poll hang] [unknown status 3] [expire] "
    "[big 3MB] [webhook twice] [webhook forged] [webhook late 3s]"
)


@pytest.mark.parametrize("tags", ["", ALL_TAGS, "[stuck]", "[blocked]"])
def test_job_comes_back_as_it_was(path: Path, tags: str) -> None:
    job = a_job(tags)
    if "stuck" in tags:
        job.ends_at = float("inf")
    with remembering(path) as upstream:
        keep(upstream, job)
    for _ in range(2):  # as it was written, and as it is rewritten
        with remembering(path) as upstream:
            back = upstream.jobs.find("job-1")
            assert back is not None
            back.note = job.note = None
            assert {n: getattr(back, n) for n in Job.__slots__} == {
                n: getattr(job, n) for n in Job.__slots__
            }
            assert upstream.jobs.find_by_reference("ours") is back


def test_what_was_paid_stays_in_the_ledger(path: Path) -> None:
    with remembering(path) as upstream:
        keep(upstream, a_job())
        upstream.keep(a_job(model="changed"))
        paid = upstream.ledger.submits()
    with remembering(path) as upstream:
        assert upstream.ledger.submits() == [replace(paid[0], model="m")]


def test_cancelled_job_stays_cancelled(path: Path) -> None:
    with remembering(path) as upstream:
        keep(upstream, a_job())
    for _ in range(2):
        with remembering(path) as upstream:
            job = upstream.jobs.find("job-1")
            assert job is not None
            job.cancel(NOW + 2)
            assert job.phase(NOW + 99) is JobPhase.CANCELLED
            assert job.cancelled_at == NOW + 2


def test_deleted_job_stays_deleted(path: Path) -> None:
    with remembering(path) as upstream:
        keep(upstream, a_job())
        upstream.jobs.delete("job-1")
    with remembering(path) as upstream:
        assert upstream.jobs.find("job-1") is None


def test_job_that_was_changed_later_comes_back_changed(path: Path) -> None:
    with remembering(path) as upstream:
        keep(upstream, a_job())
        keep(upstream, a_job(id="job-2"))
        upstream.keep(a_job(ends_at=NOW + 5))
    with remembering(path) as upstream:
        job = upstream.jobs.find("job-1")
        assert job is not None
        assert job.ends_at == NOW + 5
        assert [job.id for job in upstream.jobs] == ["job-2", "job-1"]


def test_old_jobs_are_dropped(path: Path) -> None:
    with remembering(path) as upstream:
        keep(upstream, a_job())
        keep(upstream, a_job(id="job-2", created_at=NOW + 3600))
    with remembering(path, NOW + 24 * 3600 + 1800) as upstream:
        assert [job.id for job in upstream.jobs] == ["job-2"]
    assert [record["id"] for record in records_in(path)] == ["job-2"]


def test_start_makes_one_record_of_all_that_happened_to_a_job(path: Path) -> None:
    with remembering(path) as upstream:
        for number in range(3):
            job = a_job(id=f"job-{number}")
            keep(upstream, job)
            upstream.keep(job)
        job.cancel(NOW)
    assert len(records_in(path)) == 7
    with remembering(path):
        pass
    assert path.read_bytes().startswith(HEADER)
    assert len(records_in(path)) == 3


def test_counted_turns_go_on_where_they_were(path: Path) -> None:
    with remembering(path) as upstream:
        keep(upstream, a_job())
        assert upstream.turns.take(2, "before", "a prompt", "429")
        assert upstream.turns.take(1, "poll", "job-1", "500")
    for times in (2, 3):
        with remembering(path) as upstream:
            assert upstream.turns.take(times, "before", "a prompt", "429")
            assert not upstream.turns.take(times, "before", "a prompt", "429")
            assert not upstream.turns.take(1, "poll", "job-1", "500")


def test_shelf_keeps_what_was_put_last(path: Path) -> None:
    with remembering(path) as upstream:
        shelf = upstream.shelf("uploads", 2)
        for key in ("a", "b", "c", "d"):
            shelf.put(key, {"name": key})
        shelf.take("c")
    for _ in range(2):
        with remembering(path) as upstream:
            shelf = upstream.shelf("uploads", 2)
            assert shelf.things() == [{"name": "d"}]
            assert "c" not in shelf


def test_records_of_a_provider_that_is_gone_are_no_damage(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with remembering(path) as upstream:
        keep(upstream, a_job())
    with remembering(path, name="other") as upstream:
        assert len(upstream.jobs) == 0
    assert caplog.text == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "nobody knows"},
        {"id": ["a", "list"]},
        {"ends_at": "soon"},
        {"media_type": "smell"},
        {"script": {"colour": "red"}},
        {"script": {"poll": [["nobody knows", 1]]}},
        {"further": 1},
        {"provider": []},
    ],
)
def test_record_that_makes_no_sense_is_left_out(
    path: Path, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with remembering(path) as upstream:
        keep(upstream, a_job(id="job-2"))
    record = {"kind": "job", "provider": "tiny", **a_job().record(), **changes}
    path.write_bytes(path.read_bytes() + line_of(record))
    with remembering(path) as upstream:
        assert [job.id for job in upstream.jobs] == ["job-2"]
    assert "1 damaged lines" in caplog.text


# A server that is stopped and started again


@dataclass
class Clock:
    """A clock that jumps, so that a job is as far as a test wants it."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@dataclass
class Restarting:
    """A sandbox on one port, with jobs of a minute and one journal."""

    path: Path
    clock: Clock
    port: int = 0
    running: Sandbox | None = None

    def start(self, **changes: Any) -> str:
        settings = SandboxSettings(
            durations=parse_durations("fixed:60"), journal=self.path, clock=self.clock
        )
        settings = replace(settings, **changes)
        self.running = Sandbox("127.0.0.1", self.port, settings)
        self.port = int(self.running.url.rpartition(":")[2])
        return self.running.url

    def restart(self, **changes: Any) -> str:
        self.stop()
        return self.start(**changes)

    def stop(self) -> None:
        if self.running is not None:
            self.running.close()
            self.running = None

    def pass_s(self, seconds: float) -> None:
        self.clock.ahead_s += seconds


@pytest.fixture
def server(path: Path) -> Iterator[Restarting]:
    restarting = Restarting(path, Clock())
    try:
        yield restarting
    finally:
        restarting.stop()


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


class Hook:
    """Takes callbacks and answers them with `status`."""

    def __init__(self) -> None:
        self.status = 204
        self.got: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(hook.status)
                self.end_headers()
                headers = {name.lower(): text for name, text in self.headers.items()}
                hook.got.put((headers, body))

            def log_message(self, *_: Any) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def next(self) -> tuple[dict[str, str], bytes]:
        return self.got.get(timeout=10)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def call(method: str, url: str, headers: dict[str, str], body: Any = None) -> Any:
    """The JSON of an answer."""
    answer = requests.request(method, url, headers=headers, json=body, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


def is_file(url: str, headers: dict[str, str] | None = None) -> bool:
    answer = requests.get(url, headers=headers, timeout=20)
    return answer.status_code == 200 and len(answer.content) > 500


def submit_fal(url: str, hook: str = "", **fields: Any) -> dict[str, Any]:
    query = f"?fal_webhook={hook}" if hook else ""
    body = {"prompt": "a lighthouse", **fields}
    answer: dict[str, Any] = call(
        "POST", f"{url}/fal/fal-ai/flux/dev{query}", FAL, body
    )
    return answer


def submit_song(url: str, provider: str, hook: str, prompt: str = "a shanty") -> str:
    body = {
        "customMode": False,
        "instrumental": False,
        "model": "V5",
        "prompt": prompt,
        "callBackUrl": hook,
    }
    answer = call("POST", f"{url}/{provider}/api/v1/generate", SECRETS, body)
    return str(answer["data"]["taskId"])


def submit_dashscope(url: str, **fields: Any) -> str:
    body = {"model": "wan2.2-t2i-flash", "input": {"prompt": "a boat", **fields}}
    path = "/dashscope/api/v1/services/aigc/text2image/image-synthesis"
    return str(call("POST", url + path, ASYNC, body)["output"]["task_id"])


def dashscope_output(url: str, task_id: str) -> dict[str, Any]:
    shown = call("GET", f"{url}/dashscope/api/v1/tasks/{task_id}", SECRETS)
    return dict(shown["output"])


def test_dashscope_job_goes_on_and_its_result_is_served(server: Restarting) -> None:
    url = server.start()
    task_id = submit_dashscope(url)
    server.pass_s(30)
    before = dashscope_output(url, task_id)
    url = server.restart()
    after = dashscope_output(url, task_id)
    assert after["task_status"] == "RUNNING"
    assert after["scheduled_time"] == before["scheduled_time"]
    server.pass_s(31)
    output = dashscope_output(url, task_id)
    assert output["task_status"] == "SUCCEEDED"
    assert is_file(output["results"][0]["url"])


def test_link_that_was_given_before_a_restart_still_works(server: Restarting) -> None:
    url = server.start()
    task_id = submit_dashscope(url)
    server.pass_s(61)
    link = dashscope_output(url, task_id)["results"][0]["url"]
    server.restart()
    assert is_file(link)


def test_dashscope_upload_can_be_named_after_a_restart(server: Restarting) -> None:
    url = server.start()
    policy = call(
        "GET",
        f"{url}/dashscope/api/v1/uploads?action=getPolicy&model=wan2.2-t2i-flash",
        SECRETS,
    )["data"]
    key = f"{policy['upload_dir']}/boat.png"
    form = {"key": key, "Signature": policy["signature"]}
    sent = requests.post(
        policy["upload_host"], data=form, files={"file": b"x"}, timeout=10
    )
    assert sent.ok
    url = server.restart()
    headers = {**ASYNC, "X-DashScope-OssResourceResolve": "enable"}
    path = "/dashscope/api/v1/services/aigc/text2image/image-synthesis"
    for name, status in ((key, 200), (key + "x", 400)):
        fields = {"prompt": "a boat", "ref_img": f"oss://{name}"}
        body = {"model": "wan2.2-t2i-flash", "input": fields}
        answer = requests.post(url + path, json=body, headers=headers, timeout=10)
        assert answer.status_code == status, answer.text


def test_fal_job_goes_on_and_its_result_is_served(server: Restarting) -> None:
    url = server.start()
    links = submit_fal(url, num_images=2)
    server.pass_s(30)
    server.restart()
    assert call("GET", links["status_url"], FAL)["status"] == "IN_PROGRESS"
    server.pass_s(31)
    images = call("GET", links["response_url"], FAL)["images"]
    assert len(images) == 2
    assert all(is_file(image["url"]) for image in images)


def test_fal_job_that_was_never_started_in_time_stays_so(server: Restarting) -> None:
    url = server.start()
    headers = {**FAL, "X-Fal-Request-Timeout": "2"}
    body = {"prompt": "a lighthouse"}
    links = call("POST", f"{url}/fal/fal-ai/flux/dev", headers, body)
    server.restart()
    server.pass_s(3)
    answer = requests.get(links["response_url"], headers=FAL, timeout=10)
    assert answer.status_code == 504


def test_fal_job_that_was_cancelled_stays_so(server: Restarting) -> None:
    links = submit_fal(server.start())
    call("PUT", links["cancel_url"], FAL)
    server.restart()
    shown = call("GET", links["status_url"], FAL)
    assert shown["error_type"] == "client_cancelled"


def test_fal_calls_back_after_a_restart_with_the_same_key(
    server: Restarting, hook: Hook
) -> None:
    url = server.start()
    keys = call("GET", f"{url}/fal/.well-known/jwks.json", {})
    links = submit_fal(url, hook.url)
    server.stop()
    server.pass_s(61)
    url = server.start()
    headers, body = hook.next()
    told = json.loads(body)
    assert told["request_id"] == links["request_id"]
    assert told["status"] == "OK"
    assert call("GET", f"{url}/fal/.well-known/jwks.json", {}) == keys
    assert server.running is not None
    signature = server.running.upstream("fal").keys.ed25519_hex(
        links["request_id"],
        headers["x-fal-webhook-user-id"],
        int(headers["x-fal-webhook-timestamp"]),
        body,
    )
    assert headers["x-fal-webhook-signature"] == signature


def test_job_is_called_back_once_though_the_server_restarts(
    server: Restarting, hook: Hook
) -> None:
    url = server.start(durations=Durations())
    first = submit_fal(url, hook.url, prompt="a lighthouse [slow 10ms]")
    assert json.loads(hook.next()[1])["request_id"] == first["request_id"]
    wait_until_told(server.path, "called")
    url = server.restart(durations=Durations())
    second = submit_fal(url, hook.url, prompt="a lighthouse [slow 10ms]")
    assert json.loads(hook.next()[1])["request_id"] == second["request_id"]
    assert hook.got.empty()


def test_callback_that_nobody_took_is_sent_again_after_a_restart(
    server: Restarting, hook: Hook
) -> None:
    hook.status = 500
    url = server.start(durations=Durations())
    links = submit_fal(url, hook.url, prompt="a lighthouse [slow 10ms]")
    hook.next()
    server.stop()
    while not hook.got.empty():
        hook.got.get()
    hook.status = 204
    server.start()
    assert json.loads(hook.next()[1])["request_id"] == links["request_id"]


def wait_until_told(path: Path, kind: str) -> None:
    """Wait until a record of that kind is in the file."""
    deadline = time.monotonic() + 10
    while f'"kind":"{kind}"' not in path.read_text(encoding="ascii"):
        assert time.monotonic() < deadline, f"no record {kind}"
        time.sleep(0.01)


@pytest.mark.parametrize("provider", ["sunoapi", "kie"])
def test_song_goes_on_and_each_later_stage_is_told(
    server: Restarting, hook: Hook, provider: str
) -> None:
    url = server.start()
    task_id = submit_song(url, provider, hook.url)
    server.stop()
    server.pass_s(61)
    url = server.start()
    stages = [json.loads(hook.next()[1])["data"]["callbackType"] for _ in range(3)]
    assert sorted(stages) == ["complete", "first", "text"]
    path = f"/api/v1/generate/record-info?taskId={task_id}"
    record = call("GET", f"{url}/{provider}{path}", SECRETS)["data"]
    assert record["status"] == "SUCCESS"
    assert is_file(record["response"]["sunoData"][1]["audioUrl"])


@pytest.mark.parametrize("prefix", ["", "/original"])
def test_suno_job_goes_on_and_its_result_is_served(
    server: Restarting, prefix: str
) -> None:
    url = server.start() + "/suno" + prefix
    body = {"gpt_description_prompt": "a shanty"}
    task_id = call("POST", f"{url}/suno/submit/MUSIC", SECRETS, body)["data"]
    server.pass_s(30)
    server.restart()
    shown = call("POST", f"{url}/suno/fetch", SECRETS, {"ids": [task_id]})["data"][0]
    assert shown["status"] == "IN_PROGRESS"
    server.pass_s(31)
    shown = call("POST", f"{url}/suno/fetch", SECRETS, {"ids": [task_id]})["data"][0]
    assert shown["status"] == "SUCCESS"
    assert all(is_file(clip["audio_url"]) for clip in shown["data"])


def test_suno_calls_back_after_a_restart(server: Restarting, hook: Hook) -> None:
    url = server.start()
    body = {"gpt_description_prompt": "a shanty", "notify_hook": hook.url}
    task_id = call("POST", f"{url}/suno/suno/submit/MUSIC", SECRETS, body)["data"]
    server.stop()
    server.pass_s(61)
    server.start()
    assert json.loads(hook.next()[1])["data"]["task_id"] == task_id


def test_openai_video_goes_on_and_its_result_is_served(server: Restarting) -> None:
    client = openai.OpenAI(api_key="sk-any", base_url=f"{server.start()}/openai/v1")
    video = client.videos.create(model="sora-2", prompt="a fox", seconds="4")
    server.pass_s(30)
    server.restart()
    assert client.videos.retrieve(video.id).status == "in_progress"
    server.pass_s(31)
    assert client.videos.retrieve(video.id).status == "completed"
    assert len(client.videos.download_content(video.id).read()) > 500


def test_openai_endpoint_hears_of_a_video_after_a_restart(
    server: Restarting, hook: Hook
) -> None:
    url = f"{server.start()}/openai/v1"
    body = {"name": "e", "url": hook.url, "event_types": ["video.completed"]}
    endpoint = call("POST", f"{url}/webhook_endpoints", SECRETS, body)
    video = {"model": "sora-2", "prompt": "a fox"}
    first = call("POST", f"{url}/videos", SECRETS, video)
    server.stop()
    server.pass_s(61)
    server.start()
    headers, told = hook.next()
    event = Webhook(endpoint["signing_secret"]).verify(told, headers)
    assert event["data"]["id"] == first["id"]
    # the endpoint itself is still there, too, for videos to come
    listed = call("GET", f"{url}/webhook_endpoints", SECRETS)["data"]
    assert [each["id"] for each in listed] == [endpoint["id"]]
    video = {"model": "sora-2", "prompt": "a fox [slow 10ms]"}
    second = call("POST", f"{url}/videos", SECRETS, video)
    assert json.loads(hook.next()[1])["data"]["id"] == second["id"]


def test_openai_character_is_still_there_after_a_restart(server: Restarting) -> None:
    url = f"{server.start()}/openai/v1/videos/characters"
    made = requests.post(
        url,
        data={"name": "Ann"},
        files={"video": ("a.mp4", b"x", "video/mp4")},
        headers=SECRETS,
        timeout=10,
    ).json()
    server.restart()
    assert call("GET", f"{url}/{made['id']}", SECRETS) == made


def test_refusal_that_was_due_twice_comes_twice_over_a_restart(
    server: Restarting,
) -> None:
    statuses = []
    for _ in range(3):
        url = server.restart()
        answer = requests.post(
            f"{url}/fal/fal-ai/flux/dev",
            json={"prompt": "a lighthouse [429 twice]"},
            headers=FAL,
            timeout=10,
        )
        statuses.append(answer.status_code)
    assert statuses == [429, 429, 200]


def test_job_keeps_the_behaviour_it_was_accepted_with(server: Restarting) -> None:
    url = server.start()
    assert server.running is not None
    server.running.behave("fal", submit="slow 2s, fail")
    links = submit_fal(url)
    server.restart()
    server.pass_s(3)
    answer = requests.get(links["response_url"], headers=FAL, timeout=10)
    assert answer.status_code == 500


def test_reset_forgets_the_journal_but_not_the_keys(server: Restarting) -> None:
    url = server.start()
    links = submit_fal(url)
    keys = call("GET", f"{url}/fal/.well-known/jwks.json", {})
    call("POST", f"{url}/_sandbox/reset", {})
    url = server.restart()
    assert requests.get(links["status_url"], headers=FAL, timeout=10).status_code == 404
    assert call("GET", f"{url}/fal/.well-known/jwks.json", {}) == keys


def test_secret_of_the_settings_goes_before_the_kept_one(server: Restarting) -> None:
    server.start(webhook_secret="first")
    for secret in ("second", ""):
        server.restart(webhook_secret=secret)
        assert server.running is not None
        assert (server.running.upstream("fal").keys.secret == b"second") == bool(secret)


def test_server_without_a_journal_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with running(settings=SandboxSettings(durations=Durations())) as sandbox:
        submit_fal(sandbox.url)
    assert list(tmp_path.iterdir()) == []


def test_taken_port_leaves_the_journal_free(server: Restarting, path: Path) -> None:
    server.start()
    other = replace(server, path=path.with_name("other.jsonl"), running=None)
    with pytest.raises(OSError, match=r"in use|address"):
        other.start()
    other.port = 0
    other.start()
    other.stop()


# A process that is killed


@contextmanager
def process(path: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m sandbox` with a journal, and its URL; killed at the end."""
    command = [sys.executable, "-m", "sandbox", "--durations", "fixed:3"]
    command += ["--port", str(port), "--journal", str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        try:
            yield started, started.stdout.readline().strip()
        finally:
            started.kill()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_process_comes_back_with_its_jobs(path: Path, hook: Hook) -> None:
    with process(path) as (killed, url):
        links = submit_fal(url, hook.url)
        # accepted and paid, and nobody was told
        with pytest.raises(requests.RequestException):
            submit_fal(url, prompt="a lighthouse [reset]")
        keys = call("GET", f"{url}/fal/.well-known/jwks.json", {})
        killed.send_signal(signal.SIGKILL)
        assert killed.wait(10) == -signal.SIGKILL
    with process(path, int(url.rpartition(":")[2])) as (_, again):
        assert again == url
        submits = call("GET", f"{url}/_sandbox/ledger?provider=fal", {})["submits"]
        assert len(submits) == 2
        assert (
            call("GET", links["status_url"], FAL)["request_id"] == (links["request_id"])
        )
        assert json.loads(hook.next()[1])["request_id"] == links["request_id"]
        images = call("GET", links["response_url"], FAL)["images"]
        assert is_file(images[0]["url"])
        assert call("GET", f"{url}/fal/.well-known/jwks.json", {}) == keys


def test_generated_keys_survive_as_text() -> None:
    keys = SigningKeys.generate()
    back = SigningKeys.read(json.loads(json.dumps(keys.record())))
    assert back.jwks() == keys.jwks()
    assert back.whsec() == keys.whsec()


def test_warning_is_logged_for_a_dialect_that_cannot_call_back_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with remembering(path) as upstream:
        keep(upstream, a_job())
        assert upstream.note is not None
        upstream.note(
            {
                "kind": "callback",
                "id": "c",
                "job": "job-1",
                "url": "http://127.0.0.1:9/",
                "at": NOW,
                "told": None,
            }
        )
    with caplog.at_level(logging.WARNING), remembering(path):
        assert "cannot call back" in caplog.text
