"""Which proxy is used: the cases of Go's golang.org/x/net/http/httpproxy, which client-go uses."""

from __future__ import annotations

import pytest

from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.proxies import proxy_for

PROXY = "http://proxy.example.com:3128"


def proxy(url: str, *, no_proxy: str = "", **environ: str) -> str | None:
    return proxy_for(url, configured=None, environ={"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy, **environ})


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://10.96.0.1:443", "10.96.0.0/12"),
        ("https://10.96.0.1:443", "10.96.0.1/12"),
        ("https://10.96.0.1:443", "localhost, .svc,\t10.0.0.0/8"),
        ("https://[fd00::1]:6443", "fd00::/8"),
        ("https://[::ffff:10.0.0.1]:6443", "10.0.0.0/8"),
        ("https://10.96.0.1:443", "10.96.0.1"),
        ("https://[fd00::1]:6443", "fd00::1"),
        ("https://[fd00::1]:6443", "[fd00::1]"),
        ("https://10.96.0.1:6443", "10.96.0.1:6443"),
        ("https://10.96.0.1", "10.96.0.1:443"),
        ("https://[fd00::1]:6443", "[fd00::1]:6443"),
        ("https://api.example.com", "api.example.com"),
        ("https://api.example.com", "API.Example.com"),
        ("https://API.example.com", "example.com"),
        ("https://api.example.com", ".example.com"),
        ("https://api.example.com", "*.example.com"),
        ("https://api.example.com:6443", "example.com:6443"),
        ("https://10.96.0.1", "0.1"),
        ("https://api.example.com", "*"),
        ("https://10.96.0.1", "other.example.com,*"),
        ("https://localhost:6443", ""),
        ("https://127.0.0.1:6443", ""),
        ("https://127.1.2.3:6443", ""),
        ("https://[::1]:6443", ""),
    ],
)
def test_no_proxy_is_used_for(url: str, no_proxy: str) -> None:
    assert proxy(url, no_proxy=no_proxy) is None


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://10.96.0.1", ""),
        ("https://10.96.0.1", "10.97.0.0/16"),
        ("https://10.96.0.1", "10.96.0.0/33"),
        ("https://10.96.0.1", "fd00::/8"),
        ("https://10.96.0.1:6443", "10.96.0.1:443"),
        ("https://10.96.0.11", "10.96.0.1"),
        ("https://example.com", ".example.com"),
        ("https://example.com", "*.example.com"),
        ("https://badexample.com", "example.com"),
        ("https://api.example.com:6443", "example.com:443"),
        ("https://api.example.com", "api.example.co"),
        ("https://api.example.com", "10.0.0.0/8"),
        ("https://api.example.com", ",:443, ,"),
        ("https://localhost.example.com", ""),
    ],
)
def test_the_proxy_is_used_for(url: str, no_proxy: str) -> None:
    assert proxy(url, no_proxy=no_proxy) == PROXY


def test_lower_case_variables_count_too() -> None:
    environ = {"https_proxy": PROXY, "no_proxy": "10.0.0.0/8"}
    assert proxy_for("https://api.example.com", configured=None, environ=environ) == PROXY
    assert proxy_for("https://10.0.0.1", configured=None, environ=environ) is None


def test_an_http_url_has_a_variable_of_its_own() -> None:
    assert proxy("http://api.example.com") is None
    assert proxy("http://api.example.com", HTTP_PROXY="http://other:1") == "http://other:1"


def test_a_variable_without_a_scheme_is_http_as_in_go() -> None:
    assert proxy("https://api.example.com", HTTPS_PROXY="proxy:3128") == "http://proxy:3128"


def test_a_kubeconfigs_proxy_counts_always() -> None:
    environ = {"HTTPS_PROXY": "http://other:1", "NO_PROXY": "*"}
    assert proxy_for("https://10.0.0.1", configured=PROXY, environ=environ) == PROXY


@pytest.mark.parametrize(
    "value",
    [
        "socks5://u:hidden@proxy:1080",
        "ftp://proxy",
        "http://",
        "http://proxy:hidden",
        "http://[hidden",
        "http://p:0",
    ],
)
def test_a_proxy_that_cannot_work_is_one_sentence_without_its_password(value: str) -> None:
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY cannot be used: a proxy") as error:
        proxy("https://api.example.com", HTTPS_PROXY=value)
    assert "hidden" not in str(error.value)
    with pytest.raises(ConfigurationError, match="proxy-url cannot be used: a proxy"):
        proxy_for("https://api.example.com", configured=value, environ={})


def test_a_kubeconfigs_proxy_needs_a_scheme() -> None:
    with pytest.raises(ConfigurationError, match="proxy-url"):
        proxy_for("https://api.example.com", configured="proxy.example.com:3128", environ={})
