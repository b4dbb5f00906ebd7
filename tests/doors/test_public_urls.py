"""MLflow's hosts and origins follow from the public URL."""

from __future__ import annotations

import pytest
from mlflow.server.security_utils import (
    get_allowed_hosts_from_env,
    get_allowed_origins_from_env,
    is_allowed_host_header,
    should_block_cors_request,
)

from workspace_authz.doors.public_urls import HOSTS, ORIGINS, allow_public_urls, public_urls
from workspace_authz.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _nothing_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOSTS, raising=False)
    monkeypatch.delenv(ORIGINS, raising=False)


def environment(setting: str | None, **given: str) -> dict[str, str]:
    allow_public_urls(setting, given)
    return given


def test_mlflow_answers_to_the_url_and_accepts_its_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment("https://MLflow.example.com/mlflow").items():
        monkeypatch.setenv(name, value)
    hosts, origins = get_allowed_hosts_from_env() or [], get_allowed_origins_from_env()
    for host in (
        "mlflow.example.com",
        "mlflow.example.com:443",
        "127.0.0.1:5000",
        "localhost:1",
        "[::1]:5000",
    ):
        assert is_allowed_host_header(hosts, host), host
    for host in ("evil.example", "mlflow.example.com.evil.example", "mlflow.example.com:8443", "10.0.0.1"):
        assert not is_allowed_host_header(hosts, host), host
    assert not should_block_cors_request("https://mlflow.example.com", "POST", origins)
    for origin in ("http://mlflow.example.com", "https://evil.example", "https://mlflow.example.com:8443"):
        assert should_block_cors_request(origin, "POST", origins), origin


@pytest.mark.parametrize(
    ("url", "origin", "hosts"),
    [
        ("http://a.example", "http://a.example", ("a.example", "a.example:80")),
        ("https://a.example:443/", "https://a.example", ("a.example", "a.example:443")),
        ("https://a.example:8443", "https://a.example:8443", ("a.example", "a.example:8443")),
        ("http://[::1]:5000", "http://[::1]:5000", ("[::1]", "[::1]:5000")),
        ("http://localhost:8888/proxy/5000", "http://localhost:8888", ("localhost", "localhost:8888")),
    ],
)
def test_the_parts_of_a_url_are_as_browsers_write_them(url: str, origin: str, hosts: tuple[str, str]) -> None:
    (found,) = public_urls(url)
    assert (found.origin, found.hosts) == (origin, hosts)


def test_several_urls_are_added_to_what_is_set_by_hand() -> None:
    given = {HOSTS: "mlflow.svc, localhost:*", ORIGINS: "https://other.example"}
    once = environment("https://a.example, http://b.example:81", **given)
    assert once == {
        HOSTS: "mlflow.svc,localhost:*,a.example,a.example:443,b.example,b.example:81",
        ORIGINS: "https://other.example,https://a.example,http://b.example:81",
    }
    assert environment("https://a.example, http://b.example:81", **once) == once


def test_an_asterisk_by_hand_is_kept() -> None:
    assert environment("https://a.example", **{HOSTS: "*", ORIGINS: "*"}) == {HOSTS: "*", ORIGINS: "*"}


@pytest.mark.parametrize("setting", [None, "", " , "])
def test_without_a_url_nothing_changes(setting: str | None) -> None:
    assert environment(setting) == {}
    assert environment(setting, **{HOSTS: "a"}) == {HOSTS: "a"}


@pytest.mark.parametrize(
    "url",
    [
        *("mlflow.example.com", "ftp://a.example", "https://", "https://*", "https://*.example.com"),
        *("https://user@a.example", "https://a.example?x=1", "https://a.example#x", "https://a.example:x"),
        *("https://a.example:99999", "https://[::1", "https://b\u00fccher.example", "https://a b"),
    ],
)
def test_what_is_no_url_of_a_server_stops_the_start(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"WORKSPACE_AUTHZ_PUBLIC_URL has .*write http:// or https://"
    ):
        environment(f"https://fine.example,{url}")
