"""Imagen in the sandbox: `:predict`, answered with the images in base64.

Wire format: Get_started_imagen_rest of the Gemini cookbook, docs.cloud.google.com
(Imagen on Agent Platform), `google-genai` 1.75.0 and 3.4.0 (read 2026-11-22). Google
has taken Imagen off the Gemini API; it goes on here, as with resellers.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.answers import answer_submit, json_answer, make_output
from sandbox.google_calls import (
    House,
    camel,
    check_names,
    choose,
    model_absent,
    read_body,
    refuse,
)
from sandbox.google_files import random_word
from sandbox.inputs import (
    BadInput,
    get_flag,
    get_list,
    get_object,
    get_text,
    get_whole,
)
from sandbox.jobs import CallKind, Failure, Job, MediaType

MODELS = (
    "imagen-4.0-generate-001",
    "imagen-4.0-fast-generate-001",
    "imagen-4.0-ultra-generate-001",
)
SIDES = {
    "1:1": (1024, 1024),
    "3:4": (896, 1280),
    "4:3": (1280, 896),
    "9:16": (768, 1408),
    "16:9": (1408, 768),
}
FORMATS = {"image/png": "png", "image/jpeg": "jpg"}
PEOPLE = ("allow_all", "allow_adult", "dont_allow")
DEVELOPER_PARAMETERS = frozenset(
    {
        "aspectRatio",
        "guidanceScale",
        "includeRaiReason",
        "includeSafetyAttributes",
        "language",
        "outputOptions",
        "personGeneration",
        "safetySetting",
        "sampleCount",
        "sampleImageSize",
    }
)
CLOUD_PARAMETERS = DEVELOPER_PARAMETERS | {
    "addWatermark",
    "enhancePrompt",
    "negativePrompt",
    "seed",
    "storageUri",
}
REASON = "The image was filtered for safety."


@dataclass(frozen=True)
class Wanted:
    """A submit that fits."""

    prompt: str
    width: int
    height: int
    count: int
    mime_type: str
    tells_reason: bool
    tells_attributes: bool
    storage_uri: str


def read_wanted(body: Mapping[str, Any], model: str, house: House) -> Wanted:
    """The request of a submit; raises BadInput."""
    check_names(body, {"instances", "parameters", "labels"}, "request")
    instances = get_list(body, "instances")
    if len(instances) != 1 or not isinstance(instances[0], dict):
        raise BadInput("`instances` must hold one object.", "instances")
    prompt = get_text(instances[0], "prompt")
    parameters = get_object(body, "parameters")
    allowed = CLOUD_PARAMETERS if house.cloud else DEVELOPER_PARAMETERS
    for name in parameters:
        if name not in allowed:
            raise BadInput(f"`{name}` isn't supported by this model.", name)
    ratio = get_text(parameters, "aspectRatio", default="1:1")
    choose(ratio, "aspectRatio", SIDES)
    size = parameters.get("sampleImageSize")
    if size is not None and "fast" in model:
        raise BadInput("`sampleImageSize` isn't supported by this model.")
    choose(size, "sampleImageSize", ("1K", "2K"))
    choose(parameters.get("personGeneration"), "personGeneration", PEOPLE)
    if "seed" in parameters and get_flag(parameters, "addWatermark", default=True):
        raise BadInput("`seed` is not supported when `addWatermark` is enabled.")
    output = get_object(parameters, "outputOptions")
    mime_type = get_text(output, "mimeType", default="image/png")
    choose(mime_type, "outputOptions.mimeType", FORMATS)
    get_whole(output, "compressionQuality", default=75, least=0, most=100)
    width, height = SIDES[ratio]
    times = 2 if size == "2K" else 1
    return Wanted(
        prompt=prompt,
        width=width * times,
        height=height * times,
        count=get_whole(parameters, "sampleCount", default=4, least=1, most=4),
        mime_type=mime_type,
        tells_reason=get_flag(parameters, "includeRaiReason"),
        tells_attributes=get_flag(parameters, "includeSafetyAttributes"),
        storage_uri=get_text(parameters, "storageUri", default=""),
    )


class Predictions:
    """Imagen's call, of one house."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """`POST .../models/{model}:predict`."""
        secret, refused = self.house.admit(request, CallKind.SUBMIT)
        if refused is not None:
            return refused
        model = request.match_info["model"]
        if model not in MODELS:
            return model_absent(model, "predict")
        try:
            wanted = read_wanted(camel(await read_body(request)), model, self.house)
        except BadInput as error:
            return refuse(error)
        upstream = self.house.upstream

        def accept() -> Job:
            return upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=wanted.prompt,
                media_type=MediaType.IMAGE,
                model=model,
                width=wanted.width,
                height=wanted.height,
                count=wanted.count,
                secret=secret,
                extra={"file": random_word(10)},
            )

        async def respond(job: Job) -> web.Response:
            return json_answer(await predictions(job, wanted))

        def blocked() -> web.Response:
            filtered = [{"raiFilteredReason": REASON}] * wanted.count
            return json_answer({"predictions": filtered} if wanted.tells_reason else {})

        return await answer_submit(
            request,
            upstream,
            wanted.prompt,
            accept,
            respond,
            self.house.refusals_of(blocked=blocked),
            waits=True,
        )


async def predictions(job: Job, wanted: Wanted) -> dict[str, Any]:
    """The answer: images, what was filtered of them, and what is no image."""
    found: list[dict[str, Any]] = []
    for index in range(job.count):
        if job.failure is Failure.BLOCKED or job.output_fails(index):
            if wanted.tells_reason:
                found.append({"raiFilteredReason": REASON})
            continue
        if wanted.storage_uri:
            ending = FORMATS[wanted.mime_type]
            name = f"{job.extra['file']}/sample_{index}.{ending}"
            uri = f"{wanted.storage_uri.rstrip('/')}/{name}"
            found.append({"gcsUri": uri, "mimeType": wanted.mime_type})
            continue
        data = await make_output(job, index, FORMATS[wanted.mime_type])
        found.append(
            {
                "mimeType": wanted.mime_type,
                "bytesBase64Encoded": base64.b64encode(data).decode(),
            }
        )
    if wanted.tells_attributes:
        attributes = {"categories": ["Violence"], "scores": [0.1]}
        found.append({"safetyAttributes": attributes, "contentType": "Positive Prompt"})
    return {"predictions": found}
