"""Imagen: `models/{model}:predict`, answered with the images in base64.

Google has taken Imagen off the Developer API and keeps it on Vertex AI; resellers and
proxies go on with both. Documentation: ai.google.dev/gemini-api/docs/imagen, the
cookbook's Get_started_imagen_rest, and the SDK google-genai 1.75.0 (models.py). Read in
November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers import errors, payload
from providers.dialects import gemini_errors, gemini_files, gemini_models
from providers.dialects.gemini_models import Platform
from providers.flow import Call, Flow
from providers.types import (
    Artifact,
    Failure,
    GenerationRequest,
    Phase,
    Reason,
    Snapshot,
)

MIME_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg"}
KEPT = ("sampleCount", "model")
FILTERED = "content_filtered"

# All that may stand in an answer from which every image was filtered.
BESIDE_IMAGES = frozenset({"positivePromptSafetyAttributes"})


def submit(request: GenerationRequest, platform: Platform) -> Flow[Snapshot]:
    """Make `n` images; billed when accepted, answered when they are finished."""
    body = {
        "instances": [{"prompt": request.text}],
        "parameters": build_parameters(request, platform),
    }
    path = platform.path(request.model, "predict")
    reply = yield Call("POST", path, json=body, paid=True)
    body = gemini_errors.accepted(reply, absent=errors.ModelRefused)
    return read_predictions(body, request.n)


def build_parameters(request: GenerationRequest, platform: Platform) -> dict[str, Any]:
    """How the images are to be, with a client's own parameters merged in.

    The Developer API refuses a seed and a negative prompt; without a field for them
    there, they are left out. The fast models know no size.
    """
    fast = "fast" in request.model
    output = MIME_TYPES.get((request.output_format or "").lower())
    parameters = payload.given(
        sampleCount=request.n,
        aspectRatio=gemini_models.ratio_of(request, gemini_models.IMAGEN_RATIOS),
        sampleImageSize=None if fast else sample_image_size(request),
        outputOptions={"mimeType": output} if output else None,
        includeRaiReason=True,  # else a filtered image leaves no trace
        seed=request.seed if platform.cloud else None,
        negativePrompt=request.negative_prompt if platform.cloud else None,
        # a seed is refused while images are marked, as they are by default
        addWatermark=False if platform.cloud and request.seed is not None else None,
    )
    return payload.merged(parameters, request.metadata, keep=KEPT)


def sample_image_size(request: GenerationRequest) -> str | None:
    """`1K` or `2K`; there is nothing larger."""
    resolution = gemini_models.image_resolution(request)
    return "2K" if resolution == "4K" and not request.resolution else resolution


@errors.documented("a list of predictions")
def read_predictions(body: dict[str, Any], wanted: int) -> Snapshot:
    """`{"predictions": [{"bytesBase64Encoded", "mimeType"} | {"raiFilteredReason"}]}`.

    Other elements (safety attributes of the prompt) are no images. When the filters
    took all, there may be no predictions at all, and nothing else.
    """
    if body.keys() <= BESIDE_IMAGES:
        predictions: list[Mapping[str, Any]] = []
    else:
        predictions = body["predictions"] or []
    artifacts = tuple(
        read_image(each)
        for each in predictions
        if each.get("bytesBase64Encoded") or each.get("gcsUri")
    )
    failure = None
    if len(artifacts) < wanted:
        reasons = [
            each["raiFilteredReason"] for each in predictions if is_filtered(each)
        ]
        told = "; ".join(dict.fromkeys(map(str, reasons)))
        missing = f"{wanted - len(artifacts)} of {wanted} images were filtered"
        failure = Failure(
            Reason.CONTENT_REJECTED,
            (f"{missing}: {told}" if told else missing)[: errors.MESSAGE_LENGTH],
            FILTERED,
        )
    return Snapshot(
        phase=Phase.SUCCEEDED if artifacts else Phase.FAILED,
        percent=100 if artifacts else None,
        artifacts=artifacts,
        failure=failure,
    )


def is_filtered(prediction: Mapping[str, Any]) -> bool:
    return bool(prediction.get("raiFilteredReason"))


def read_image(prediction: Mapping[str, Any]) -> Artifact:
    """One image, inline or in Cloud Storage."""
    content_type = prediction.get("mimeType") or "image/png"
    if uri := prediction.get("gcsUri"):
        return gemini_files.linked(uri, content_type)
    return gemini_files.inline(prediction["bytesBase64Encoded"], content_type)
