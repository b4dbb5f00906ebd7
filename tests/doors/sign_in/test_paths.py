"""Nobody is sent to another server after signing in."""

from __future__ import annotations

from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace_authz.doors.sign_in.paths import SignInPaths

ROOT, BELOW = SignInPaths(""), SignInPaths("/mlflow")
SERVER = "https://mlflow.example.com"


@pytest.mark.parametrize(
    "asked",
    [
        "/",
        "/#/experiments/1?a=b",
        "/get-artifact?path=a//b",
        "/a//b",
        "/%2F%2Fevil",
        "/?x=https://evil",
        "/workspace-authz/sign-in",
        "/workspace-authz/",
        "/workspace-authz/keys?namespace=team-a#new",
    ],
)
def test_pages_of_this_server_are_kept(asked: str) -> None:
    assert ROOT.back_to(asked) == asked


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "//evil",
        "///evil",
        "/\\evil",
        "/\t/evil",
        "/\n//evil",
        "\t//evil",
        "https://evil",
        "https:/evil",
        "javascript:alert(1)",
        "evil",
        " //evil",
        "/é",
        "/" + "x" * 2000,
        "/workspace-authz/sign-in?next=/",
        "/workspace-authz/sign-in/start?provider=x",
    ],
)
def test_other_places_become_the_home_page(asked: str) -> None:
    assert ROOT.back_to(asked) == "/"


@pytest.mark.parametrize(
    "asked", ["/", "/other", "/mlflow", "/mlflowx/", "//mlflow/", "/mlflow/workspace-authz/x"]
)
def test_a_prefix_is_kept(asked: str) -> None:
    assert BELOW.back_to(asked) == "/mlflow/"
    assert BELOW.back_to("/mlflow/#/models") == "/mlflow/#/models"


@given(st.text(alphabet=st.sampled_from("/\\:@#?.%\t\n\rahttps evil"), max_size=20))
def test_a_browser_stays_on_this_server(asked: str) -> None:
    assert urljoin(SERVER, ROOT.back_to(asked)).startswith(f"{SERVER}/")


def test_the_page_knows_where_to_come_back() -> None:
    address = urlsplit(BELOW.page_for("/mlflow/get-artifact?path=a b&x=1"))
    assert address.path == "/mlflow/workspace-authz/sign-in"
    assert parse_qs(address.query) == {"next": ["/mlflow/"]}  # a space is none of a URL
    assert parse_qs(urlsplit(BELOW.page_for("/mlflow/a?b=1&c=2")).query) == {"next": ["/mlflow/a?b=1&c=2"]}
