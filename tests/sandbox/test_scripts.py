import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.scripts import (
    PLAIN,
    Fault,
    FaultKind,
    Script,
    parse_script,
)

SCRIPTS = {
    "[slow 5s]": Script(duration_s=5),
    "[slow 250ms]": Script(duration_s=0.25),
    "[slow 2m]": Script(duration_s=120),
    "[slow 1.5]": Script(duration_s=1.5),
    "[fail]": Script(fails=True),
    "[blocked]": Script(blocked=True),
    "[blocked late]": Script(blocked_late=True),
    "[429 twice]": Script(before=(Fault(FaultKind.RATE_LIMIT, 2),)),
    "[429 once]": Script(before=(Fault(FaultKind.RATE_LIMIT, 1),)),
    "[429 7]": Script(before=(Fault(FaultKind.RATE_LIMIT, 7),)),
    "[429 7 times]": Script(before=(Fault(FaultKind.RATE_LIMIT, 7),)),
    "[429]": Script(before=(Fault(FaultKind.RATE_LIMIT),)),
    "[quota]": Script(before=(Fault(FaultKind.QUOTA),)),
    "[401]": Script(before=(Fault(FaultKind.UNAUTHORIZED),)),
    "[403]": Script(before=(Fault(FaultKind.FORBIDDEN),)),
    "[400]": Script(before=(Fault(FaultKind.BAD_REQUEST),)),
    "[503 before]": Script(before=(Fault(FaultKind.UNAVAILABLE),)),
    "[reset before once]": Script(before=(Fault(FaultKind.RESET, 1),)),
    "[500]": Script(after=(Fault(FaultKind.INTERNAL_ERROR),)),
    "[502]": Script(after=(Fault(FaultKind.BAD_GATEWAY),)),
    "[hang]": Script(after=(Fault(FaultKind.HANG),)),
    "[cut]": Script(after=(Fault(FaultKind.CUT),)),
    "[reset]": Script(after=(Fault(FaultKind.RESET),)),
    "[html]": Script(after=(Fault(FaultKind.HTML),)),
    "[no id]": Script(after=(Fault(FaultKind.NO_ID),)),
    "[slow answer 2s]": Script(answer_delay_s=2),
    "[poll 429 twice]": Script(poll=(Fault(FaultKind.RATE_LIMIT, 2),)),
    "[poll 500 3]": Script(poll=(Fault(FaultKind.INTERNAL_ERROR, 3),)),
    "[poll hang once]": Script(poll=(Fault(FaultKind.HANG, 1),)),
    "[poll html once]": Script(poll=(Fault(FaultKind.HTML, 1),)),
    "[poll 404 once]": Script(poll=(Fault(FaultKind.NOT_FOUND, 1),)),
    "[poll 401]": Script(poll=(Fault(FaultKind.UNAUTHORIZED),)),
    "[expire]": Script(expired=True),
    "[partial]": Script(partial=True),
    "[no webhook]": Script(webhook_count=0),
    "[webhook twice]": Script(webhook_count=2),
    "[webhook forged]": Script(webhook_forged=True),
    "[webhook late 3s]": Script(webhook_delay_s=3),
    "[stuck]": Script(stuck=True),
    "[big 20MB]": Script(big_bytes=20_000_000),
    "[big 1.5 kb]": Script(big_bytes=1_500),
    "[big]": Script(big_bytes=20_000_000),
    "[big 99999GB]": Script(big_bytes=4_000_000_000),
}


@pytest.mark.parametrize(("tag", "script"), SCRIPTS.items())
def test_every_tag_asks_for_its_behaviour(tag: str, script: Script) -> None:
    assert parse_script(f"a lighthouse {tag} at dawn") == script


def test_unknown_status_is_counted_when_it_says_how_often() -> None:
    always = parse_script("[unknown status]").unknown_status
    twice = parse_script("[unknown status twice]").unknown_status
    assert always is not None
    assert always.times is None
    assert twice is not None
    assert twice.times == 2


def test_tags_are_read_in_any_case_and_spacing() -> None:
    assert parse_script("[ SLOW   5S ]") == Script(duration_s=5)


def test_several_tags_work_together() -> None:
    assert parse_script("[slow 2s][429 once] song [poll 500 twice] [FAIL]") == Script(
        duration_s=2,
        fails=True,
        before=(Fault(FaultKind.RATE_LIMIT, 1),),
        poll=(Fault(FaultKind.INTERNAL_ERROR, 2),),
    )


@pytest.mark.parametrize(
    "text",
    ["", "no tags", "[Verse]\nlamps", "[slow]", "[ ]", "[slow -1s]", "[4290]", "fail]"],
)
def test_text_that_is_no_tag_changes_nothing(text: str) -> None:
    assert parse_script(text) is PLAIN


def test_prompts_with_the_same_tags_share_one_script() -> None:
    assert parse_script("one [slow 3s]") is parse_script("two [slow 3s]")


@given(st.text("[]0123456789 slowpbigkMsm.", max_size=80))
def test_no_text_breaks_the_parser(text: str) -> None:
    assert isinstance(parse_script(text), Script)
