"""The workspace in a URL: found once, right after the static prefix, as it was sent; or not at all."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workspace_authz.workspaces.in_url import UrlWorkspace, hint, workspace_in_url

SEARCH = "/api/2.0/mlflow/experiments/search"


def sent(raw_path: str, *, static_prefix: str = "") -> UrlWorkspace | None:
    """As uvicorn hands it on: both paths, one of them decoded."""
    return workspace_in_url(unquote(raw_path), raw_path.encode(), static_prefix=static_prefix)


@pytest.mark.parametrize("prefix", ["", "/mlflow", "/a/b", "/workspaces/team-a", "/über"])
@pytest.mark.parametrize(
    "rest",
    [
        SEARCH,
        "/v1/traces",
        "/gateway/mlflow/v1/chat/completions",
        "/api/2.0/mlflow-artifacts/artifacts/workspaces/team-a/1/run/artifacts/a%2Fb%25c%20d.txt",
        "/api/3.0/mlflow/workspaces/team-b",
        "/api/../../team-b/api/x",  # which no route matches
        "/api/",
    ],
)
def test_it_is_taken_out_once_and_the_rest_stays_as_it_was_sent(prefix: str, rest: str) -> None:
    found = sent(f"{quote(prefix)}/workspaces/team-a{rest}", static_prefix=prefix)
    assert found == UrlWorkspace("team-a", prefix + unquote(rest), (quote(prefix) + rest).encode())


@pytest.mark.parametrize(
    "raw_path",
    [
        SEARCH,
        "/api/2.0/mlflow-artifacts/artifacts/workspaces/team-a/1/x",
        "/api/3.0/mlflow/workspaces/team-a",
        "/workspaces",
        "/workspaces/",
        "/workspaces/team-a",
        "/workspaces/team-a/",
        "/workspaces/team-a/api",
        "/workspaces/team-a/v1/traces/",
        "/workspaces/team-a/v1/traces/x",
        "/workspaces/team-a/v1/tracesx",
        "/workspaces/team-a/apis/x",
        "/workspaces/team-a/gateway",
        # What a browser loads, and what is open to everybody.
        "/workspaces/team-a/ajax-api/2.0/mlflow/experiments/search",
        "/workspaces/team-a/graphql",
        "/workspaces/team-a/health",
        "/workspaces/team-a/version",
        "/workspaces/team-a/static-files/x",
        "/workspaces/team-a/metrics",
        "/workspaces/team-a/workspace-authz/explain",
        # Twice, empty, dots, and other spellings.
        f"/workspaces/team-b/workspaces/team-a{SEARCH}",
        f"/workspaces/workspaces/team-a{SEARCH}",
        f"//workspaces/team-a{SEARCH}",
        f"/workspaces//team-a{SEARCH}",
        f"/workspaces/team-a/{SEARCH}",
        f"/workspaces/{SEARCH}",
        f"/workspaces/./team-a{SEARCH}",
        f"/workspaces/team-a/.{SEARCH}",
        f"/workspaces/team-b/../team-a{SEARCH}",
        f"/./workspaces/team-a{SEARCH}",
        f"/Workspaces/team-a{SEARCH}",
        f"/WORKSPACES/team-a{SEARCH}",
        "/workspaces/team-a/API/2.0/mlflow/experiments/search",
        f"/workspaces\\team-a{SEARCH}",
        f"/workspaces/te%C3%A4m{SEARCH}",
        # Encoded, so that something in front may have read another path.
        f"/workspaces%2Fteam-a{SEARCH}",
        f"/workspaces%2fteam-a{SEARCH}",
        f"%2Fworkspaces/team-a{SEARCH}",
        "/workspaces/team-a%2Fapi/2.0/mlflow/experiments/search",
        f"/workspaces/team-b%2F..%2Fteam-a{SEARCH}",
        f"/workspaces/team%2Da{SEARCH}",
        f"/%77orkspaces/team-a{SEARCH}",
        f"/workspaces/team-a%252F{SEARCH}",
    ],
)
def test_nothing_else_is_one(raw_path: str) -> None:
    assert sent(raw_path) is None


def test_it_stands_after_the_static_prefix_and_nowhere_else() -> None:
    assert sent(f"/workspaces/team-a{SEARCH}", static_prefix="/mlflow") is None
    assert sent(f"/workspaces/team-a/mlflow{SEARCH}", static_prefix="/mlflow") is None
    assert sent(f"/mlflow/mlflow/workspaces/team-a{SEARCH}", static_prefix="/mlflow") is None
    assert sent(f"/ml%66low/workspaces/team-a{SEARCH}", static_prefix="/mlflow") is None


@pytest.mark.parametrize("name", ["api", "gateway", "workspaces", "Team_A", ".", "..", "a"])
def test_any_name_is_handed_on_to_be_judged(name: str) -> None:
    found = sent(f"/workspaces/{name}{SEARCH}")
    assert found is not None
    assert (found.name, found.path) == (name, SEARCH)


def test_a_door_that_does_not_know_what_was_sent_finds_none() -> None:
    assert workspace_in_url(f"/workspaces/team-a{SEARCH}", b"", static_prefix="") is None


SEGMENTS = st.sampled_from(
    [
        "workspaces",
        "team-a",
        "team-b",
        "api",
        "gateway",
        "v1",
        "traces",
        "",
        ".",
        "..",
        "%2F",
        "%2e",
        "é",
        "x",
    ]
)


@given(st.lists(SEGMENTS, max_size=8), st.sampled_from(["", "/mlflow"]))
@example(["workspaces", "team-a", "api", "é", "%2F"], "")
def test_both_paths_of_a_result_are_the_same_path(segments: list[str], prefix: str) -> None:
    """Given any path, when a workspace is taken out, then exactly that text is gone from both paths."""
    raw_path = quote(prefix + "/workspaces/" + "/".join(segments), safe="/%")
    found = sent(raw_path, static_prefix=prefix)
    if found is not None:
        assert unquote(found.raw_path.decode()) == found.path
        assert f"{prefix}/workspaces/{found.name}{found.path.removeprefix(prefix)}" == unquote(raw_path)


def test_who_got_it_wrong_is_told_how_it_looks() -> None:
    told = hint("/mlflow/workspaces/team-a/ajax-api/x", static_prefix="/mlflow")
    assert "…/workspaces/<namespace>: once" in told
    assert hint("/ajax-api/x", static_prefix="") == ""
