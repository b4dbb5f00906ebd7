"""What MLflow gets to see of a request's headers."""

from __future__ import annotations

import base64

import pytest

from workspace_authz.effects.headers import _HARMLESS, HeaderSanitizer
from workspace_authz.kubernetes.credentials import BearerToken

Header = tuple[bytes, bytes]
KEPT: list[Header] = [
    (b"host", b"mlflow"),
    (b"content-type", b"application/json"),
    (b"x-mlflow-experiment-id", b"1"),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"x-forwarded-proto", b"https"),
]


def forwarded(
    *headers: Header,
    workspace: str | None = "team-a",
    keep_authorization: bool = False,
    gateway: bool = False,
) -> list[Header]:
    sanitizer = HeaderSanitizer(workspace=workspace, gateway=gateway, keeps_authorization=keep_authorization)
    return sanitizer.applied(headers)


def test_what_is_nobodys_credential_is_kept_in_order() -> None:
    assert forwarded(*KEPT) == [*KEPT, (b"x-mlflow-workspace", b"team-a")]


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "x-forwarded-access-token",
        "x-mlflow-authorization",
        "x-mlflow-workspace",
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-id-token",
        "x-auth-request-user",
        "x-auth-request-access-token",
        "x-remote-user",
        "x-remote-group",
        "x-remote-groups",
        "x-proxy-secret",
        "x-proxy-token",
        "x-remote-extra-scopes",
        "remote-user",
        "kubeflow-userid",
        "kubeflow-groups",
        "impersonate-user",
        "impersonate-group",
        "impersonate-extra-scopes",
        "proxy-authorization",
    ],
)
@pytest.mark.parametrize("spelling", ["{}", "underscores"])
def test_a_credential_or_a_claim_about_the_caller_is_dropped_however_it_is_spelt(
    name: str, spelling: str
) -> None:
    """WSGI turns ``x_forwarded_user`` and ``x-forwarded-user`` into the same variable."""
    spelt = name.replace("-", "_") if spelling == "underscores" else name
    assert forwarded((spelt.encode(), b"secret"), workspace=None) == []


@pytest.mark.parametrize("given", [(), ((b"x-mlflow-workspace", b"team-b"),) * 2])
def test_the_checked_workspace_is_the_only_one(given: tuple[Header, ...]) -> None:
    assert forwarded(*given) == [(b"x-mlflow-workspace", b"team-a")]


def test_without_a_workspace_none_is_sent() -> None:
    assert forwarded((b"x-mlflow-workspace", b"team-b"), workspace=None) == []


def test_the_providers_authorization_is_kept_where_it_was_not_ours() -> None:
    provider = (b"authorization", b"Bearer provider-key")
    ours = (b"x-mlflow-authorization", b"Bearer caller")
    assert forwarded(provider, ours, workspace=None, keep_authorization=True, gateway=True) == [provider]


def test_cookies_reach_the_user_interface_but_not_the_gateways_providers() -> None:
    cookie = (b"cookie", b"theme=dark")
    assert forwarded(cookie, workspace=None) == [cookie]
    assert forwarded(cookie, workspace=None, gateway=True) == []


@pytest.mark.parametrize("gateway", [False, True])
@pytest.mark.parametrize("name", [b"x-mlflow-guardrail-bypass", b"x_mlflow_guardrail_bypass"])
def test_nobody_switches_guardrails_off(name: bytes, gateway: bool) -> None:
    assert forwarded((name, b"1"), workspace=None, gateway=gateway) == []


@pytest.mark.parametrize(
    "name",
    [
        *("x-forwarded-for", "x-forwarded-client-cert", "forwarded", "x-real-ip", "x-auth-request-anything"),
        *("x-amzn-oidc-identity", "x-ms-client-principal-name", "x-goog-authenticated-user-email"),
        *(
            "cf-access-authenticated-user-email",
            "x-authentik-username",
            "remote-groups",
            "x-envoy-peer-metadata",
        ),
        *("x_forwarded_for", "ssl_client_s_dn", "x-user-id", "x-csrf-token"),
    ],
)
def test_no_provider_hears_what_proxies_say_of_a_caller(name: str) -> None:
    said = (name.encode(), b"alice")
    assert forwarded(said, workspace=None, gateway=True) == []
    assert forwarded((b"user-agent", b"x"), (b"anthropic-beta", b"y"), workspace=None, gateway=True) == [
        (b"user-agent", b"x"),
        (b"anthropic-beta", b"y"),
    ]


def test_the_token_goes_wherever_it_stands() -> None:
    basic = base64.b64encode(b"alice:the-token")
    headers = [
        (b"x-api-key", b"the-token"),
        (b"x-anything", b"prefix the-token suffix"),
        (b"authorization", b"Bearer the-token"),
        (b"authorization", b"Basic " + basic),
        (b"authorization", b"Bearer another"),
        (b"authorization", b"Bearer"),
    ]
    sanitizer = HeaderSanitizer(credential=BearerToken("the-token"), gateway=True, keeps_authorization=True)
    assert sanitizer.applied(headers) == headers[4:]
    assert "the-token" not in repr(sanitizer)


@pytest.mark.parametrize("gateway", [False, True])
def test_mlflows_calls_to_itself_skip_guardrails_where_it_says_so(gateway: bool) -> None:
    """Only by what the server adds: what was sent goes first."""
    sanitizer = HeaderSanitizer(gateway=gateway, skips_guardrails=True)
    assert sanitizer.applied([(b"x-mlflow-guardrail-bypass", b"0")]) == [
        (b"x-mlflow-guardrail-bypass", b"1"),
        (b"X-MLflow-Guardrail-Bypass", b"1"),
    ]


@pytest.mark.parametrize("name", sorted(_HARMLESS))
@pytest.mark.parametrize("gateway", [False, True])
def test_the_shortcut_for_usual_headers_lets_nothing_through_that_a_rule_would_drop(
    name: bytes, gateway: bool
) -> None:
    assert not HeaderSanitizer(gateway=gateway)._drops(name)


@pytest.mark.parametrize("name", [b"x-corp-user", b"x_corp_user", b"x-corp_user"])
@pytest.mark.parametrize("gateway", [False, True])
def test_configured_identity_headers_are_dropped_however_they_are_spelt(name: bytes, gateway: bool) -> None:
    sanitizer = HeaderSanitizer(gateway=gateway, identity=frozenset({b"x-corp-user", b"x-corp-proof"}))
    assert sanitizer.applied([(name, b"alice"), (b"x-corp-proof", b"secret"), (b"x-corp", b"1")]) == [
        (b"x-corp", b"1")
    ]
