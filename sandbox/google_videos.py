"""Veo in the sandbox: `:predictLongRunning`, and operations until they are done.

Wire format: ai.google.dev/gemini-api/docs/video, docs.cloud.google.com (Veo on Agent
Platform), `google-genai` 2.34.0 and 3.4.0 (read 2026-11-22). Google has retired Veo on
the Gemini API; it goes on here, as with resellers. That 8 seconds are required with
1080p, 4k and reference images is not confirmed for each model and not demanded.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.answers import answer_poll, answer_submit, json_answer, make_output
from sandbox.google_calls import (
    House,
    camel,
    check_names,
    check_picture,
    choose,
    model_absent,
    problem,
    read_body,
    refuse,
)
from sandbox.google_files import Files, file_word, random_word
from sandbox.google_webhooks import Webhooks, check_webhook
from sandbox.inputs import BadInput, get_list, get_object, get_text, get_whole
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType
from sandbox.scripts import UNKNOWN_STATUS

WORDS = {phase: phase.value for phase in JobPhase}
"""Operations have no status words; an unknown one is put where `done` is."""

RESOLUTIONS = {"720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
RATIOS = ("16:9", "9:16")
PEOPLE = ("allow_all", "allow_adult", "dont_allow")
DEVELOPER_PARAMETERS = frozenset(
    {
        "aspectRatio",
        "durationSeconds",
        "enhancePrompt",
        "negativePrompt",
        "personGeneration",
        "resolution",
        "sampleCount",
        "seed",
    }
)
CLOUD_PARAMETERS = DEVELOPER_PARAMETERS | {
    "compressionQuality",
    "fps",
    "generateAudio",
    "pubsubTopic",
    "resizeMode",
    "storageUri",
}
INSTANCE_FIELDS = ("prompt", "image", "lastFrame", "referenceImages", "video")
MOST_REFERENCES = 3
MOST_SEED = 2**32 - 1
OWN_FILE = re.compile(r"https?://.+/files/[A-Za-z0-9_-]+(:download)?(\?.*)?")


@dataclass(frozen=True)
class Veo:
    """What one model takes."""

    seconds: tuple[int, ...] = (4, 6, 8)
    resolutions: tuple[str, ...] = ("720p", "1080p", "4k")
    most_samples: int = 1


LITE = ("720p", "1080p")
DEVELOPER_MODELS = {
    "veo-3.1-generate-preview": Veo(),
    "veo-3.1-fast-generate-preview": Veo(),
    "veo-3.1-lite-generate-preview": Veo(resolutions=LITE),
    "veo-3.0-generate-001": Veo(most_samples=4),
    "veo-3.0-fast-generate-001": Veo(most_samples=4),
    "veo-2.0-generate-001": Veo((5, 6, 7, 8), most_samples=2),
}
CLOUD_MODELS = {
    "veo-3.1-generate-001": Veo(most_samples=4),
    "veo-3.1-fast-generate-001": Veo(most_samples=4),
    "veo-3.1-lite-generate-001": Veo(resolutions=LITE, most_samples=4),
}


@dataclass(frozen=True)
class Wanted:
    """A submit that fits."""

    prompt: str
    seconds: int
    width: int
    height: int
    count: int
    storage_uri: str = ""
    webhook: Mapping[str, Any] = field(default_factory=dict)


def read_wanted(body: Mapping[str, Any], veo: Veo, house: House) -> Wanted:
    """The request of a submit; raises BadInput."""
    beside = {"labels"} if house.cloud else {"webhookConfig"}
    check_names(body, {"instances", "parameters"} | beside, "request")
    instances = get_list(body, "instances")
    if len(instances) != 1 or not isinstance(instances[0], dict):
        raise BadInput("`instances` must hold one object.", "instances")
    instance = instances[0]
    for name in instance:
        if name not in INSTANCE_FIELDS:
            raise BadInput(f"`{name}` isn't supported by this model.", name)
    prompt = get_text(instance, "prompt", default="")
    check_inputs(instance, house)
    if not prompt and "image" not in instance:
        raise BadInput("The request needs a `prompt` or an `image`.", "prompt")
    parameters = get_object(body, "parameters")
    allowed = CLOUD_PARAMETERS if house.cloud else DEVELOPER_PARAMETERS
    for name in parameters:
        if name not in allowed:
            raise BadInput(f"`{name}` isn't supported by this model.", name)
    ratio = get_text(parameters, "aspectRatio", default="16:9")
    resolution = get_text(parameters, "resolution", default="720p")
    choose(ratio, "aspectRatio", RATIOS)
    choose(resolution, "resolution", veo.resolutions)
    choose(parameters.get("personGeneration"), "personGeneration", PEOPLE)
    get_whole(parameters, "seed", default=0, least=0, most=MOST_SEED)
    get_text(parameters, "negativePrompt", default="")
    seconds = get_whole(parameters, "durationSeconds", default=8)
    choose(seconds, "durationSeconds", veo.seconds)
    storage_uri = get_text(parameters, "storageUri", default="")
    if storage_uri and not storage_uri.startswith("gs://"):
        raise BadInput("`storageUri` must begin with gs://.", "storageUri")
    width, height = RESOLUTIONS[resolution]
    if ratio == "9:16":
        width, height = height, width
    return Wanted(
        prompt=prompt,
        seconds=seconds,
        width=width,
        height=height,
        count=get_whole(
            parameters, "sampleCount", default=1, least=1, most=veo.most_samples
        ),
        storage_uri=storage_uri,
        webhook=check_webhook(get_object(body, "webhookConfig")),
    )


def check_inputs(instance: Mapping[str, Any], house: House) -> None:
    """Look at the images and the video that a film starts from."""
    for name in ("image", "lastFrame"):
        if name in instance:
            check_image(instance[name], name, house)
    if "lastFrame" in instance and "image" not in instance:
        raise BadInput("`lastFrame` needs `image`.", "lastFrame")
    references = get_list(instance, "referenceImages")
    if len(references) > MOST_REFERENCES:
        raise BadInput("At most 3 `referenceImages` are possible.", "referenceImages")
    for reference in references:
        if not isinstance(reference, dict):
            raise BadInput("`referenceImages` must hold objects.", "referenceImages")
        kind = get_text(reference, "referenceType")
        choose(kind.lower(), "referenceType", ("asset", "style"))
        check_image(reference.get("image"), "referenceImages", house)
    video = instance.get("video")
    if video is not None:
        link = "gcsUri" if house.cloud else "uri"
        uri = video.get(link) if isinstance(video, dict) else None
        data = isinstance(video, dict) and (
            video.get("encodedVideo") or video.get("bytesBase64Encoded")
        )
        pattern = r"gs://.+" if house.cloud else OWN_FILE
        if not data and not (isinstance(uri, str) and re.fullmatch(pattern, uri)):
            raise BadInput("`video` must be one that was made here.", "video")


def check_image(image: Any, field: str, house: House) -> None:
    """An image in base64, or on Vertex AI in Cloud Storage; `inlineData` is none."""
    if not isinstance(image, dict):
        raise BadInput(f"`{field}` must be an object.", field)
    if house.cloud and "gcsUri" in image:
        return
    for name in image:
        if name not in ("bytesBase64Encoded", "mimeType"):
            raise BadInput(f"`{name}` isn't supported by this model.", name)
    check_picture(image.get("bytesBase64Encoded"), image.get("mimeType"), field)


class Operations:
    """Veo's calls, of one house."""

    def __init__(
        self, house: House, files: Files, webhooks: Webhooks | None = None
    ) -> None:
        self.house = house
        self.files = files
        self.webhooks = webhooks
        self.models = CLOUD_MODELS if house.cloud else DEVELOPER_MODELS

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """`POST .../models/{model}:predictLongRunning`."""
        secret, refused = self.house.admit(request, CallKind.SUBMIT)
        if refused is not None:
            return refused
        model = request.match_info["model"]
        veo = self.models.get(model)
        if veo is None:
            return model_absent(model, "predictLongRunning")
        try:
            wanted = read_wanted(camel(await read_body(request)), veo, self.house)
        except BadInput as error:
            return refuse(error)
        upstream = self.house.upstream

        def accept() -> Job:
            job = upstream.accept(
                request,
                self.name_of(request, model),
                prompt=wanted.prompt,
                media_type=MediaType.VIDEO,
                model=model,
                width=wanted.width,
                height=wanted.height,
                seconds=wanted.seconds,
                count=wanted.count,
                secret=secret,
                extra={
                    "file": random_word(10),
                    **({"storage": wanted.storage_uri} if wanted.storage_uri else {}),
                },
            )
            self.files.add(job)
            if self.webhooks is not None:
                self.webhooks.announce(job, wanted.webhook)
            return job

        return await answer_submit(
            request,
            upstream,
            wanted.prompt,
            accept,
            lambda job: json_answer({"name": job.id}),
            self.house.refusals,
        )

    def name_of(self, request: web.Request, model: str) -> str:
        """A new operation's name, which is its id."""
        if not self.house.cloud:
            return f"models/{model}/operations/{random_word(12)}"
        project, location = (
            request.match_info[name] for name in ("project", "location")
        )
        return (
            f"projects/{project}/locations/{location}/publishers/google/models/{model}"
            f"/operations/{uuid.uuid4()}"
        )

    async def poll(self, request: web.Request) -> web.StreamResponse:
        """`GET /<version>/models/{model}/operations/{id}`."""
        _, refused = self.house.admit(request, CallKind.POLL)
        if refused is not None:
            return refused
        found = request.match_info
        return await self.look(
            request, f"models/{found['model']}/operations/{found['id']}"
        )

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """`POST .../models/{model}:fetchPredictOperation`, on Vertex AI."""
        _, refused = self.house.admit(request, CallKind.POLL)
        if refused is not None:
            return refused
        try:
            body = camel(await read_body(request))
            check_names(body, {"operationName"}, "request")
            name = get_text(body, "operationName")
        except BadInput as error:
            return refuse(error)
        model = request.path.partition("/projects/")[2].rpartition(":")[0]
        if not name.startswith(f"projects/{model}/operations/"):
            return problem(
                400, "INVALID_ARGUMENT", "The operation is not of this model."
            )
        return await self.look(request, name)

    async def look(self, request: web.Request, name: str) -> web.StreamResponse:
        """What is known of an operation."""
        job = self.house.upstream.jobs.find(name)
        if job is not None and job.media_type is not MediaType.VIDEO:
            job = None

        async def respond(job: Job) -> web.Response:
            return json_answer(await self.operation(request, job))

        return await answer_poll(
            request, self.house.upstream, job, respond, self.house.refusals
        )

    async def operation(self, request: web.Request, job: Job) -> dict[str, Any]:
        """The operation; while it runs, its name alone."""
        upstream = self.house.upstream
        if upstream.status_word(job, WORDS) == UNKNOWN_STATUS:
            return {"name": job.id, "done": UNKNOWN_STATUS}
        if not job.is_over(upstream.clock()):
            return {"name": job.id}
        done: dict[str, Any] = {"name": job.id, "done": True}
        if job.failure is Failure.ERROR:
            message = "The video could not be made. Please try again later."
            return {**done, "error": {"code": 13, "message": message}}
        blocked = job.failure is Failure.BLOCKED
        made = [i for i in range(job.count) if not blocked and not job.output_fails(i)]
        filtered: dict[str, Any] = {}
        if len(made) < job.count or self.house.cloud:
            filtered["raiMediaFilteredCount"] = job.count - len(made)
        if len(made) < job.count:
            filtered["raiMediaFilteredReasons"] = ["The video was filtered for safety."]
        if self.house.cloud:
            videos = [await self.cloud_video(job, index) for index in made]
            kind = "cloud.ai.large_models.vision.GenerateVideoResponse"
            response = {**filtered, **({"videos": videos} if videos else {})}
        else:
            kind = "google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
            link = ":download?alt=media"
            samples = [
                {"video": {"uri": self.files.uri(request, job, index, link)}}
                for index in made
            ]
            inner = {**({"generatedSamples": samples} if samples else {}), **filtered}
            response = {"generateVideoResponse": inner}
        return {
            **done,
            "response": {"@type": f"type.googleapis.com/{kind}", **response},
        }

    async def cloud_video(self, job: Job, index: int) -> dict[str, str]:
        """A video of Vertex AI: in the bucket that was named, else inline."""
        if storage := job.extra.get("storage"):
            uri = f"{storage.rstrip('/')}/{file_word(job)}/sample_{index}.mp4"
            return {"gcsUri": uri, "mimeType": "video/mp4"}
        data = base64.b64encode(await make_output(job, index, "mp4")).decode()
        return {"bytesBase64Encoded": data, "mimeType": "video/mp4"}
