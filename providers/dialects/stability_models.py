"""What Stability AI offers: the route of each model, its parts and its limits.

The route decides what is made; only the models of Stable Diffusion 3.5 and of Stable
Audio are named in the form, too. Source: platform.stability.ai/docs/api-reference
(v2beta), read November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.types import MediaType, Model, by_name

IMAGES = "/v2beta/stable-image"
RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
IMAGE_FORMATS = ("png", "jpeg", "webp")
AUDIO_FORMATS = ("mp3", "wav")
LONGEST_PROMPT = 10_000

# Unified fields that a route of images may have no word for. A shape is not among them:
# where the input image decides it, a wish is left out.
OPTIONAL = ("negative_prompt", "seed", "style")
EVERY_WORD = frozenset({"prompt", *OPTIONAL})
INPAINT = "inpaint"


@dataclass(frozen=True, slots=True)
class Offer:
    """One model: its route and what can be said there.

    `words` are the unified fields that the route has a part for. `files` are the parts
    that input images fill, in their order, where the metadata does not. `named` is set
    where the form repeats the model. `prompt_part` is what the prompt is called.
    """

    model: Model
    path: str
    words: frozenset[str]
    files: tuple[str, ...] = ()
    named: bool = False
    prompt_part: str = "prompt"


def _image(
    name: str,
    path: str,
    *,
    words: frozenset[str] = EVERY_WORD,
    files: tuple[str, ...] = (),
    needs: frozenset[str] = frozenset({"prompt"}),
    named: bool = False,
    prompt_part: str = "prompt",
    **limits: Any,
) -> Offer:
    missing = (each for each in OPTIONAL if each not in words)
    model = Model(
        **{
            "name": name,
            "media_type": MediaType.IMAGE,
            "sync": True,
            "needs": needs,
            "refuses": frozenset({"audio_url", "video_url", *missing}),
            "max_prompt": LONGEST_PROMPT,
            "max_images": len(files),
            "max_n": 1,
            "aspect_ratios": RATIOS if "aspect_ratio" in words else (),
            "output_formats": (*IMAGE_FORMATS, "jpg"),
            "typical_s": 10.0,
            "longest_s": 300.0,
            **limits,
        }
    )
    return Offer(model, f"{IMAGES}/{path}", words, files, named, prompt_part)


def _generated(name: str, path: str, **limits: Any) -> Offer:
    """A model that makes new images; with `files` also from one of the client's."""
    words = EVERY_WORD | {"aspect_ratio"}
    return _image(name, f"generate/{path}", words=words, **limits)


def _sd3(name: str) -> Offer:
    return _generated(
        name,
        "sd3",
        files=("image",),
        named=True,
        output_formats=("png", "jpeg", "jpg"),
    )


def _worked(name: str, path: str, files: tuple[str, ...], **limits: Any) -> Offer:
    """A model that works on the client's image; its prompt is needed."""
    needs = frozenset({"prompt", "images"})
    return _image(name, path, files=files, **{"needs": needs, **limits})


def _sound(name: str, path: str, *, longest: float, **limits: Any) -> Offer:
    model = Model(
        **{
            "name": name,
            "media_type": MediaType.AUDIO,
            "sync": True,
            "needs": frozenset({"prompt"}),
            "refuses": frozenset({"images", "video_url"}),
            "max_prompt": LONGEST_PROMPT,
            "max_n": 1,
            "duration_range": (1, longest),
            "output_formats": AUDIO_FORMATS,
            "typical_s": 30.0,
            "longest_s": 600.0,
            **limits,
        }
    )
    words = frozenset({"prompt", "seed", "duration"})
    return Offer(model, f"/v2beta/audio/{path}", words, named=True)


IMAGE_ONLY = frozenset({"images"})
JOB: Mapping[str, Any] = {"sync": False, "typical_s": 45.0, "longest_s": 900.0}
SOUND_ACTIONS = ("generate", INPAINT)

OFFERS = (
    _generated("stable-image-ultra", "ultra", files=("image",)),
    _generated("stable-image-core", "core"),
    _sd3("sd3.5-large"),
    _sd3("sd3.5-large-turbo"),
    _sd3("sd3.5-medium"),
    _worked(
        "upscale-fast",
        "upscale/fast",
        ("image",),
        words=frozenset(),
        needs=IMAGE_ONLY,
    ),
    _worked(
        "upscale-conservative",
        "upscale/conservative",
        ("image",),
        words=EVERY_WORD - {"style"},
    ),
    _worked("upscale-creative", "upscale/creative", ("image",), **JOB),
    _worked(
        "edit-erase",
        "edit/erase",
        ("image", "mask"),
        words=frozenset({"seed"}),
        needs=IMAGE_ONLY,
    ),
    _worked("edit-inpaint", "edit/inpaint", ("image", "mask")),
    # How far to each side is said in the metadata; the prompt may be left out.
    _worked("edit-outpaint", "edit/outpaint", ("image",), needs=IMAGE_ONLY),
    _worked("edit-search-and-replace", "edit/search-and-replace", ("image",)),
    _worked("edit-search-and-recolor", "edit/search-and-recolor", ("image",)),
    _worked(
        "edit-remove-background",
        "edit/remove-background",
        ("image",),
        words=frozenset(),
        needs=IMAGE_ONLY,
        output_formats=("png", "webp"),
    ),
    # Either a prompt or a picture of the background is needed.
    _worked(
        "replace-background-and-relight",
        "edit/replace-background-and-relight",
        ("subject_image", "background_reference", "light_reference"),
        words=EVERY_WORD - {"style"},
        needs=IMAGE_ONLY,
        prompt_part="background_prompt",
        **JOB,
    ),
    _worked("control-sketch", "control/sketch", ("image",)),
    _worked("control-structure", "control/structure", ("image",)),
    _worked(
        "control-style",
        "control/style",
        ("image",),
        words=EVERY_WORD | {"aspect_ratio"},
    ),
    _worked(
        "control-style-transfer",
        "control/style-transfer",
        ("init_image", "style_image"),
        needs=IMAGE_ONLY,
    ),
    _sound("stable-audio-2", "stable-audio-2", longest=190, actions=SOUND_ACTIONS),
    _sound("stable-audio-2.5", "stable-audio-2", longest=190, actions=SOUND_ACTIONS),
    _sound(
        "stable-audio-3",
        "stable-audio",
        longest=380,
        sync=False,
        typical_s=40.0,
        longest_s=1200.0,
    ),
)
MODELS = tuple(offer.model for offer in OFFERS)
BY_NAME: Mapping[str, Offer] = {offer.model.name: offer for offer in OFFERS}

describe = by_name(MODELS)
