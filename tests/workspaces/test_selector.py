"""Label selectors, term by term; ``test_selector_real`` holds them against a real API server."""

from __future__ import annotations

import pytest

from workspace_authz.workspaces.selector import parse_selector

LABELS = {"team": "ml", "tier": "3", "example.com/zone": "", "in": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "team",
        "team=ml",
        "team==ml",
        " team = ml ",
        "team!=web",
        "absent!=web",
        "!absent",
        "team in (web,ml)",
        "team in(ml)",
        "team notin (web)",
        "absent notin (web)",
        "example.com/zone=",
        "example.com/zone in (,a)",
        "example.com/zone in ()",
        "example.com/zone",
        "tier>2",
        "tier<4",
        "team=ml,tier=3",
        "in=x",
        "in in (x,notin)",
    ],
)
def test_matches(text: str) -> None:
    assert parse_selector(text).matches(LABELS)


@pytest.mark.parametrize(
    "text",
    [
        "absent",
        "team=web",
        "team!=ml",
        "!team",
        "team in (web)",
        "absent in (web)",
        "team notin (ml)",
        "absent=",
        "tier>3",
        "tier<3",
        "team>1",
        "absent<9",
        "team=ml,tier=4",
        "Team=ml",
    ],
)
def test_does_not_match(text: str) -> None:
    assert not parse_selector(text).matches(LABELS)


@pytest.mark.parametrize(
    "text",
    [
        ",",
        "a,",
        "a=b,,c",
        "=b",
        "a=b c",
        "a===b",
        "a in b",
        "a in (b",
        "a in (b c)",
        "a nearly (b)",
        "!a=b",
        "!",
        "a>b",
        "a>",
        "a>9223372036854775808",
        "-a=b",
        "a=-b",
        "a=b_",
        "/a=b",
        "Upper.Case/a=b",
        "a/b/c=d",
        f"{'a' * 64}=b",
        f"a={'b' * 64}",
        f"{'a' * 254}/b",
        "a=ü",
        "a=(b)",
    ],
)
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_selector(text)


@pytest.mark.parametrize("value", ["1_0", "٣", "9223372036854775808", "3.0"])
def test_only_whole_numbers_compare(value: str) -> None:
    assert not parse_selector("a>1").matches({"a": value})
