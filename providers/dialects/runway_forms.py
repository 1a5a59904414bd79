"""Runway's request forms: which fields each model takes at each path, and their words.

Read from the types of the official Python client runwayml 5.24.0 (version 2024-11-06 of
the API), November 2026; gen3a_turbo and veo3 from the documentation. An unknown field
is refused with 400, so this table decides what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from providers.types import MediaType


class Path(StrEnum):
    """What is asked for, which is also the path."""

    CHARACTER_PERFORMANCE = "character_performance"
    IMAGE_TO_VIDEO = "image_to_video"
    IMAGE_UPSCALE = "image_upscale"
    SOUND_EFFECT = "sound_effect"
    TEXT_TO_IMAGE = "text_to_image"
    TEXT_TO_SPEECH = "text_to_speech"
    TEXT_TO_VIDEO = "text_to_video"
    VIDEO_TO_VIDEO = "video_to_video"
    VIDEO_UPSCALE = "video_upscale"


MADE: Mapping[Path, MediaType] = {
    Path.CHARACTER_PERFORMANCE: MediaType.VIDEO,
    Path.IMAGE_TO_VIDEO: MediaType.VIDEO,
    Path.IMAGE_UPSCALE: MediaType.IMAGE,
    Path.SOUND_EFFECT: MediaType.AUDIO,
    Path.TEXT_TO_IMAGE: MediaType.IMAGE,
    Path.TEXT_TO_SPEECH: MediaType.AUDIO,
    Path.TEXT_TO_VIDEO: MediaType.VIDEO,
    Path.VIDEO_TO_VIDEO: MediaType.VIDEO,
    Path.VIDEO_UPSCALE: MediaType.VIDEO,
}


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one path that a request can fill; a star marks those required.

    All are lists of words parted by spaces. A ratio is a size in pixels, with a colon.
    """

    path: Path
    models: str
    fields: str
    ratios: str = ""
    resolutions: str = ""
    qualities: str = ""
    formats: str = ""

    def names(self) -> frozenset[str]:
        return frozenset(self.fields.replace("*", "").split())

    def required(self) -> frozenset[str]:
        return frozenset(name[:-1] for name in self.fields.split() if name[-1] == "*")


FORMS: tuple[Form, ...] = (
    Form(
        Path.CHARACTER_PERFORMANCE,
        "act_two",
        "character* ratio reference* seed",
        ratios="1280:720 720:1280 960:960 1104:832 832:1104 1584:672",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "gen4.5",
        "duration* outputFormat promptImage* promptText* ratio* seed",
        ratios="1280:720 720:1280 1104:832 960:960 832:1104 1584:672",
        formats=(
            "mp4 prores png_sequence hdr10 hlg sdr_rec709_10bit hdr_pq_12bit_master "
            "hdr_prores hdr_png_sequence hdr_exr_sequence hdr_exr_acescg_sequence_1_3 "
            "hdr_exr_acescg_sequence_2_0"
        ),
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "gen4_turbo",
        "duration promptImage* promptText ratio* seed",
        ratios="1280:720 720:1280 1104:832 960:960 832:1104 1584:672",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "veo3.1 veo3.1_fast",
        "duration negativePrompt promptImage* promptText ratio* seed",
        ratios="1280:720 720:1280 1080:1920 1920:1080",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "klingO3_4k kling3.0_4k",
        "duration promptImage* promptText ratio",
        ratios="3840:2160 2160:3840 2880:2880",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "hailuo3",
        "duration promptImage* promptText* ratio resolution",
        ratios="adaptive 21:9 16:9 4:3 1:1 3:4 9:16",
        resolutions="768p 2k",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "happyhorse_1_0",
        "duration promptImage* promptText resolution",
        resolutions="720p 1080p",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "kling2.5_turbo_pro",
        "duration promptImage* promptText*",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "kling3.0_pro klingO3_pro",
        "duration promptImage* promptText ratio",
        ratios="1920:1080 1080:1920 1440:1440",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "kling3.0_standard klingO3_standard",
        "duration promptImage* promptText ratio",
        ratios="1280:720 720:1280 960:960",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "seedance2",
        "duration promptImage* promptText ratio seed",
        ratios=(
            "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
            "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 1440:1440 "
            "1248:1664 1080:1920 3840:1646 3840:2160 3840:2880 3840:3840 2880:3840 "
            "2160:3840"
        ),
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "seedance2_fast seedance2_mini",
        "duration promptImage* promptText ratio seed",
        ratios=(
            "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
            "1112:834 960:960 834:1112 720:1280"
        ),
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "gemini_omni_flash",
        "duration promptImage* promptText ratio",
        ratios="1280:720 720:1280",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "grok_imagine_1_5",
        "duration promptImage* promptText resolution",
        resolutions="480p 720p 1080p",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "wan3 wan3_prime",
        "duration promptImage* promptText* ratio",
        ratios=(
            "832:480 720:544 624:624 544:720 480:832 1280:720 1104:832 960:960 "
            "832:1104 720:1280 1920:1080 1648:1248 1440:1440 1248:1648 1080:1920 "
            "auto_480p auto_720p auto_1080p"
        ),
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "gemini_omni_flash_1.1",
        "duration promptImage* promptText* ratio",
        ratios=(
            "640:360 360:640 1280:720 720:1280 1920:1080 1080:1920 3840:2160 2160:3840"
        ),
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "h3_max",
        "duration promptImage* promptText* resolution seed",
        resolutions="480p 768p",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "seedance2_5",
        "duration outputFormat promptImage* promptText ratio seed",
        ratios=(
            "992:432 854:480 752:560 640:640 560:752 480:854 1470:630 1280:720 "
            "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 1440:1440 "
            "1248:1664 1080:1920"
        ),
        formats="mp4 mov",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "grok_imagine_1_5_lite",
        "duration promptImage* promptText ratio",
        ratios="auto_480p auto_720p auto_1080p",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "kling_4",
        "duration promptImage* promptText ratio",
        ratios="auto_720p auto_1080p",
    ),
    Form(
        Path.IMAGE_UPSCALE,
        "magnific_precision_upscaler_v2",
        "imageUri*",
    ),
    Form(
        Path.SOUND_EFFECT,
        "seed_audio",
        "outputFormat promptText*",
        formats="wav mp3 ogg_opus",
    ),
    Form(
        Path.SOUND_EFFECT,
        "mirelo_sfx_2_0",
        "duration* negativePrompt promptText* seed",
    ),
    Form(
        Path.SOUND_EFFECT,
        "eleven_text_to_sound_v2",
        "duration promptText*",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "gen4_image_turbo",
        "promptText* ratio* referenceImages* seed",
        ratios=(
            "1024:1024 1080:1080 1168:880 1360:768 1440:1080 1080:1440 1808:768 "
            "1920:1080 1080:1920 2112:912 1280:720 720:1280 720:720 960:720 720:960 "
            "1680:720"
        ),
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "gen4_image",
        "promptText* ratio* referenceImages seed",
        ratios=(
            "1024:1024 1080:1080 1168:880 1360:768 1440:1080 1080:1440 1808:768 "
            "1920:1080 1080:1920 2112:912 1280:720 720:1280 720:720 960:720 720:960 "
            "1680:720"
        ),
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "gpt_image_2",
        "outputCount promptText* quality ratio* referenceImages",
        ratios=(
            "2048:880 1920:1088 1920:1280 1920:1440 1920:1536 1920:1920 1536:1920 "
            "1440:1920 1280:1920 1088:1920 2912:1248 2560:1440 2560:1712 2560:1920 "
            "2560:2048 2560:2560 2048:2560 1920:2560 1712:2560 1440:2560 3840:1648 "
            "3840:2160 3504:2336 3264:2448 3200:2560 2880:2880 2560:3200 2448:3264 "
            "2336:3504 2160:3840 auto"
        ),
        qualities="low medium high auto",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "gemini_image3.1_flash",
        "outputCount promptText* ratio* referenceImages",
        ratios=(
            "512:512 416:624 624:416 432:592 592:432 448:576 576:448 384:672 672:384 "
            "768:336 256:1024 1024:256 176:1408 1408:176 1024:1024 832:1248 1248:832 "
            "864:1184 1184:864 896:1152 1152:896 768:1344 1344:768 1536:672 512:2048 "
            "2048:512 352:2816 2816:352 2048:2048 1696:2528 2528:1696 1792:2400 "
            "2400:1792 1856:2304 2304:1856 1536:2752 2752:1536 3168:1344 1024:4096 "
            "4096:1024 704:5632 5632:704 4096:4096 3392:5056 5056:3392 3584:4800 "
            "4800:3584 3712:4608 4608:3712 3072:5504 5504:3072 6336:2688 2048:8192 "
            "8192:2048 1408:11264 11264:1408"
        ),
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "muse_image",
        "outputCount outputFormat promptText* ratio* referenceImages",
        ratios=(
            "2352:1008 2016:1152 1920:1280 1792:1344 1600:1600 1344:1792 1280:1920 "
            "1152:2016 auto"
        ),
        formats="webp png jpeg",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "seedream5_pro",
        "outputCount outputFormat promptText* ratio* referenceImages",
        ratios=(
            "1024:1024 1184:896 896:1184 1376:768 768:1376 1296:864 864:1296 2048:2048 "
            "2304:1728 1728:2304 2720:1530 1530:2720 2496:1664 1664:2496 auto_1k "
            "auto_2k"
        ),
        formats="png jpeg",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "seedream5_lite",
        "outputCount outputFormat promptText* ratio* referenceImages",
        ratios=(
            "2048:2048 2304:1728 1728:2304 2848:1600 1600:2848 2496:1664 1664:2496 "
            "3136:1344 3072:3072 3456:2592 2592:3456 4096:2304 2304:4096 3744:2496 "
            "2496:3744 4704:2016"
        ),
        formats="png jpeg",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "grok_imagine_image_2",
        "outputCount promptText* quality ratio* referenceImages",
        ratios=(
            "1024:1024 1280:720 720:1280 1152:864 864:1152 1248:832 832:1248 1248:576 "
            "576:1248 1280:576 576:1280 1408:704 704:1408 2048:2048 2816:1584 "
            "1584:2816 2368:1776 1776:2368 2496:1664 1664:2496 2912:1344 1344:2912 "
            "3200:1440 1440:3200 2912:1456 1456:2912 auto_1k auto_2k"
        ),
        qualities="low medium",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "gemini_image3.1_flash_lite",
        "outputCount promptText* ratio* referenceImages",
        ratios=(
            "1024:1024 848:1264 1264:848 896:1200 1200:896 928:1152 1152:928 768:1376 "
            "1376:768 1584:672"
        ),
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "gemini_image3_pro",
        "outputCount promptText* ratio* referenceImages",
        ratios=(
            "1344:768 768:1344 1024:1024 1184:864 864:1184 1536:672 832:1248 1248:832 "
            "896:1152 1152:896 2048:2048 1696:2528 2528:1696 1792:2400 2400:1792 "
            "1856:2304 2304:1856 1536:2752 2752:1536 3168:1344 4096:4096 3392:5056 "
            "5056:3392 3584:4800 4800:3584 3712:4608 4608:3712 3072:5504 5504:3072 "
            "6336:2688"
        ),
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "gpt_image_2_5_flare gpt_image_2_5_sunburst",
        "outputCount promptText* quality ratio* referenceImages",
        ratios=(
            "2048:880 1920:1088 1920:1280 1920:1440 1920:1536 1920:1920 1536:1920 "
            "1440:1920 1280:1920 1088:1920 2912:1248 2560:1440 2560:1712 2560:1920 "
            "2560:2048 2560:2560 2048:2560 1920:2560 1712:2560 1440:2560 3840:1648 "
            "3840:2160 3504:2336 3264:2448 3200:2560 2880:2880 2560:3200 2448:3264 "
            "2336:3504 2160:3840 auto"
        ),
        qualities="low medium high xhigh max",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "bria_fibo_1_5",
        "outputFormat promptText* ratio* referenceImages seed",
        ratios=(
            "1024:1024 768:1152 1152:768 768:1024 1024:768 768:960 960:768 576:1024 "
            "1024:576 2048:2048 1536:2304 2304:1536 1536:2048 2048:1536 1536:1920 "
            "1920:1536 1152:2048 2048:1152"
        ),
        formats="png jpeg",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "bria_fibo_edit_1_5",
        "outputFormat promptText* ratio referenceImages seed",
        ratios=(
            "1024:1024 768:1152 1152:768 768:1024 1024:768 768:960 960:768 576:1024 "
            "1024:576 auto"
        ),
        formats="png jpeg",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "ideogram_4_0",
        "outputCount promptText* quality ratio referenceImages",
        ratios=(
            "2048:2048 2560:1440 1440:2560 2304:1728 1728:2304 2496:1664 1664:2496 "
            "3072:1280 1280:3072"
        ),
        qualities="low medium high",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "ideogram_4_5",
        "outputCount promptText* quality ratio referenceImages",
        ratios=(
            "1024:1024 1280:720 720:1280 1152:864 864:1152 1248:832 832:1248 1120:896 "
            "896:1120 1440:720 720:1440 2048:2048 2560:1440 1440:2560 2304:1728 "
            "1728:2304 2496:1664 1664:2496 2240:1792 1792:2240 2880:1440 1440:2880 "
            "1024:576 576:1024 1408:704 704:1408 auto"
        ),
        qualities="very_low low medium high",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "seedream5_flash",
        "outputCount outputFormat promptText* ratio* referenceImages",
        ratios=(
            "1024:1024 1184:896 896:1184 1376:768 768:1376 1248:832 832:1248 1568:672 "
            "2048:2048 2304:1728 1728:2304 2848:1600 1600:2848 2496:1664 1664:2496 "
            "3136:1344 auto_1k auto_2k"
        ),
        formats="png jpeg",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "nano_banana_2.1",
        "outputCount promptText* ratio* referenceImages",
        ratios=(
            "1024:1024 848:1264 1264:848 896:1200 1200:896 928:1152 1152:928 768:1376 "
            "1376:768 1584:672 512:2064 2064:512 352:2928 2928:352 2048:2048 1696:2528 "
            "2528:1696 1792:2400 2400:1792 1856:2304 2304:1856 1536:2752 2752:1536 "
            "3168:1344 1024:4128 4128:1024 704:5856 5856:704 4096:4096 3392:5056 "
            "5056:3392 3584:4800 4800:3584 3712:4608 4608:3712 3072:5504 5504:3072 "
            "6336:2688 2048:8256 8256:2048 1408:11712 11712:1408"
        ),
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "recraft_v4_1_flash",
        "outputCount outputFormat promptText* ratio* seed",
        ratios=(
            "1024:1024 1536:768 768:1536 1280:832 832:1280 1216:896 896:1216 1152:896 "
            "896:1152 832:1344 1280:896 896:1280 1344:768 768:1344"
        ),
        formats="webp png",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "recraft_v4_1_vector",
        "promptText* ratio",
        ratios="1024:1024 1216:896 896:1216 1344:768 768:1344",
    ),
    Form(
        Path.TEXT_TO_IMAGE,
        "gemini_2.5_flash",
        "promptText* ratio* referenceImages",
        ratios=(
            "1344:768 768:1344 1024:1024 1184:864 864:1184 1536:672 832:1248 1248:832 "
            "896:1152 1152:896"
        ),
    ),
    Form(
        Path.TEXT_TO_SPEECH,
        "seed_audio",
        "outputFormat promptText*",
        formats="wav mp3 ogg_opus",
    ),
    Form(
        Path.TEXT_TO_SPEECH,
        "eleven_v4 eleven_v3",
        "promptText* seed speed voice*",
    ),
    Form(
        Path.TEXT_TO_SPEECH,
        "eleven_multilingual_v2",
        "promptText* voice*",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "gen4.5",
        "duration* outputFormat promptText* ratio* seed",
        ratios="1280:720 720:1280",
        formats=(
            "mp4 prores png_sequence hdr10 hlg sdr_rec709_10bit hdr_pq_12bit_master "
            "hdr_prores hdr_png_sequence hdr_exr_sequence hdr_exr_acescg_sequence_1_3 "
            "hdr_exr_acescg_sequence_2_0"
        ),
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "veo3.1 veo3.1_fast",
        "duration negativePrompt promptText* ratio* seed",
        ratios="1280:720 720:1280 1080:1920 1920:1080",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "klingO3_4k kling3.0_4k",
        "duration promptText ratio*",
        ratios="3840:2160 2160:3840 2880:2880",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "hailuo3",
        "duration promptText* ratio resolution",
        ratios="adaptive 21:9 16:9 4:3 1:1 3:4 9:16",
        resolutions="768p 2k",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "happyhorse_1_0",
        "duration promptText* ratio",
        ratios=(
            "1280:720 720:1280 960:960 1108:832 832:1108 1920:1080 1080:1920 1440:1440 "
            "1662:1248 1248:1662"
        ),
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "kling2.5_turbo_pro",
        "duration promptText* ratio",
        ratios="1920:1080 1440:1440 1080:1920 1280:720 720:720 720:1280",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "kling3.0_pro klingO3_pro",
        "duration promptText ratio*",
        ratios="1920:1080 1080:1920 1440:1440",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "kling3.0_standard klingO3_standard",
        "duration promptText ratio*",
        ratios="1280:720 720:1280 960:960",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "seedance2",
        "duration promptText* ratio seed",
        ratios=(
            "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
            "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 1440:1440 "
            "1248:1664 1080:1920 3840:1646 3840:2160 3840:2880 3840:3840 2880:3840 "
            "2160:3840"
        ),
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "seedance2_fast seedance2_mini",
        "duration promptText* ratio seed",
        ratios=(
            "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
            "1112:834 960:960 834:1112 720:1280"
        ),
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "gemini_omni_flash",
        "duration promptText* ratio",
        ratios="1280:720 720:1280",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "grok_imagine_1_5",
        "duration promptText* ratio resolution",
        ratios="1:1 16:9 9:16 4:3 3:4 3:2 2:3",
        resolutions="480p 720p 1080p",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "wan3 wan3_prime",
        "duration promptText* ratio",
        ratios=(
            "832:480 720:544 624:624 544:720 480:832 1280:720 1104:832 960:960 "
            "832:1104 720:1280 1920:1080 1648:1248 1440:1440 1248:1648 1080:1920 "
            "auto_480p auto_720p auto_1080p"
        ),
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "gemini_omni_flash_1.1",
        "duration promptText* ratio",
        ratios=(
            "640:360 360:640 1280:720 720:1280 1920:1080 1080:1920 3840:2160 2160:3840"
        ),
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "h3_max",
        "duration promptText* resolution seed",
        resolutions="480p 768p",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "seedance2_5",
        "duration outputFormat promptText ratio seed",
        ratios=(
            "992:432 854:480 752:560 640:640 560:752 480:854 1470:630 1280:720 "
            "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 1440:1440 "
            "1248:1664 1080:1920"
        ),
        formats="mp4 mov",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "grok_imagine_1_5_lite",
        "duration promptText* ratio",
        ratios=(
            "848:480 480:848 480:480 640:480 480:640 720:480 480:720 1280:720 720:1280 "
            "720:720 960:720 720:960 1088:720 720:1088 1904:1072 1072:1904 1424:1424 "
            "1648:1232 1232:1648 1744:1152 1152:1744"
        ),
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "kling_4",
        "duration promptText* ratio",
        ratios=(
            "1280:720 720:1280 940:940 1460:624 1920:1080 1080:1920 1440:1440 2200:940 "
            "auto_720p auto_1080p"
        ),
    ),
    Form(
        Path.VIDEO_TO_VIDEO,
        "aleph2",
        "outputFormat promptText ratio seed videoUri*",
        formats="mp4 prores png_sequence sdr_rec709_10bit",
    ),
    Form(
        Path.VIDEO_TO_VIDEO,
        "klingO3_4k klingO3_pro klingO3_standard",
        "promptText* promptVideo*",
    ),
    Form(
        Path.VIDEO_TO_VIDEO,
        "hailuo3",
        "duration promptText* promptVideo* ratio resolution",
        ratios="adaptive 21:9 16:9 4:3 1:1 3:4 9:16",
        resolutions="768p 2k",
    ),
    Form(
        Path.VIDEO_TO_VIDEO,
        "seedance2",
        "duration promptText promptVideo* ratio seed",
        ratios=(
            "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
            "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 1440:1440 "
            "1248:1664 1080:1920 3840:1646 3840:2160 3840:2880 3840:3840 2880:3840 "
            "2160:3840"
        ),
    ),
    Form(
        Path.VIDEO_TO_VIDEO,
        "seedance2_fast seedance2_mini",
        "duration promptText promptVideo* ratio seed",
        ratios=(
            "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
            "1112:834 960:960 834:1112 720:1280"
        ),
    ),
    Form(
        Path.VIDEO_TO_VIDEO,
        "gemini_omni_flash",
        "promptText* videoUri*",
    ),
    Form(
        Path.VIDEO_TO_VIDEO,
        "gemini_omni_flash_1.1",
        "duration promptText* ratio videoUri*",
        ratios=(
            "640:360 360:640 1280:720 720:1280 1920:1080 1080:1920 3840:2160 2160:3840"
        ),
    ),
    Form(
        Path.VIDEO_TO_VIDEO,
        "seedance2_5",
        "duration outputFormat promptText promptVideo* ratio seed",
        ratios=(
            "992:432 854:480 752:560 640:640 560:752 480:854 1470:630 1280:720 "
            "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 1440:1440 "
            "1248:1664 1080:1920"
        ),
        formats="mp4 mov",
    ),
    Form(
        Path.VIDEO_TO_VIDEO,
        "kling_4",
        "promptText* ratio videoUri*",
        ratios="auto_720p auto_1080p",
    ),
    Form(
        Path.VIDEO_UPSCALE,
        "magnific_video_upscaler_creative",
        "resolution videoUri*",
        resolutions="720p 1k 2k 4k",
    ),
    Form(
        Path.VIDEO_UPSCALE,
        "enhance_frame_rate",
        "targetFramerate* videoUri*",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "gen3a_turbo",
        "duration promptImage* promptText ratio seed",
        ratios="1280:768 768:1280",
    ),
    Form(
        Path.IMAGE_TO_VIDEO,
        "veo3",
        "duration promptImage* promptText ratio* seed",
        ratios="1280:720 720:1280 1080:1920 1920:1080",
    ),
    Form(
        Path.TEXT_TO_VIDEO,
        "veo3",
        "duration promptText* ratio* seed",
        ratios="1280:720 720:1280 1080:1920 1920:1080",
    ),
)
