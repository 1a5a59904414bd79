"""Which fields and words each of Runway's models takes at each path.

Read from the types of the official Python client runwayml 5.24.0 (API of version
2024-11-06), 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Form:
    """One path for some models; a star marks a field as required.

    `words` has the values of the fields that know only a few. All are lists parted by
    spaces.
    """

    path: str
    models: str
    fields: str
    words: Mapping[str, str] = field(default_factory=dict)


FORMS: tuple[Form, ...] = (
    Form(
        "character_performance",
        "act_two",
        (
            "bodyControl character* contentModeration expressionIntensity ratio "
            "reference* seed"
        ),
        {
            "ratio": "1280:720 720:1280 960:960 1104:832 832:1104 1584:672",
        },
    ),
    Form(
        "image_to_video",
        "gen4.5",
        (
            "contentModeration duration* outputFormat promptImage* promptText* "
            "proresProfile ratio* seed"
        ),
        {
            "ratio": "1280:720 720:1280 1104:832 960:960 832:1104 1584:672",
        },
    ),
    Form(
        "image_to_video",
        "gen4_turbo",
        "contentModeration duration promptImage* promptText ratio* seed",
        {
            "ratio": "1280:720 720:1280 1104:832 960:960 832:1104 1584:672",
        },
    ),
    Form(
        "image_to_video",
        "veo3.1 veo3.1_fast",
        "audio duration negativePrompt promptImage* promptText ratio* seed",
        {
            "duration": "4 6 8",
            "ratio": "1280:720 720:1280 1080:1920 1920:1080",
        },
    ),
    Form(
        "image_to_video",
        "klingO3_4k",
        "audio duration promptImage* promptText providerSettings ratio references",
        {
            "ratio": "3840:2160 2160:3840 2880:2880",
        },
    ),
    Form(
        "image_to_video",
        "hailuo3",
        "duration promptImage* promptText* ratio referenceAudio resolution",
        {
            "ratio": "adaptive 21:9 16:9 4:3 1:1 3:4 9:16",
            "resolution": "768p 2k 768P 2K",
        },
    ),
    Form(
        "image_to_video",
        "kling3.0_4k",
        "audio cfgScale duration promptImage* promptText providerSettings ratio",
        {
            "ratio": "3840:2160 2160:3840 2880:2880",
        },
    ),
    Form(
        "image_to_video",
        "happyhorse_1_0",
        "duration promptImage* promptText resolution",
        {
            "resolution": "720p 1080p 720P 1080P",
        },
    ),
    Form(
        "image_to_video",
        "kling2.5_turbo_pro",
        "cfgScale duration promptImage* promptText*",
        {
            "duration": "5 10",
        },
    ),
    Form(
        "image_to_video",
        "kling3.0_pro",
        "audio cfgScale duration promptImage* promptText providerSettings ratio",
        {
            "ratio": "1920:1080 1080:1920 1440:1440",
        },
    ),
    Form(
        "image_to_video",
        "kling3.0_standard",
        "audio cfgScale duration promptImage* promptText providerSettings ratio",
        {
            "ratio": "1280:720 720:1280 960:960",
        },
    ),
    Form(
        "image_to_video",
        "klingO3_pro",
        "audio duration promptImage* promptText providerSettings ratio references",
        {
            "ratio": "1920:1080 1080:1920 1440:1440",
        },
    ),
    Form(
        "image_to_video",
        "klingO3_standard",
        "audio duration promptImage* promptText providerSettings ratio references",
        {
            "ratio": "1280:720 720:1280 960:960",
        },
    ),
    Form(
        "image_to_video",
        "seedance2",
        "audio duration promptImage* promptText ratio referenceAudio seed",
        {
            "ratio": (
                "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
                "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 "
                "1440:1440 1248:1664 1080:1920 3840:1646 3840:2160 3840:2880 3840:3840 "
                "2880:3840 2160:3840"
            ),
        },
    ),
    Form(
        "image_to_video",
        "seedance2_fast seedance2_mini",
        "audio duration promptImage* promptText ratio referenceAudio seed",
        {
            "ratio": (
                "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
                "1112:834 960:960 834:1112 720:1280"
            ),
        },
    ),
    Form(
        "image_to_video",
        "gemini_omni_flash",
        "duration promptImage* promptText ratio",
        {
            "ratio": "1280:720 720:1280",
        },
    ),
    Form(
        "image_to_video",
        "grok_imagine_1_5",
        "duration promptImage* promptText resolution",
        {
            "resolution": "480p 720p 1080p",
        },
    ),
    Form(
        "image_to_video",
        "wan3 wan3_prime",
        (
            "audio duration promptImage* promptText* ratio referenceAudio "
            "referenceVideos"
        ),
        {
            "ratio": (
                "832:480 720:544 624:624 544:720 480:832 1280:720 1104:832 960:960 "
                "832:1104 720:1280 1920:1080 1648:1248 1440:1440 1248:1648 1080:1920 "
                "auto_480p auto_720p auto_1080p"
            ),
        },
    ),
    Form(
        "image_to_video",
        "gemini_omni_flash_1.1",
        "duration promptImage* promptText* ratio",
        {
            "ratio": (
                "640:360 360:640 1280:720 720:1280 1920:1080 1080:1920 3840:2160 "
                "2160:3840"
            ),
        },
    ),
    Form(
        "image_to_video",
        "h3_max",
        "duration promptExpansionMode promptImage* promptText* resolution seed",
        {
            "resolution": "480p 768p",
        },
    ),
    Form(
        "image_to_video",
        "seedance2_5",
        (
            "audio draft duration outputFormat promptImage* promptText ratio "
            "referenceAudio seed"
        ),
        {
            "ratio": (
                "992:432 854:480 752:560 640:640 560:752 480:854 1470:630 1280:720 "
                "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 "
                "1440:1440 1248:1664 1080:1920"
            ),
        },
    ),
    Form(
        "image_to_video",
        "grok_imagine_1_5_lite",
        "duration promptImage* promptText ratio",
        {
            "ratio": "auto_480p auto_720p auto_1080p",
        },
    ),
    Form(
        "image_to_video",
        "kling_4",
        "duration promptImage* promptText ratio referenceVideos references",
        {
            "ratio": "auto_720p auto_1080p",
        },
    ),
    Form(
        "image_upscale",
        "magnific_precision_upscaler_v2",
        "flavor imageUri* scaleFactor sharpen smartGrain ultraDetail",
    ),
    Form(
        "sound_effect",
        "seed_audio",
        (
            "loudnessRate outputFormat pitchRate promptText* referenceAudios "
            "sampleRate speechRate"
        ),
    ),
    Form(
        "sound_effect",
        "mirelo_sfx_2_0",
        "duration* format negativePrompt numVariants promptText* seed",
    ),
    Form(
        "sound_effect",
        "eleven_text_to_sound_v2",
        "duration loop promptText*",
    ),
    Form(
        "text_to_image",
        "gen4_image_turbo",
        "contentModeration promptText* ratio* referenceImages* seed",
        {
            "ratio": (
                "1024:1024 1080:1080 1168:880 1360:768 1440:1080 1080:1440 1808:768 "
                "1920:1080 1080:1920 2112:912 1280:720 720:1280 720:720 960:720 "
                "720:960 1680:720"
            ),
        },
    ),
    Form(
        "text_to_image",
        "gen4_image",
        "contentModeration promptText* ratio* referenceImages seed",
        {
            "ratio": (
                "1024:1024 1080:1080 1168:880 1360:768 1440:1080 1080:1440 1808:768 "
                "1920:1080 1080:1920 2112:912 1280:720 720:1280 720:720 960:720 "
                "720:960 1680:720"
            ),
        },
    ),
    Form(
        "text_to_image",
        "gpt_image_2",
        "background outputCount promptText* quality ratio* referenceImages",
        {
            "quality": "low medium high auto",
            "ratio": (
                "2048:880 1920:1088 1920:1280 1920:1440 1920:1536 1920:1920 1536:1920 "
                "1440:1920 1280:1920 1088:1920 2912:1248 2560:1440 2560:1712 2560:1920 "
                "2560:2048 2560:2560 2048:2560 1920:2560 1712:2560 1440:2560 3840:1648 "
                "3840:2160 3504:2336 3264:2448 3200:2560 2880:2880 2560:3200 2448:3264 "
                "2336:3504 2160:3840 auto"
            ),
        },
    ),
    Form(
        "text_to_image",
        "gemini_image3.1_flash",
        "outputCount promptText* ratio* referenceImages",
        {
            "ratio": (
                "512:512 416:624 624:416 432:592 592:432 448:576 576:448 384:672 "
                "672:384 768:336 256:1024 1024:256 176:1408 1408:176 1024:1024 "
                "832:1248 1248:832 864:1184 1184:864 896:1152 1152:896 768:1344 "
                "1344:768 1536:672 512:2048 2048:512 352:2816 2816:352 2048:2048 "
                "1696:2528 2528:1696 1792:2400 2400:1792 1856:2304 2304:1856 1536:2752 "
                "2752:1536 3168:1344 1024:4096 4096:1024 704:5632 5632:704 4096:4096 "
                "3392:5056 5056:3392 3584:4800 4800:3584 3712:4608 4608:3712 3072:5504 "
                "5504:3072 6336:2688 2048:8192 8192:2048 1408:11264 11264:1408"
            ),
        },
    ),
    Form(
        "text_to_image",
        "muse_image",
        "outputCount outputFormat promptText* ratio* referenceImages",
        {
            "ratio": (
                "2352:1008 2016:1152 1920:1280 1792:1344 1600:1600 1344:1792 1280:1920 "
                "1152:2016 auto"
            ),
        },
    ),
    Form(
        "text_to_image",
        "seedream5_pro",
        "grounding outputCount outputFormat promptText* ratio* referenceImages",
        {
            "ratio": (
                "1024:1024 1184:896 896:1184 1376:768 768:1376 1296:864 864:1296 "
                "2048:2048 2304:1728 1728:2304 2720:1530 1530:2720 2496:1664 1664:2496 "
                "auto_1k auto_2k"
            ),
        },
    ),
    Form(
        "text_to_image",
        "seedream5_lite",
        "grounding outputCount outputFormat promptText* ratio* referenceImages",
        {
            "ratio": (
                "2048:2048 2304:1728 1728:2304 2848:1600 1600:2848 2496:1664 1664:2496 "
                "3136:1344 3072:3072 3456:2592 2592:3456 4096:2304 2304:4096 3744:2496 "
                "2496:3744 4704:2016"
            ),
        },
    ),
    Form(
        "text_to_image",
        "grok_imagine_image_2",
        "edit outputCount promptText* quality ratio* referenceImages",
        {
            "quality": "low medium",
            "ratio": (
                "1024:1024 1280:720 720:1280 1152:864 864:1152 1248:832 832:1248 "
                "1248:576 576:1248 1280:576 576:1280 1408:704 704:1408 2048:2048 "
                "2816:1584 1584:2816 2368:1776 1776:2368 2496:1664 1664:2496 2912:1344 "
                "1344:2912 3200:1440 1440:3200 2912:1456 1456:2912 auto_1k auto_2k"
            ),
        },
    ),
    Form(
        "text_to_image",
        "gemini_image3.1_flash_lite",
        "outputCount promptText* ratio* referenceImages",
        {
            "ratio": (
                "1024:1024 848:1264 1264:848 896:1200 1200:896 928:1152 1152:928 "
                "768:1376 1376:768 1584:672"
            ),
        },
    ),
    Form(
        "text_to_image",
        "gemini_image3_pro",
        "outputCount promptText* ratio* referenceImages",
        {
            "ratio": (
                "1344:768 768:1344 1024:1024 1184:864 864:1184 1536:672 832:1248 "
                "1248:832 896:1152 1152:896 2048:2048 1696:2528 2528:1696 1792:2400 "
                "2400:1792 1856:2304 2304:1856 1536:2752 2752:1536 3168:1344 4096:4096 "
                "3392:5056 5056:3392 3584:4800 4800:3584 3712:4608 4608:3712 3072:5504 "
                "5504:3072 6336:2688"
            ),
        },
    ),
    Form(
        "text_to_image",
        "gpt_image_2_5_flare gpt_image_2_5_sunburst",
        "background outputCount promptText* quality ratio* referenceImages",
        {
            "quality": "low medium high xhigh max",
            "ratio": (
                "2048:880 1920:1088 1920:1280 1920:1440 1920:1536 1920:1920 1536:1920 "
                "1440:1920 1280:1920 1088:1920 2912:1248 2560:1440 2560:1712 2560:1920 "
                "2560:2048 2560:2560 2048:2560 1920:2560 1712:2560 1440:2560 3840:1648 "
                "3840:2160 3504:2336 3264:2448 3200:2560 2880:2880 2560:3200 2448:3264 "
                "2336:3504 2160:3840 auto"
            ),
        },
    ),
    Form(
        "text_to_image",
        "bria_fibo_1_5",
        "outputFormat promptText* ratio* referenceImages seed",
        {
            "ratio": (
                "1024:1024 768:1152 1152:768 768:1024 1024:768 768:960 960:768 "
                "576:1024 1024:576 2048:2048 1536:2304 2304:1536 1536:2048 2048:1536 "
                "1536:1920 1920:1536 1152:2048 2048:1152"
            ),
        },
    ),
    Form(
        "text_to_image",
        "bria_fibo_edit_1_5",
        "outputFormat promptText* ratio referenceImages seed",
        {
            "ratio": (
                "1024:1024 768:1152 1152:768 768:1024 1024:768 768:960 960:768 "
                "576:1024 1024:576 auto"
            ),
        },
    ),
    Form(
        "text_to_image",
        "ideogram_4_0",
        "outputCount promptText* quality ratio referenceImages",
        {
            "quality": "low medium high",
            "ratio": (
                "2048:2048 2560:1440 1440:2560 2304:1728 1728:2304 2496:1664 1664:2496 "
                "3072:1280 1280:3072"
            ),
        },
    ),
    Form(
        "text_to_image",
        "ideogram_4_5",
        "maskUri outputCount preciseEdit promptText* quality ratio referenceImages",
        {
            "quality": "very_low low medium high",
            "ratio": (
                "1024:1024 1280:720 720:1280 1152:864 864:1152 1248:832 832:1248 "
                "1120:896 896:1120 1440:720 720:1440 2048:2048 2560:1440 1440:2560 "
                "2304:1728 1728:2304 2496:1664 1664:2496 2240:1792 1792:2240 2880:1440 "
                "1440:2880 1024:576 576:1024 1408:704 704:1408 auto"
            ),
        },
    ),
    Form(
        "text_to_image",
        "seedream5_flash",
        "outputCount outputFormat promptText* ratio* referenceImages",
        {
            "ratio": (
                "1024:1024 1184:896 896:1184 1376:768 768:1376 1248:832 832:1248 "
                "1568:672 2048:2048 2304:1728 1728:2304 2848:1600 1600:2848 2496:1664 "
                "1664:2496 3136:1344 auto_1k auto_2k"
            ),
        },
    ),
    Form(
        "text_to_image",
        "nano_banana_2.1",
        "outputCount promptText* ratio* referenceImages thinkingLevel",
        {
            "ratio": (
                "1024:1024 848:1264 1264:848 896:1200 1200:896 928:1152 1152:928 "
                "768:1376 1376:768 1584:672 512:2064 2064:512 352:2928 2928:352 "
                "2048:2048 1696:2528 2528:1696 1792:2400 2400:1792 1856:2304 2304:1856 "
                "1536:2752 2752:1536 3168:1344 1024:4128 4128:1024 704:5856 5856:704 "
                "4096:4096 3392:5056 5056:3392 3584:4800 4800:3584 3712:4608 4608:3712 "
                "3072:5504 5504:3072 6336:2688 2048:8256 8256:2048 1408:11712 "
                "11712:1408"
            ),
        },
    ),
    Form(
        "text_to_image",
        "recraft_v4_1_flash",
        "backgroundColor colors outputCount outputFormat promptText* ratio* seed",
        {
            "ratio": (
                "1024:1024 1536:768 768:1536 1280:832 832:1280 1216:896 896:1216 "
                "1152:896 896:1152 832:1344 1280:896 896:1280 1344:768 768:1344"
            ),
        },
    ),
    Form(
        "text_to_image",
        "recraft_v4_1_vector",
        "backgroundColor colors promptText* ratio",
        {
            "ratio": "1024:1024 1216:896 896:1216 1344:768 768:1344",
        },
    ),
    Form(
        "text_to_image",
        "gemini_2.5_flash",
        "promptText* ratio* referenceImages",
        {
            "ratio": (
                "1344:768 768:1344 1024:1024 1184:864 864:1184 1536:672 832:1248 "
                "1248:832 896:1152 1152:896"
            ),
        },
    ),
    Form(
        "text_to_speech",
        "seed_audio",
        ("loudnessRate outputFormat pitchRate promptText* sampleRate speechRate voice"),
    ),
    Form(
        "text_to_speech",
        "eleven_v4",
        (
            "languageCode nextText previousText promptText* seed similarityBoost speed "
            "stability style useSpeakerBoost voice*"
        ),
    ),
    Form(
        "text_to_speech",
        "eleven_multilingual_v2",
        "promptText* voice*",
    ),
    Form(
        "text_to_speech",
        "eleven_v3",
        (
            "applyTextNormalization languageCode promptText* seed similarityBoost "
            "speed stability style useSpeakerBoost voice*"
        ),
    ),
    Form(
        "text_to_video",
        "gen4.5",
        (
            "contentModeration duration* outputFormat promptText* proresProfile ratio* "
            "seed"
        ),
        {
            "ratio": "1280:720 720:1280",
        },
    ),
    Form(
        "text_to_video",
        "veo3.1 veo3.1_fast",
        "audio duration negativePrompt promptText* ratio* seed",
        {
            "duration": "4 6 8",
            "ratio": "1280:720 720:1280 1080:1920 1920:1080",
        },
    ),
    Form(
        "text_to_video",
        "klingO3_4k",
        "audio duration promptText providerSettings ratio*",
        {
            "ratio": "3840:2160 2160:3840 2880:2880",
        },
    ),
    Form(
        "text_to_video",
        "hailuo3",
        (
            "duration promptText* ratio referenceAudio referenceVideos references "
            "resolution"
        ),
        {
            "ratio": "adaptive 21:9 16:9 4:3 1:1 3:4 9:16",
            "resolution": "768p 2k 768P 2K",
        },
    ),
    Form(
        "text_to_video",
        "kling3.0_4k",
        "audio cfgScale duration promptText providerSettings ratio*",
        {
            "ratio": "3840:2160 2160:3840 2880:2880",
        },
    ),
    Form(
        "text_to_video",
        "happyhorse_1_0",
        "duration promptText* ratio",
        {
            "ratio": (
                "1280:720 720:1280 960:960 1108:832 832:1108 1920:1080 1080:1920 "
                "1440:1440 1662:1248 1248:1662"
            ),
        },
    ),
    Form(
        "text_to_video",
        "kling2.5_turbo_pro",
        "cfgScale duration promptText* ratio",
        {
            "duration": "5 10",
            "ratio": "1920:1080 1440:1440 1080:1920 1280:720 720:720 720:1280",
        },
    ),
    Form(
        "text_to_video",
        "kling3.0_pro",
        "audio cfgScale duration promptText providerSettings ratio*",
        {
            "ratio": "1920:1080 1080:1920 1440:1440",
        },
    ),
    Form(
        "text_to_video",
        "kling3.0_standard",
        "audio cfgScale duration promptText providerSettings ratio*",
        {
            "ratio": "1280:720 720:1280 960:960",
        },
    ),
    Form(
        "text_to_video",
        "klingO3_pro",
        "audio duration promptText providerSettings ratio*",
        {
            "ratio": "1920:1080 1080:1920 1440:1440",
        },
    ),
    Form(
        "text_to_video",
        "klingO3_standard",
        "audio duration promptText providerSettings ratio*",
        {
            "ratio": "1280:720 720:1280 960:960",
        },
    ),
    Form(
        "text_to_video",
        "seedance2",
        (
            "audio duration promptText* ratio referenceAudio referenceVideos "
            "references seed"
        ),
        {
            "ratio": (
                "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
                "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 "
                "1440:1440 1248:1664 1080:1920 3840:1646 3840:2160 3840:2880 3840:3840 "
                "2880:3840 2160:3840"
            ),
        },
    ),
    Form(
        "text_to_video",
        "seedance2_fast seedance2_mini",
        (
            "audio duration promptText* ratio referenceAudio referenceVideos "
            "references seed"
        ),
        {
            "ratio": (
                "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
                "1112:834 960:960 834:1112 720:1280"
            ),
        },
    ),
    Form(
        "text_to_video",
        "gemini_omni_flash",
        "duration promptText* ratio",
        {
            "ratio": "1280:720 720:1280",
        },
    ),
    Form(
        "text_to_video",
        "grok_imagine_1_5",
        "duration promptText* ratio referenceAudio references resolution",
        {
            "ratio": "1:1 16:9 9:16 4:3 3:4 3:2 2:3",
            "resolution": "480p 720p 1080p",
        },
    ),
    Form(
        "text_to_video",
        "wan3 wan3_prime",
        ("audio duration promptText* ratio referenceAudio referenceVideos references"),
        {
            "ratio": (
                "832:480 720:544 624:624 544:720 480:832 1280:720 1104:832 960:960 "
                "832:1104 720:1280 1920:1080 1648:1248 1440:1440 1248:1648 1080:1920 "
                "auto_480p auto_720p auto_1080p"
            ),
        },
    ),
    Form(
        "text_to_video",
        "gemini_omni_flash_1.1",
        "duration promptText* ratio referenceVideos references",
        {
            "ratio": (
                "640:360 360:640 1280:720 720:1280 1920:1080 1080:1920 3840:2160 "
                "2160:3840"
            ),
        },
    ),
    Form(
        "text_to_video",
        "h3_max",
        "duration promptExpansionMode promptText* resolution seed",
        {
            "resolution": "480p 768p",
        },
    ),
    Form(
        "text_to_video",
        "seedance2_5",
        (
            "audio draft draftTaskId duration outputFormat promptText ratio "
            "referenceAudio referenceVideos references seed"
        ),
        {
            "ratio": (
                "992:432 854:480 752:560 640:640 560:752 480:854 1470:630 1280:720 "
                "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 "
                "1440:1440 1248:1664 1080:1920"
            ),
        },
    ),
    Form(
        "text_to_video",
        "grok_imagine_1_5_lite",
        "duration promptText* ratio",
        {
            "ratio": (
                "848:480 480:848 480:480 640:480 480:640 720:480 480:720 1280:720 "
                "720:1280 720:720 960:720 720:960 1088:720 720:1088 1904:1072 "
                "1072:1904 1424:1424 1648:1232 1232:1648 1744:1152 1152:1744"
            ),
        },
    ),
    Form(
        "text_to_video",
        "kling_4",
        "duration promptText* ratio referenceVideos references",
        {
            "ratio": (
                "1280:720 720:1280 940:940 1460:624 1920:1080 1080:1920 1440:1440 "
                "2200:940 auto_720p auto_1080p"
            ),
        },
    ),
    Form(
        "video_to_video",
        "aleph2",
        (
            "contentModeration keyframes outputFormat promptText proresProfile ratio "
            "seed targetAspectRatio videoUri*"
        ),
    ),
    Form(
        "video_to_video",
        "klingO3_4k klingO3_pro klingO3_standard",
        "promptText* promptVideo* providerSettings references",
    ),
    Form(
        "video_to_video",
        "hailuo3",
        (
            "duration promptText* promptVideo* ratio referenceAudio referenceVideos "
            "references resolution"
        ),
        {
            "ratio": "adaptive 21:9 16:9 4:3 1:1 3:4 9:16",
            "resolution": "768p 2k 768P 2K",
        },
    ),
    Form(
        "video_to_video",
        "seedance2",
        (
            "audio duration promptText promptVideo* ratio referenceAudio "
            "referenceVideos references seed"
        ),
        {
            "ratio": (
                "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
                "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 "
                "1440:1440 1248:1664 1080:1920 3840:1646 3840:2160 3840:2880 3840:3840 "
                "2880:3840 2160:3840"
            ),
        },
    ),
    Form(
        "video_to_video",
        "seedance2_fast seedance2_mini",
        (
            "audio duration promptText promptVideo* ratio referenceAudio "
            "referenceVideos references seed"
        ),
        {
            "ratio": (
                "992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1280:720 "
                "1112:834 960:960 834:1112 720:1280"
            ),
        },
    ),
    Form(
        "video_to_video",
        "gemini_omni_flash",
        "promptText* references videoUri*",
    ),
    Form(
        "video_to_video",
        "gemini_omni_flash_1.1",
        "duration mode promptText* ratio references videoUri*",
        {
            "ratio": (
                "640:360 360:640 1280:720 720:1280 1920:1080 1080:1920 3840:2160 "
                "2160:3840"
            ),
        },
    ),
    Form(
        "video_to_video",
        "seedance2_5",
        (
            "audio draft duration mode outputFormat promptText promptVideo* ratio "
            "referenceAudio referenceVideos references seed"
        ),
        {
            "ratio": (
                "992:432 854:480 752:560 640:640 560:752 480:854 1470:630 1280:720 "
                "1112:834 960:960 834:1112 720:1280 2206:946 1920:1080 1664:1248 "
                "1440:1440 1248:1664 1080:1920"
            ),
        },
    ),
    Form(
        "video_to_video",
        "kling_4",
        "promptText* ratio references videoUri*",
        {
            "ratio": "auto_720p auto_1080p",
        },
    ),
    Form(
        "video_upscale",
        "magnific_video_upscaler_creative",
        "creativity flavor fpsBoost resolution sharpen smartGrain videoUri*",
        {
            "resolution": "720p 1k 2k 4k",
        },
    ),
    Form(
        "video_upscale",
        "enhance_frame_rate",
        "targetFramerate* videoUri*",
    ),
    Form(
        "image_to_video",
        "gen3a_turbo",
        "duration promptImage* promptText ratio seed",
        {
            "duration": "5 10",
            "ratio": "1280:768 768:1280",
        },
    ),
    Form(
        "image_to_video",
        "veo3",
        "duration promptImage* promptText ratio* seed",
        {
            "duration": "8",
            "ratio": "1280:720 720:1280 1080:1920 1920:1080",
        },
    ),
    Form(
        "text_to_video",
        "veo3",
        "duration promptText* ratio* seed",
        {
            "duration": "8",
            "ratio": "1280:720 720:1280 1080:1920 1920:1080",
        },
    ),
)
