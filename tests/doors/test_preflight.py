"""What the guarded server does to MLflow's environment before MLflow reads it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import click
import pytest
import uvicorn
from uvicorn.lifespan.on import LifespanOn

from tests.cli.kubeconfigs import kubeconfig
from tests.cli.servers import scripted
from tests.doors.test_app import GOOD
from workspace_authz.aio.asgi import Receive, Scope, Send
from workspace_authz.doors.lifespan import OwnAddressesMiddleware
from workspace_authz.doors.preflight import (
    advertise_authentication,
    bound_calls,
    check,
    check_cluster,
    check_proxies,
    choose_http_parser,
    switch_off_caches,
)
from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.options import from_parent
from workspace_authz.settings.settings import BOUNDED_CALLS, SHARED_CACHES, load_settings


@pytest.mark.parametrize("value", [None, "0", " 0 "])
def test_caches_that_forget_the_workspace_are_off(value: str | None) -> None:
    given = {} if value is None else dict.fromkeys(SHARED_CACHES, value)
    switch_off_caches(given)
    assert {variable: given[variable].strip() for variable in SHARED_CACHES} == dict.fromkeys(
        SHARED_CACHES, "0"
    )


@pytest.mark.parametrize("variable", SHARED_CACHES)
@pytest.mark.parametrize("value", ["60", "1", "-1", "0.5", "", "off"])
def test_another_value_stops_the_start(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{variable} must be 0.*Unset it"):
        switch_off_caches({variable: value})


@pytest.mark.parametrize("given", [{}, {"UVICORN_HTTP": ""}, {"UVICORN_HTTP": "h11"}])
def test_h11_is_the_default_and_costs_no_word(
    given: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    choose_http_parser(GOOD, given)
    assert given == {"UVICORN_HTTP": "h11"}
    assert caplog.records == []


@pytest.mark.parametrize(
    ("option", "variable", "chosen"),
    [
        ("httptools", "h11", "httptools"),
        (None, "httptools", "httptools"),
        ("auto", "h11", "httptools"),
        (None, "own.module:Protocol", "own.module:Protocol"),
    ],
)
def test_another_parser_is_taken_on_purpose_and_warned_about_once(
    option: str | None, variable: str, chosen: str, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"UVICORN_HTTP": variable}
    choose_http_parser(replace(GOOD, http=option), given)
    assert given == {"UVICORN_HTTP": variable}
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"reads requests with {chosen}: " in record.getMessage()


def test_the_command_line_beats_the_variable(caplog: pytest.LogCaptureFixture) -> None:
    choose_http_parser(replace(GOOD, http="h11"), {"UVICORN_HTTP": "httptools"})
    assert caplog.records == []


def test_auto_is_h11_where_there_is_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    choose_http_parser(replace(GOOD, http="auto"), {})
    assert caplog.records == []


def test_calls_to_other_servers_are_bounded_unless_the_operator_says_otherwise() -> None:
    given = {"MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "17"}
    bound_calls(given)
    assert given == {**BOUNDED_CALLS, "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "17"}
    assert given["MLFLOW_MODEL_CATALOG_URI"] == ""


@pytest.mark.parametrize(("workspaces", "provider"), [(True, "kubernetes-namespaced"), (False, "kubernetes")])
def test_clients_are_told_how_to_authenticate(workspaces: bool, provider: str) -> None:
    given: dict[str, str] = {}
    advertise_authentication(replace(GOOD, workspaces=workspaces), given)
    assert given == {"MLFLOW_SERVER_INFO_TRACKING_AUTH": provider}
    operators = {"MLFLOW_SERVER_INFO_TRACKING_AUTH": "our-own"}
    advertise_authentication(GOOD, operators)
    assert operators == {"MLFLOW_SERVER_INFO_TRACKING_AUTH": "our-own"}


@pytest.mark.parametrize(
    "root",
    [
        *("mlflow-artifacts:/workspaces", "mlflow-artifacts:/workspaces/x", "mlflow-artifacts:/a/../b"),
        *("mlflow-artifacts:/a//b", "mlflow-artifacts:/%2e%2e/b", "mlflow-artifacts:/a?b"),
    ],
)
def test_a_root_whose_artifacts_nobody_could_reach_stops_the_start(root: str) -> None:
    with pytest.raises(ConfigurationError, match="--default-artifact-root"):
        check(replace(GOOD, artifact_root=root), load_settings(), environ={})


@pytest.mark.parametrize(
    "root",
    [
        None,
        *("mlflow-artifacts:/", "mlflow-artifacts:/prod/mlflow", "mlflow-artifacts://host:5000/a/"),
        *("s3://bucket/a b", "./mlruns", "/data/a b", "http://host/api/2.0/mlflow-artifacts/artifacts"),
    ],
)
def test_any_other_root_does_not(root: str | None) -> None:
    check(replace(GOOD, artifact_root=root), load_settings(), environ={})


@pytest.mark.parametrize("answer", [None, (503, {}), (403, {})])
async def test_an_api_server_without_an_answer_does_not_stop_a_server_with_audiences(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: tuple[int, object] | None
) -> None:
    """Its readiness tells of it, as in any other outage."""
    path = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    with scripted({} if answer is None else {path: answer}) as server:
        url = server.url if answer else "http://127.0.0.1:9"
        file = kubeconfig(tmp_path / "kubeconfig", cluster={"server": url}, user={"token": "t"})
        await check_cluster(load_settings(kubeconfig=str(file), audiences="mlflow"))
    assert "could not be checked" in caplog.text


@pytest.mark.parametrize(
    ("option", "variable", "stops"),
    [
        (None, None, True),
        (None, "true", True),
        (None, "nonsense", True),
        (True, None, True),
        (True, "false", True),
        (False, None, False),
        (False, "true", False),
        (None, "false", False),
        (None, " 0 ", False),
    ],
)
def test_addresses_count_only_where_they_are_the_peers_own(
    option: bool | None, variable: str | None, stops: bool
) -> None:
    """As uvicorn takes the option and its variable; the command line stands before it."""
    environ = {} if variable is None else {"UVICORN_PROXY_HEADERS": variable}
    settings, options = load_settings(proxy_addresses="10.0.0.1"), replace(GOOD, proxy_headers=option)
    with pytest.raises(ConfigurationError, match="--no-proxy-headers") if stops else nullcontext():
        check_proxies(options, settings, environ=environ)
    check_proxies(options, load_settings(), environ=environ)


def test_a_proxys_secret_must_be_there(tmp_path: Path) -> None:
    settings = load_settings(proxy_secret_file=str(tmp_path / "secret"))
    with pytest.raises(ConfigurationError, match="PROXY_SECRET_FILE cannot be read"):
        check_proxies(GOOD, settings, environ={})
    (tmp_path / "secret").write_text("s" * 32)
    check_proxies(GOOD, settings, environ={})


@pytest.mark.parametrize(
    ("given", "proxy_headers"),
    [
        (None, None),
        ("--workers 2", None),
        ("--no-proxy-headers", False),
        ("--proxy-headers --log-level info --no-proxy-headers", False),
        ("--no-proxy-headers --proxy-headers", True),
    ],
)
def test_the_option_is_read_as_uvicorn_reads_it(given: str | None, proxy_headers: bool | None) -> None:
    parameters = {"gunicorn_opts": None, "uvicorn_opts": given}
    context = click.Context(click.Command("server"))
    context.params = parameters
    with context:
        options = from_parent()
    assert options is not None
    assert options.proxy_headers == proxy_headers


@pytest.mark.parametrize("proxy_headers", [True, False])
async def test_a_worker_of_another_start_says_the_same(proxy_headers: bool) -> None:
    """Given uvicorn without the parent's check, then its worker does not start either."""
    started: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.append(scope["type"])
        await receive()
        await send({"type": "lifespan.startup.complete"})

    config = uvicorn.Config(OwnAddressesMiddleware(app), proxy_headers=proxy_headers, log_config=None)
    config.load()
    lifespan = LifespanOn(config)
    await lifespan.startup()
    assert (lifespan.should_exit, started) == ((True, []) if proxy_headers else (False, ["lifespan"]))


def test_buckets_of_namespaces_need_workspaces() -> None:
    settings = load_settings(artifact_buckets="data")
    with pytest.raises(ConfigurationError, match="WORKSPACE_AUTHZ_ARTIFACT_BUCKETS is for workspaces"):
        check(replace(GOOD, workspaces=False), settings, environ={})


def test_no_model_source_is_shared_from_a_bucket_of_namespaces() -> None:
    settings = load_settings(artifact_buckets="other,data=team-a", model_sources="s3://data/models")
    with pytest.raises(ConfigurationError, match=r"s3://data/models overlaps s3://data, "):
        check(GOOD, settings, environ={})
    check(GOOD, load_settings(artifact_buckets="data", model_sources="s3://shared"), environ={})
