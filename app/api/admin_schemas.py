"""What operators may send; what they get is described in `admin_openapi`."""

from __future__ import annotations

from marshmallow import RAISE, Schema, fields

from app import operations
from app.accounts import PRIORITIES
from app.api.request_fields import Number, Text, Whole
from app.lifecycle import DeliveryState, State
from app.limits import CLIENT_LIMITS
from app.store.ledger import GROUPS, Unit

SINCE = "From then on: a date, a time, or `2h`, `7d` ago."
UNTIL = "Before then, said likewise."
BEFORE = "`next_before` of the page before."
AMOUNT = "An exact number as a text, with at most 8 decimals."
MAX_INSTANT = 40


class StrictSchema(Schema):
    """Refuses what it does not know."""

    class Meta:
        unknown = RAISE


class TaskListSchema(StrictSchema):
    """Which tasks to list."""

    client = Text(100, description="Of the key with this name.")
    status = Text(20, words=tuple(State), description="Of this status.")
    model = Text(200, description="Of this model.")
    channel = Text(100, description="That were handed to this channel.")
    since = Text(MAX_INSTANT, description=SINCE)
    before = Text(40, description=BEFORE)
    limit = Whole(1, operations.MOST_ROWS, description="How many; 50 by default.")


class CallbacksSchema(StrictSchema):
    """Which callbacks are meant."""

    client = Text(100, description="Of the key with this name.")
    state = Text(20, words=tuple(DeliveryState), description="In this state.")
    host = Text(300, description="To this host, with its port if it has one.")
    task_id = Text(40, description="Of this task.")
    since = Text(MAX_INSTANT, description=SINCE)
    until = Text(MAX_INSTANT, description=UNTIL)


class DeliveryListSchema(CallbacksSchema):
    """Which callbacks to list."""

    before = Text(40, description=BEFORE)
    limit = Whole(1, operations.MOST_ROWS, description="How many; 50 by default.")


class NothingSchema(StrictSchema):
    """No fields."""


class AdoptSchema(StrictSchema):
    """A job that was found at the upstream."""

    remote_id = Text(
        operations.MAX_REMOTE_ID,
        required=True,
        description="The upstream's id of the job.",
        example="job-7",
    )
    links = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        error_messages={"invalid": "must be an object"},
        metadata={
            "description": "What the provider needs beside the id, as texts by its "
            "own names."
        },
    )


class PauseSchema(StrictSchema):
    """How long to pause, and why."""

    for_s = Number(
        operations.LONGEST_PAUSE_S, description="Seconds; else until it is resumed."
    )
    reason = Text(200, description="Shown in lists.")


class KeyChangeSchema(StrictSchema):
    """What to change of a key; what is not given stays."""

    group = Text(60, description="The group of clients that it is in.")
    priority = Text(10, words=PRIORITIES, description="Its share of the queue.")
    limits = fields.Dict(
        keys=fields.String(),
        values=fields.Float(allow_none=True),
        error_messages={"invalid": "must be an object"},
        metadata={
            "description": f"Numbers by name: {', '.join(CLIENT_LIMITS)}; null takes "
            "a limit away."
        },
    )
    budget = Text(20, description=f"The most it may spend in a month. {AMOUNT} `none`.")


class TopUpSchema(StrictSchema):
    """What to add to a balance."""

    amount = Text(
        20,
        required=True,
        description=f"{AMOUNT} A negative one is taken off.",
        example="25.00",
    )
    reference = Text(
        operations.MAX_REFERENCE,
        description="Your own name for it: the same one counts once.",
        example="invoice-7",
    )


class PriceNameSchema(StrictSchema):
    """Which price is meant."""

    model = Text(200, required=True, description="The name that clients use.")
    channel = Text(100, description="On this channel only.")


class PriceSchema(PriceNameSchema):
    """What one unit of a model costs."""

    unit = Text(10, required=True, words=tuple(Unit), description="What is counted.")
    amount = Text(20, required=True, description=AMOUNT, example="0.04")


class OwnUsageSchema(StrictSchema):
    """Of which time; this month by default."""

    since = Text(MAX_INSTANT, description=SINCE)
    until = Text(MAX_INSTANT, description=UNTIL)


class UsageSchema(OwnUsageSchema):
    """How to add up."""

    by = Text(
        40,
        description=f"Some of {','.join(GROUPS)}, with commas; day,key,model by "
        "default.",
    )
