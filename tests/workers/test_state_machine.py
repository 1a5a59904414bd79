"""Whatever happens in whatever order: nothing is paid twice, no task is lost, money
adds up.

Hypothesis plays clients, workers that die between any two steps, upstreams, operators
and a broker that loses and doubles rings. After every step the database is compared
with what the upstreams know. `STATE_MACHINE_RUNS` sets how many sequences are played
with each kind of upstream.
"""

from __future__ import annotations

import io
import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app import operations
from app.bells import Bell
from app.errors import Conflict, PaymentRequired
from app.lifecycle import FINAL, Event
from app.store import ledger, tasks
from app.store.due import SubmissionClaim
from app.store.ids import new_task_id
from app.store.ledger import Price, Unit
from app.store.models import metadata
from app.store.tasks import NewTask
from app.wsgi import WEB_PROCESS, create_app
from providers import errors
from providers.flow import Call, Flow, Reply
from providers.types import Provider, Remote
from tests.app.store.stores import sqlite_url
from tests.workers.bench import (
    LUMEN,
    PNG,
    START,
    Bench,
    FakeEngine,
    granted,
    lumen_find,
    lumen_receive,
    ok,
    refused,
)
from workers import deliver, poll, submit
from workers.deliver import Post, Tried
from workers.http import Account, Answer, Downloaded, DownloadFailed
from workers.poll import Look
from workers.submit import Handed, Handing

RUNS = int(os.environ.get("STATE_MACHINE_RUNS", "667"))
STEPS = 15
MOST_TASKS = 3
BALANCE = Decimal(5)
HOOK = "https://client.example/hook"
FILE = "https://cdn.example/file.png"
WORKED_ON = ("tasks", "submissions", "deliveries")
GONE = ("ended", "refused", "not_sent")
FINAL_STATES = {state.value for state in FINAL}


def lumen_cancel(remote: Remote) -> Flow[None]:
    yield Call("POST", f"/jobs/{remote.id}/cancel")


PLAIN = replace(LUMEN, receive=lumen_receive)
KINDS = {
    "plain": replace(PLAIN, name="plain"),
    "keyed": replace(PLAIN, name="keyed", idempotent=True, cancel=lumen_cancel),
    "finding": replace(PLAIN, name="finding", find=lumen_find),
}

# What a paid call may bring. In the first group the upstream has taken the job.
TAKEN: dict[str, Callable[[str], Reply | errors.ProviderError]] = {
    "accepted": lambda id: ok(id=id),
    "inline": lambda id: ok(inline=1),
    "failed": lambda id: ok(id=id, phase="failed", reason="upstream_failed"),
    "lost": lambda id: errors.AnswerLost("reset"),
    "cut": lambda id: Reply(200, {"content-type": "application/json"}, b'{"id": "j'),
    "500": lambda id: Reply(500, {}, b""),
}
NOT_TAKEN: dict[str, Reply | errors.ProviderError] = {
    "dropped": errors.AnswerLost("timeout"),
    "not_sent": errors.NotSent("no address"),
    "400": refused(400, "odd"),
    "moderated": refused(400, "moderated"),
    "401": refused(401),
    "402": refused(402),
    "403": refused(403),
    "404": refused(404),
    "429": refused(429),
}
MOODS: dict[str, Reply | errors.ProviderError | None] = {
    "truth": None,
    "500": refused(500),
    "401": refused(401),
    "404": refused(404),
    "lost": errors.AnswerLost("timeout"),
}
RECEIVERS: dict[str, Answer | Exception] = {
    "200": Answer(200, "", None),
    "500": Answer(500, "", None),
    "410": Answer(410, "", None),
    "dead": TimeoutError(),
}

answers = st.sampled_from([*TAKEN, *NOT_TAKEN])
moods = st.sampled_from(["truth", *MOODS])
any_of = st.integers(0, 5)


@dataclass
class Job:
    """A job that an upstream has taken, and bills."""

    id: str
    task: str
    phase: str = "pending"

    def told(self) -> Reply:
        more: dict[str, Any] = {}
        if self.phase == "succeeded":
            more["urls"] = [FILE]
        if self.phase == "failed":
            more["reason"] = "upstream_failed"
        return ok(id=self.id, phase=self.phase, **more)


@dataclass
class Upstreams(FakeEngine):
    """Every upstream, and every receiver; what they know is the truth."""

    jobs: dict[str, Job] = field(default_factory=dict)
    by_key: dict[str, Job] = field(default_factory=dict)
    answer: str = "accepted"
    mood: str = "truth"
    receiver: str = "200"
    files_are_there: bool = True

    async def send(self, call: Call, account: Account, **kw: Any) -> Reply:
        if call.paid:
            said = self._submit(call, account.provider)
        else:
            said = MOODS[self.mood] or self._look(call)
        if isinstance(said, errors.ProviderError):
            raise said
        return said

    def _submit(self, call: Call, provider: Provider) -> Reply | errors.ProviderError:
        if self.answer in NOT_TAKEN:
            return NOT_TAKEN[self.answer]
        key, prompt = call.json["key"], call.json["prompt"]
        job = self.by_key.get(key) if provider.idempotent else None
        if job is None:
            job = Job(f"job-{len(self.jobs)}", prompt)
            self.jobs[job.id] = self.by_key[key] = job
            if self.answer in ("inline", "failed"):
                job.phase = {"inline": "succeeded"}.get(self.answer, "failed")
        return TAKEN[self.answer](job.id)

    def _look(self, call: Call) -> Reply:
        _, what, name, *rest = call.url.split("/")
        if what == "find":
            job = self.by_key.get(name)
            return job.told() if job else Reply(200, {}, b"null")
        if rest and self.jobs[name].phase in ("pending", "running"):
            self.jobs[name].phase = "cancelled"
        return self.jobs[name].told()

    async def download(
        self, account: Account, url: str, storage_key: str, **kw: Any
    ) -> Downloaded:
        if not self.files_are_there:
            raise DownloadFailed("away")
        self.storage.put(storage_key, PNG)
        return Downloaded(len(PNG), "0" * 64, "image/png", "image/png")

    async def deliver(self, url: str, *args: Any, **kw: Any) -> Answer:
        said = RECEIVERS[self.receiver]
        if isinstance(said, Exception):
            raise said
        return said


class MemoryStorage:
    """Files of one process; only what the work loop uses."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def put(self, key: str, content: bytes) -> None:
        self._files[key] = content

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self._files[key])


class Ground:
    """One bench for all sequences; each begins with the same rows."""

    def __init__(self, folder: Path) -> None:
        storage: Any = MemoryStorage()
        self.bench = Bench(
            sqlite_url(folder),
            folder,
            migrated=True,
            storage=storage,
            callback_schedule=(0.0, 5.0, 300.0),
        )
        for name, provider in KINDS.items():
            self.bench.a_channel(
                name, provider=provider, base_url=f"http://127.0.0.1:9/{name}"
            )
        with self.bench.base.transaction() as tx:
            ledger.set_price(tx, Price("lumen-1", "", Unit.IMAGE, Decimal(1)))
            ledger.set_price(tx, Price("lumen-1", "keyed", Unit.CALL, Decimal(2)))
            ledger.top_up(tx, self.bench.client.client_id, BALANCE)
        self.flask_app = create_app(self.bench.base, self.bench.providers)
        self.http = self.flask_app.test_client()
        self.eye = sqlite3.connect(folder / "store.db")
        self.eye.execute("PRAGMA synchronous = OFF")
        self._first = {
            name: self.eye.execute(f"SELECT * FROM {name}").fetchall()
            for name in [table.name for table in metadata.sorted_tables]
        }

    def begin(self, kind: str) -> Upstreams:
        """Everything as it was at first; channels of this kind come first."""
        bench = self.bench
        with self.eye:
            for name in reversed(self._first):
                self.eye.execute(f"DELETE FROM {name}")
            for name, rows in self._first.items():
                if rows:
                    marks = ", ".join("?" * len(rows[0]))
                    self.eye.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
        bench.clock = START
        bench.rung.clear()
        bench.engine = Upstreams(storage=bench.storage)
        bench.rt.engine = bench.engine  # type: ignore[assignment]
        with bench.base.transaction() as tx:
            tx.exec_driver_sql(
                "UPDATE channels SET priority = 1 WHERE name = ?", (kind,)
            )
        bench.rt.forget_channels()
        return bench.engine

    def close(self) -> None:
        self.flask_app.extensions[WEB_PROCESS].close()
        self.eye.close()
        self.bench.close()


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with TemporaryDirectory() as folder:
        made = Ground(Path(folder))
        yield made
        made.close()


class Gateway(RuleBasedStateMachine):
    """Clients, workers, upstreams and operators around one database."""

    def __init__(self, ground: Ground, kind: str) -> None:
        super().__init__()
        self.ground, self.bench = ground, ground.bench
        self.upstreams = ground.begin(kind)
        self.tasks: list[str] = []
        self.hooked: set[str] = set()
        self.requeued: Counter[str] = Counter()
        self.ended: dict[str, Any] = {}
        self.urls: dict[str, str] = {}  # our callback address, by submission
        self.claimed: list[Handing] = []
        self.handed: list[tuple[Handing, Handed]] = []
        self.looked: list[tuple[SubmissionClaim, Look]] = []
        self.tried: list[tuple[Post, Tried]] = []

    # What clients do

    @initialize(hooked=st.booleans())
    def first_post(self, hooked: bool) -> None:
        self._post(hooked, 1)

    @precondition(lambda self: len(self.tasks) < MOST_TASKS)
    @rule(hooked=st.booleans(), n=st.integers(1, 3))
    def post(self, hooked: bool, n: int) -> None:
        self._post(hooked, n)

    def _post(self, hooked: bool, n: int) -> None:
        task_id = new_task_id()
        new = NewTask(
            id=task_id,
            model="lumen-1",
            media_type="image",
            inputs={"prompt": task_id, "n": n},
            callback_url=HOOK if hooked else None,
        )
        client_id = self.bench.client.client_id
        try:
            with self.bench.base.transaction() as tx:
                tasks.add(tx, client_id, new)
                ledger.hold(tx, client_id, task_id, new.model, KINDS, new.inputs)
        except PaymentRequired:
            return
        self.bench.rung.append(Bell.SUBMIT)
        self.tasks.append(task_id)
        if hooked:
            self.hooked.add(task_id)

    @rule(n=any_of)
    def cancel(self, n: int) -> None:
        with self.bench.base.transaction() as tx:
            tasks.advance(tx, self.tasks[n % len(self.tasks)], Event.CANCEL)

    # What workers do, and do not finish

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        self.claimed += self._claim(limit)

    @precondition(lambda self: self.claimed)
    @rule(n=any_of, answer=answers)
    def send(self, n: int, answer: str) -> None:
        handing = _take(self.claimed, n)
        self.upstreams.answer = answer
        self.handed.append((handing, self.bench.hand_over(handing)))

    @precondition(lambda self: self.handed)
    @rule(n=any_of)
    def record(self, n: int) -> None:
        self.bench.record(_take(self.handed, n))

    @precondition(lambda self: self.claimed)
    @rule(n=any_of)
    def keep_lease(self, n: int) -> None:
        submit.extend(self.bench.rt, [self.claimed[n % len(self.claimed)]])

    @precondition(lambda self: self.claimed)
    @rule(n=any_of)
    def die_before_leaving(self, n: int) -> None:
        _take(self.claimed, n)

    @precondition(lambda self: self.claimed)
    @rule(n=any_of)
    def die_after_leaving(self, n: int) -> None:
        submit.leaving(self.bench.rt, [_take(self.claimed, n)])

    @precondition(lambda self: self.handed)
    @rule(n=any_of)
    def die_with_the_answer(self, n: int) -> None:
        _take(self.handed, n)

    @rule(mood=moods, files=st.booleans(), at_once=st.booleans())
    def look(self, mood: str, files: bool, at_once: bool) -> None:
        self.upstreams.mood, self.upstreams.files_are_there = mood, files
        looks = self._look()
        if at_once:
            poll.record(self.bench.rt, looks)
        else:
            self.looked += looks

    @precondition(lambda self: self.looked)
    @rule(n=any_of)
    def record_look(self, n: int) -> None:
        poll.record(self.bench.rt, [_take(self.looked, n)])

    @precondition(lambda self: self.looked)
    @rule(n=any_of)
    def die_with_the_look(self, n: int) -> None:
        _take(self.looked, n)

    @rule(receiver=st.sampled_from(sorted(RECEIVERS)), at_once=st.booleans())
    def deliver(self, receiver: str, at_once: bool) -> None:
        self.upstreams.receiver = receiver
        tried = self._deliver()
        if at_once:
            deliver.record(self.bench.rt, tried)
        else:
            self.tried += tried

    @precondition(lambda self: self.tried)
    @rule(n=any_of, dies=st.booleans())
    def record_delivery(self, n: int, dies: bool) -> None:
        outcome = _take(self.tried, n)
        if not dies:
            deliver.record(self.bench.rt, [outcome])

    @precondition(lambda self: self.bench.rung)
    @rule(times=st.integers(0, 2), answer=answers, mood=moods)
    def broker_brings(self, times: int, answer: str, mood: str) -> None:
        """A ring that is lost, brought or brought twice."""
        bell = self.bench.rung.pop(0)
        self.upstreams.answer, self.upstreams.mood = answer, mood
        for _ in range(times):
            self._work(bell)

    # What else happens

    @precondition(lambda self: self.upstreams.jobs)
    @rule(
        n=any_of, phase=st.sampled_from(["running", "succeeded", "failed", "cancelled"])
    )
    def upstream_goes_on(self, n: int, phase: str) -> None:
        job = self._job(n)
        if job.phase in ("pending", "running"):
            job.phase = phase

    @precondition(lambda self: self.upstreams.jobs)
    @rule(n=any_of)
    def upstream_calls_home(self, n: int) -> None:
        job = self._job(n)
        (key,) = [k for k, known in self.upstreams.by_key.items() if known is job]
        path = urlsplit(self.urls[key]).path
        answer = self.ground.http.post(path, json={"id": job.id})
        assert answer.status_code == 200, answer.text

    @rule(seconds=st.sampled_from([0.5, 3.0, 15.0, 200.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        self.bench.wait(seconds)

    @rule(n=any_of)
    def operator_assumes_lost(self, n: int) -> None:
        task_id = self.tasks[n % len(self.tasks)]
        try:
            operations.assume_lost(self.bench.base, task_id)
        except Conflict:
            return
        self.requeued[task_id] += 1

    @precondition(lambda self: self.upstreams.jobs)
    @rule(n=any_of)
    def operator_adopts(self, n: int) -> None:
        job = self._job(n)
        try:
            operations.adopt(self.bench.base, job.task, job.id, self.bench.providers)
        except Conflict:
            return

    # What must hold

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        paid = Counter(job.task for job in self.upstreams.jobs.values())
        for task_id, count in paid.items():
            assert count <= 1 + self.requeued[task_id], "paid twice"

    @invariant()
    def rows_agree(self) -> None:
        look = self.ground.eye.execute
        rows = look(
            "SELECT id, state, error_code, finished_at, due_at, held FROM tasks"
        ).fetchall()
        assert sorted(row[0] for row in rows) == sorted(self.tasks), "a task is gone"
        events = Counter(look("SELECT task_id, event FROM deliveries").fetchall())
        followed = {
            task_id
            for (task_id,) in look(
                "SELECT task_id FROM submissions WHERE due_at IS NOT NULL"
                " AND state IN ('accepted', 'unknown')"
            )
        }
        for task_id, state, code, finished_at, due_at, held in rows:
            owed = events.pop((task_id, f"task.{state}"), 0)
            if state in FINAL_STATES:
                assert finished_at is not None
                assert due_at is None
                now = (state, code, finished_at)
                assert self.ended.setdefault(task_id, now) == now, "a final state moved"
                assert owed == (task_id in self.hooked), "not one delivery"
            else:
                assert task_id not in self.ended, "a final state moved"
                assert owed == 0
                assert due_at is not None or task_id in followed, "nobody works on it"
            self._check_book(task_id, state, held)
        assert not events, "a delivery of no final state"

    def _check_book(self, task_id: str, state: str, held: int) -> None:
        book: Counter[str] = Counter()
        for kind, amount in self.ground.eye.execute(
            "SELECT kind, amount FROM entries WHERE task_id = ?", (task_id,)
        ):
            book[kind] += amount
        assert book["hold"] == held
        back = book["settle"] + book["release"]
        assert back == (held if state in FINAL_STATES else 0), "money is lost or made"
        assert state == "succeeded" or not book["settle"], "paid for nothing"

    @invariant()
    def balance_is_what_was_entered(self) -> None:
        look = self.ground.eye.execute
        sums = dict(look("SELECT kind, sum(amount) FROM entries GROUP BY kind"))
        balance, spent = look("SELECT balance, spent FROM clients").fetchone()
        held = sums.get("hold", 0) - sums.get("release", 0)
        assert balance == sums["topup"] - held
        assert spent == held
        assert balance >= 0

    def teardown(self) -> None:
        """Everybody who was at work dies; then all goes well, and everything ends."""
        self.upstreams.answer, self.upstreams.mood = "accepted", "truth"
        self.upstreams.receiver, self.upstreams.files_are_there = "200", True
        for _ in range(12):
            if not any(map(self._waits, WORKED_ON)):
                break
            self.bench.wait(4000)
            if self._waits("tasks"):
                self._work(Bell.SUBMIT)
            for job in self.upstreams.jobs.values():
                if job.phase in ("pending", "running"):
                    job.phase = "succeeded"
            if self._waits("submissions"):
                self._work(Bell.POLL)
            if self._waits("deliveries"):
                self._work(Bell.DELIVER)
        assert not any(map(self._waits, WORKED_ON)), "it does not end"
        self.nothing_is_paid_twice()
        self.rows_agree()
        self.balance_is_what_was_entered()
        assert len(self.ended) == len(self.tasks)
        taken = "SELECT count(*) FROM submissions WHERE state NOT IN (?, ?, ?)"
        (count,) = self.ground.eye.execute(taken, GONE).fetchone()
        assert count == 0, "a place at an upstream is taken for ever"

    def _waits(self, table: str) -> bool:
        """Whether something in this table waits for a worker, now or later."""
        query = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE due_at IS NOT NULL)"
        return bool(self.ground.eye.execute(query).fetchone()[0])

    def _job(self, n: int) -> Job:
        jobs = list(self.upstreams.jobs.values())
        return jobs[n % len(jobs)]

    def _work(self, bell: Bell) -> None:
        """One whole round of a job by a worker that lives."""
        if bell is Bell.SUBMIT:
            handed = [(h, self.bench.hand_over(h)) for h in self._claim(3)]
            self.bench.record(*handed)
        elif bell is Bell.POLL:
            poll.record(self.bench.rt, self._look())
        elif bell is Bell.DELIVER:
            deliver.record(self.bench.rt, self._deliver())

    def _claim(self, limit: int) -> list[Handing]:
        claimed = self.bench.claim(limit)
        for handing in claimed:
            assert handing.request.callback_url
            self.urls[handing.submission_id] = handing.request.callback_url
        return claimed

    def _look(self) -> list[tuple[SubmissionClaim, Look]]:
        bench = self.bench
        return [
            (claim, bench.loop.run(poll.look(bench.rt, bench.many, claim, granted)))
            for claim in poll.claim(bench.rt, 10, ())
        ]

    def _deliver(self) -> list[tuple[Post, Tried]]:
        bench = self.bench
        return [
            (post, bench.loop.run(deliver.attempt(bench.rt, post, granted)))
            for post in deliver.claim(bench.rt, 10, ())
        ]


def _take(things: list[Any], n: int) -> Any:
    return things.pop(n % len(things))


@pytest.mark.parametrize("kind", KINDS)
def test_no_order_of_things_breaks_it(
    ground: Ground, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # lost answers are what this is about
    run_state_machine_as_test(
        lambda: Gateway(ground, kind),
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_job_that_calls_home_while_its_task_waits_is_not_sent_again(
    ground: Ground,
) -> None:
    gateway = Gateway(ground, "keyed")
    gateway.first_post(hooked=False)
    gateway.upstreams.answer = "lost"
    gateway._work(Bell.SUBMIT)
    gateway.upstream_calls_home(n=0)
    gateway.wait(seconds=15.0)
    assert gateway._claim(1) == []
    assert len(gateway.upstreams.jobs) == 1
    gateway.teardown()


def test_task_that_is_cancelled_while_it_waits_to_be_sent_again_takes_no_place(
    ground: Ground,
) -> None:
    gateway = Gateway(ground, "keyed")
    gateway.first_post(hooked=False)
    gateway.upstreams.answer = "lost"
    gateway._work(Bell.SUBMIT)
    gateway.cancel(n=0)
    gateway.teardown()
