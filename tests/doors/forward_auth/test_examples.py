"""The shipped configurations keep every credential from MLflow, and Istio's says what Envoy's says."""

from __future__ import annotations

import re
from typing import Any

import pytest
import uvicorn
import yaml

from tests.harness.forward_auth import EXAMPLES
from workspace_authz.doors.forward_auth.answers import GROUPS, STRIPPED, USER
from workspace_authz.workspaces.requested import WORKSPACE_HEADER

NAMES = STRIPPED | {WORKSPACE_HEADER, USER, GROUPS}


def envoys() -> Any:
    """The filter of ext_authz."""
    document = yaml.safe_load((EXAMPLES / "envoy.yaml").read_text())
    (chain,) = document["static_resources"]["listeners"][0]["filter_chains"]
    filters = chain["filters"][0]["typed_config"]["http_filters"]
    return filters[0]["typed_config"]


def istios() -> Any:
    """The extension provider."""
    mesh, *_ = yaml.safe_load_all((EXAMPLES / "istio.yaml").read_text())
    (provider,) = yaml.safe_load(mesh["data"]["mesh"])["extensionProviders"]
    return provider["envoyExtAuthzHttp"]


def test_nginx_sets_each_header_that_mlflow_must_not_get() -> None:
    location = (EXAMPLES / "nginx.conf").read_text().split("location / {")[1]
    given = re.findall(r'proxy_set_header (\S+) (?:""|\$authz_\w+);', location)
    assert {name.lower().encode() for name in given} - {b"connection"} == NAMES


def test_traefik_takes_each_of_them_from_the_answer() -> None:
    document = yaml.safe_load((EXAMPLES / "traefik.yaml").read_text())
    middlewares = document["http"]["middlewares"].values()
    for each in [each["forwardAuth"] for each in middlewares if "forwardAuth" in each]:
        assert {name.lower().encode() for name in each["authResponseHeaders"]} == NAMES
        assert each["trustForwardHeader"] is False


UVICORN_SECONDS = uvicorn.Config("app").timeout_keep_alive
"""For so long MLflow keeps an idle connection."""


def test_nginx_keeps_connections_to_mlflow_for_less_than_mlflow_does() -> None:
    upstream = (EXAMPLES / "nginx.conf").read_text().split("upstream mlflow {")[1].split("}")[0]
    (seconds,) = re.findall(r"keepalive_timeout (\d+)s;", upstream)
    assert int(seconds) < UVICORN_SECONDS


def test_envoy_keeps_connections_to_mlflow_for_less_than_mlflow_does() -> None:
    document = yaml.safe_load((EXAMPLES / "envoy.yaml").read_text())
    (mlflow,) = [each for each in document["static_resources"]["clusters"] if each["name"] == "mlflow"]
    (options,) = mlflow["typed_extension_protocol_options"].values()
    assert int(options["common_http_protocol_options"]["idle_timeout"].removesuffix("s")) < UVICORN_SECONDS


def test_traefik_keeps_connections_to_mlflow_for_less_than_mlflow_does() -> None:
    document = yaml.safe_load((EXAMPLES / "traefik.yaml").read_text())["http"]
    transport = document["serversTransports"][
        document["services"]["mlflow"]["loadBalancer"]["serversTransport"]
    ]
    assert int(transport["forwardingTimeouts"]["idleConnTimeout"].removesuffix("s")) < UVICORN_SECONDS


@pytest.mark.parametrize("file", sorted(path.name for path in EXAMPLES.iterdir()))
def test_no_example_is_unproven(file: str) -> None:
    """Given a file among the examples, then a test runs it, or holds it against one that is run."""
    assert file in ("nginx.conf", "envoy.yaml", "traefik.yaml", "istio.yaml")


def test_istio_says_what_envoy_says() -> None:
    envoy, istio = envoys(), istios()
    service, body = envoy["http_service"], envoy["with_request_body"]
    patterns = envoy["allowed_headers"]["patterns"]
    assert istio["includeRequestHeadersInCheck"] == [
        each.get("exact") or f"{each['prefix']}*" for each in patterns
    ]
    upstream = service["authorization_response"]["allowed_upstream_headers"]["patterns"]
    assert istio["headersToUpstreamOnAllow"] == [each["exact"] for each in upstream]
    (secret,) = service["authorization_request"]["headers_to_add"]
    assert istio["includeAdditionalHeadersInCheck"] == {secret["key"]: secret["value"]}
    assert (istio["pathPrefix"], istio["timeout"]) == (
        service["path_prefix"],
        service["server_uri"]["timeout"],
    )
    assert istio["includeRequestBodyInCheck"] == {
        "maxRequestBytes": body["max_request_bytes"],
        "allowPartialMessage": body["allow_partial_message"],
        "packAsBytes": body["pack_as_bytes"],
    }
    assert istio["failOpen"] is envoy["failure_mode_allow"] is False
