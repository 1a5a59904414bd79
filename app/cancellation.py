"""The rule of cancelling, for clients and for operators."""

from __future__ import annotations

from app.bells import Bell
from app.errors import Conflict
from app.lifecycle import FINAL, STATUSES, Event
from app.runtime import Runtime
from app.store import tasks
from app.store.tasks import Task


def cancel(rt: Runtime, task_id: str, client_id: str | None = None) -> Task:
    """End a task, this client's or (None) whoever's; gives it as it is then.

    Raises `TaskNotFound`, and `Conflict` when it has ended or is being handed over:
    between the claim and the upstream's answer nobody knows what there is to cancel.
    """
    with rt.transaction() as tx:
        tasks.get(tx, task_id, client_id)
        cancelled = tasks.advance(tx, task_id, Event.CANCEL)
        task = tasks.get(tx, task_id, client_id)
    status = STATUSES[task.state]
    if task.state in FINAL and not cancelled:
        raise Conflict(f"the task has ended: it is {status}")
    if not cancelled:
        raise Conflict(
            f"the task is being handed over ({status}): try again", code="task_busy"
        )
    rt.ring(Bell.POLL)  # the upstream is told
    if task.callback_url:
        rt.ring(Bell.DELIVER)
    return task
