"""What comes in and what goes out; the description of the API is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, fields, validate

from app.api.request_fields import (
    MAX_TEXT,
    Image,
    Images,
    Metadata,
    Number,
    Seconds,
    Text,
    Url,
    Whole,
)
from app.lifecycle import STATUSES
from providers.types import MediaType

MAX_IMAGES = 16
MAX_N = 16
MAX_WAIT_S = 60
MAX_LIST = 100
STATUS_WORDS = tuple(dict.fromkeys(STATUSES.values()))
MEDIA_TYPES = tuple(media_type.value for media_type in MediaType)

A_DAY_S = 86_400


class NewTaskSchema(Schema):
    """One generation to make."""

    class Meta:
        unknown = RAISE

    model = Text(
        200,
        required=True,
        description="Selects the channels that may serve the task.",
        example="wanx2.1-t2i-turbo",
    )
    prompt = Text(
        MAX_TEXT,
        lines=True,
        description="What to make. Required unless `input` is given.",
        example="a lighthouse made of paper, dawn",
    )
    input = Text(MAX_TEXT, lines=True, description="General text, such as what to say.")
    action = Text(
        40,
        description="`generate` by default; for songs `MUSIC` or `LYRICS`, which the "
        "model tells when it is absent.",
    )
    negative_prompt = Text(MAX_TEXT, lines=True, description="What to leave out.")
    image = Image(description="One input image: a URL, a data URL, base64 or a file.")
    image_url = Image(description="The same as `image`.")
    images = Images(MAX_IMAGES, description="Several input images.")
    image_urls = Images(MAX_IMAGES, description="The same as `images`.")
    input_reference = Image(description="The reference image of a video.")
    audio_url = Url(description="Sound that goes with a video, or is worked on.")
    video_url = Url(
        references=True,
        description="A video to work on: a URL, or the provider's own reference.",
    )
    size = Text(40, description="`1024x1024`, or the provider's own spelling.")
    aspect_ratio = Text(20, description="`16:9`.")
    ratio = Text(20, description="The same as `aspect_ratio`.")
    resolution = Text(20, description="`720P`, `1080P`.")
    width = Whole(1, 100_000, description="Pixels; goes with `height`.")
    height = Whole(1, 100_000, description="Pixels; goes with `width`.")
    duration = Number(A_DAY_S, description="Seconds.")
    seconds = Seconds(
        A_DAY_S,
        description="The same as `duration`, as a number or its text.",
        type=["number", "string"],
    )
    n = Whole(1, MAX_N, description="How many images; 1 by default.")
    seed = Whole(-1, 2**63 - 1, description="The same seed makes similar results.")
    quality = Text(100, description="A word of the provider.")
    style = Text(1000, description="A word of the provider.")
    response_format = Text(
        10,
        words=("url", "b64_json"),
        description="How GET hands the result back; `url` by default.",
    )
    output_format = Text(20, description="`png`, `jpg`, `webp`, `mp3`, `wav`, `mp4`.")
    voice = Text(200, description="Who speaks.")
    speed = Number(100, description="1 is the usual speed.")
    title = Text(1000, description="Of a song.")
    tags = Text(5000, lines=True, description="The style of a song.")
    lyrics = Text(MAX_TEXT, lines=True, description="What is sung.")
    callback_url = Url(description="Where the gateway delivers the result, signed.")
    metadata = Metadata(
        description="Fields that only one provider knows, merged into what is sent to "
        "it; never over the model, credentials or callbacks.",
    )


class ListQuerySchema(Schema):
    """Which tasks to list; in the query."""

    class Meta:
        unknown = RAISE

    status = Text(20, words=STATUS_WORDS, description="Only tasks of this status.")
    media_type = Text(10, words=MEDIA_TYPES, description="Only tasks of this kind.")
    model = Text(200, description="Only tasks of this model.")
    limit = Whole(1, MAX_LIST, description="How many tasks; 20 by default.")
    cursor = Text(300, description="`next_cursor` of the page before.")


class ModelsQuerySchema(Schema):
    """Which models to list; in the query."""

    class Meta:
        unknown = RAISE

    media_type = Text(10, words=MEDIA_TYPES, description="Only models of this kind.")
    q = Text(200, description="Only models with this in their name.")


class AcceptedTaskSchema(Schema):
    """A task that was taken."""

    task_id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUS_WORDS))
    media_type = fields.String(required=True, validate=validate.OneOf(MEDIA_TYPES))
    model = fields.String(required=True)
    created_at = fields.Integer(required=True, metadata={"description": "Unix s."})


class UpstreamCallSchema(Schema):
    """One call to an upstream, as it would leave; secrets are masked."""

    method = fields.String(required=True)
    url = fields.String(required=True)
    headers = fields.Dict(required=True)
    paid = fields.Boolean(
        required=True, metadata={"description": "Whether this call costs money."}
    )
    json = fields.Raw(metadata={"description": "The body, where it is JSON."})
    form = fields.List(
        fields.Dict(), metadata={"description": "The body, where it is a form."}
    )
    body = fields.String(metadata={"description": "The size of any other body."})


class DryRunSchema(Schema):
    """What a task would become; nothing is stored or sent."""

    dry_run = fields.Boolean(required=True)
    model = fields.String(required=True)
    media_type = fields.String(required=True, validate=validate.OneOf(MEDIA_TYPES))
    provider = fields.String(required=True)
    upstream_model = fields.String(required=True)
    channel = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Its name, for keys with the scope `admin`."},
    )
    reason = fields.String(
        required=True, metadata={"description": "Why this channel, at this moment."}
    )
    cost_at_most = fields.String(required=True, allow_none=True)
    calls = fields.List(fields.Nested(UpstreamCallSchema), required=True)
    complete = fields.Boolean(
        required=True,
        metadata={"description": "Whether the paid call is the last one shown."},
    )
    note = fields.String(required=True)


class ModelDurationSchema(Schema):
    """How long a model takes, in seconds."""

    usual_s = fields.Float(
        required=True, metadata={"description": "Half of the tasks end by then."}
    )
    slow_s = fields.Float(
        required=True, metadata={"description": "Nine of ten tasks end by then."}
    )
    longest_s = fields.Float(
        required=True, metadata={"description": "Then the task is given up."}
    )
    from_tasks = fields.Integer(
        required=True,
        metadata={"description": "Past tasks that say so; 0: only the catalogue does."},
    )


class ModelOfferSchema(Schema):
    """What one provider's model takes."""

    provider = fields.String(required=True)
    actions = fields.List(fields.String(), required=True)
    required = fields.List(fields.String(), required=True)
    refused = fields.List(fields.String(), required=True)
    limits = fields.Dict(required=True)


class ModelSchema(Schema):
    """One model: what it takes, what it makes, how long that takes."""

    id = fields.String(required=True)
    media_type = fields.String(required=True, validate=validate.OneOf(MEDIA_TYPES))
    providers = fields.List(fields.String(), required=True)
    synchronous = fields.Boolean(
        required=True,
        metadata={"description": "Whether its upstream answers with the result."},
    )
    actions = fields.List(fields.String(), required=True)
    required = fields.List(
        fields.String(), required=True, metadata={"description": "Fields it needs."}
    )
    refused = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Fields it cannot be given."},
    )
    limits = fields.Dict(
        required=True,
        metadata={"description": "What is not named here is left to the upstream."},
    )
    duration = fields.Nested(ModelDurationSchema, required=True)
    example = fields.Dict(
        required=True, metadata={"description": "A body that the model takes."}
    )
    offers = fields.List(
        fields.Nested(ModelOfferSchema),
        metadata={"description": "Where the providers of one name differ."},
    )


class ModelListSchema(Schema):
    """Models, A to Z."""

    models = fields.List(fields.Nested(ModelSchema), required=True)


class OpenAIModelSchema(Schema):
    """A model's name as OpenAI's clients read it."""

    id = fields.String(required=True)
    object = fields.String(required=True, validate=validate.Equal("model"))
    created = fields.Integer(required=True)
    owned_by = fields.String(required=True)
    supported_endpoint_types = fields.List(fields.String(), required=True)


class OpenAIModelListSchema(Schema):
    """Names of models as OpenAI's clients read them."""

    object = fields.String(required=True, validate=validate.Equal("list"))
    data = fields.List(fields.Nested(OpenAIModelSchema), required=True)


class ResultSchema(Schema):
    """One generated file, or a text without one."""

    url = fields.String(required=True, allow_none=True)
    content_type = fields.String(required=True, allow_none=True)
    size_bytes = fields.Integer(required=True, allow_none=True)
    width = fields.Integer(required=True, allow_none=True)
    height = fields.Integer(required=True, allow_none=True)
    duration_s = fields.Float(required=True, allow_none=True)
    expires_at = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Unix seconds at which `url` stops working."},
    )
    title = fields.String(required=True, allow_none=True)
    text = fields.String(required=True, allow_none=True)
    b64_json = fields.String(metadata={"description": "With `b64_json` asked for."})


class CallbackSchema(Schema):
    """The state of a task's callback."""

    url = fields.String(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf(
            ("waiting", "pending", "delivered", "failed", "stopped")
        ),
    )
    attempts = fields.Integer(required=True)


class TaskSchema(Schema):
    """A task as its client sees it; times are unix seconds, null until known."""

    task_id = fields.String(required=True)
    media_type = fields.String(required=True, validate=validate.OneOf(MEDIA_TYPES))
    model = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUS_WORDS))
    progress = fields.String(required=True, metadata={"example": "45%"})
    result_urls = fields.List(fields.String(), required=True)
    results = fields.List(fields.Nested(ResultSchema), required=True)
    error = fields.String(required=True, metadata={"description": "Empty, or why."})
    error_code = fields.String(required=True, allow_none=True)
    created_at = fields.Integer(required=True)
    updated_at = fields.Integer(required=True)
    submit_time = fields.Integer(required=True, allow_none=True)
    start_time = fields.Integer(required=True, allow_none=True)
    finish_time = fields.Integer(required=True, allow_none=True)
    usage = fields.Dict(required=True, allow_none=True)
    metadata = fields.Dict(required=True)
    callback = fields.Nested(CallbackSchema, required=True, allow_none=True)


class TaskPageSchema(Schema):
    """A page of tasks, the newest first."""

    tasks = fields.List(fields.Nested(TaskSchema), required=True)
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Give it as `cursor`; null on the last page."},
    )


class StatusSchema(Schema):
    """A process or its database is well."""

    status = fields.String(required=True)


class ReceivedSchema(Schema):
    """An upstream's callback was taken."""

    received = fields.Boolean(required=True)


class RefusalSchema(Schema):
    """The envelope of a refusal."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    data = fields.Raw(required=True, metadata={"type": "null"})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "What is wrong, by field."},
    )


# One of each for the whole process: building one takes a millisecond.
NEW_TASK = NewTaskSchema()
LIST_QUERY = ListQuerySchema()
MODELS_QUERY = ModelsQuerySchema()


def texts_of(messages: Any) -> list[str]:
    """marshmallow's messages of one field as plain sentences."""
    if isinstance(messages, Mapping):
        return [
            f"item {place + 1 if isinstance(place, int) else place}: {text}"
            for place, inner in messages.items()
            for text in texts_of(inner)
        ]
    return [str(text) for text in messages]
