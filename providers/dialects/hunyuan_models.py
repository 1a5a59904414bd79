"""What Hunyuan offers: a model is a pair of actions, one to submit and one to look.

The three services are hosts of their own, each with its own version of the API.
Sources: the request classes of the official SDK (vclm 2024-05-23, hunyuan 2023-09-01,
aiart 2022-12-29), read November 2026 (docs/providers/hunyuan.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers.types import MediaType, Model


@dataclass(frozen=True, slots=True)
class Service:
    """One product: its name in the scope of a signature, and its version."""

    name: str
    version: str

    @property
    def host(self) -> str:
        return f"{self.name}.tencentcloudapi.com"


HUNYUAN = Service("hunyuan", "2023-09-01")
VCLM = Service("vclm", "2024-05-23")
AIART = Service("aiart", "2022-12-29")


class Answers(StrEnum):
    """Which of the two shapes the look at a job is answered in."""

    FILM = "film"
    IMAGES = "images"


@dataclass(frozen=True, slots=True)
class Offer:
    """One model: its service, its actions, and what its fields are called.

    `query` is "" where the submit brings the result along. `picture` names the field
    of the input image and its two spellings, a URL and raw base64.
    """

    model: Model
    service: Service
    action: str
    query: str = ""
    answers: Answers = Answers.IMAGES
    picture: tuple[str, str, str] | None = None
    longest_negative: int = 0


RATIOS = {
    "1:1": "1024:1024",
    "4:3": "1024:768",
    "3:4": "768:1024",
    "16:9": "1280:720",
    "9:16": "720:1280",
    "3:5": "768:1280",
    "5:3": "1280:768",
}
SIZES = (
    "768x768",
    "768x1024",
    "1024x768",
    "1024x1024",
    "720x1280",
    "1280x720",
    "768x1280",
    "1280x768",
)
LITE_SIZES = (*SIZES, "1080x1920", "1920x1080")
# what a reference image leaves of them
REFERENCE_SIZES = SIZES[:4]

# Submits over the limit of running jobs are refused and never queue, so a job that was
# taken is soon at work; how long it may be is not documented.
LONGEST_IMAGE_S = 1800.0
LONGEST_VIDEO_S = 7200.0
LONGEST_ANSWER_S = 120.0

SHAPE = frozenset({"size", "width", "height", "aspect_ratio"})
UNSAID = frozenset({"audio_url", "video_url", "duration", "quality", "voice"})
OF_IMAGES = frozenset({"images", "negative_prompt", "seed", "style"})


def image(name: str, *, takes: Iterable[str] = (), **limits: Any) -> Model:
    refuses = UNSAID | OF_IMAGES | {"resolution"} | limits.pop("refuses", frozenset())
    return Model(
        **{
            "name": name,
            "media_type": MediaType.IMAGE,
            "needs": frozenset({"prompt"}),
            "refuses": refuses - frozenset(takes),
            "max_n": 1,
            "typical_s": 20.0,
            "longest_s": LONGEST_IMAGE_S,
            **limits,
        }
    )


def video(name: str, **limits: Any) -> Model:
    """A film of a fixed length, whose shape is the image's."""
    refuses = UNSAID | SHAPE | {"negative_prompt", "seed", "style"}
    return Model(
        name=name,
        media_type=MediaType.VIDEO,
        refuses=frozenset(refuses),
        max_prompt=200,
        max_images=1,
        max_n=1,
        output_formats=("mp4",),
        typical_s=120.0,
        longest_s=LONGEST_VIDEO_S,
        **limits,
    )


OFFERS = (
    Offer(
        image(
            "hunyuan-image",
            takes=OF_IMAGES,
            max_prompt=1024,
            max_images=1,
            max_n=4,
            sizes=SIZES,
            aspect_ratios=tuple(RATIOS),
        ),
        HUNYUAN,
        action="SubmitHunyuanImageJob",
        query="QueryHunyuanImageJob",
        picture=("ContentImage", "ImageUrl", "ImageBase64"),
        longest_negative=1024,
    ),
    Offer(
        # the next round of a talk names the last one: `ChatId`, which is metadata
        image("hunyuan-image-chat", refuses=SHAPE, max_prompt=1024),
        HUNYUAN,
        action="SubmitHunyuanImageChatJob",
        query="QueryHunyuanImageChatJob",
    ),
    Offer(
        image(
            "hunyuan-image-lite",
            takes={"negative_prompt", "style"},
            sync=True,
            max_prompt=256,
            sizes=LITE_SIZES,
            aspect_ratios=tuple(RATIOS),
            longest_s=LONGEST_ANSWER_S,
        ),
        HUNYUAN,
        action="TextToImageLite",
        longest_negative=256,
    ),
    Offer(
        video("hunyuan-video", resolutions=("720P",)),
        VCLM,
        action="SubmitHunyuanToVideoJob",
        query="DescribeHunyuanToVideoJob",
        answers=Answers.FILM,
        picture=("Image", "Url", "Base64"),
    ),
    Offer(
        video(
            "hunyuan-i2v",
            needs=frozenset({"images"}),
            resolutions=("480P", "720P", "1080P"),
        ),
        VCLM,
        action="SubmitImageToVideoGeneralJob",
        query="DescribeImageToVideoGeneralJob",
        answers=Answers.FILM,
        picture=("Image", "Url", "Base64"),
    ),
    Offer(
        image(
            "aiart-pro",
            takes={"style"},
            max_prompt=100,
            sizes=SIZES,
            aspect_ratios=tuple(RATIOS),
        ),
        AIART,
        action="SubmitTextToImageProJob",
        query="QueryTextToImageProJob",
    ),
)
BY_NAME = {offer.model.name: offer for offer in OFFERS}
BY_QUERY = {offer.query: offer for offer in OFFERS if offer.query}


def models_of(service: Service) -> tuple[Model, ...]:
    return tuple(offer.model for offer in OFFERS if offer.service == service)


def find_offer(name: str, service: Service) -> Offer | None:
    """The offer of that name at that service."""
    offer = BY_NAME.get(name)
    return offer if offer is not None and offer.service == service else None
