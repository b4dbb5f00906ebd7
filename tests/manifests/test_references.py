"""What the objects of every overlay say about each other: routes, policies, certificates, hosts, secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.harness import examples
from tests.manifests.flat import OVERLAYS, Object, objects, of_kind, workloads
from tests.manifests.kube import ROOT
from workspace_authz.settings.sign_in_file import read_sign_in

MADE_BY_THE_CLUSTER = {"kube-root-ca.crt", "openshift-service-ca.crt"}
GUARDED = [name for name in OVERLAYS if name != "forward-auth"]
"""Those with MLflow itself."""


def one(name: str, kind: str) -> Mapping[str, Any]:
    """The only object of a kind that is called ``mlflow``."""
    (found,) = [each for each in of_kind(objects(name), kind) if each["metadata"]["name"] == "mlflow"]
    return found


def container(name: str) -> Mapping[str, Any]:
    """MLflow's."""
    (found,) = one(name, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def variables(name: str) -> Mapping[str, str]:
    """What the ConfigMap of an overlay holds."""
    source = container(name)["envFrom"][0]["configMapRef"]["name"]
    maps = {each["metadata"]["name"]: each for each in of_kind(objects(name), "ConfigMap")}
    data: Mapping[str, str] = maps[source]["data"]
    return data


def targets(found: Object) -> Iterator[tuple[str, object]]:
    """The names of Services, and their ports by name or number, that an object sends requests to."""
    spec = found["spec"]
    match found["kind"]:
        case "HTTPRoute":
            for rule in spec["rules"]:
                yield from ((each["name"], each["port"]) for each in rule["backendRefs"])
        case "IngressRoute":
            for rule in spec["routes"]:
                yield from ((each["name"], each["port"]) for each in rule["services"])
        case "VirtualService":
            for rule in spec["http"]:
                for route in rule.get("route", ()):
                    host = route["destination"]["host"].partition(".")[0]
                    yield host, route["destination"]["port"]["number"]
        case "Route":
            yield spec["to"]["name"], spec["port"]["targetPort"]
        case "ServiceMonitor":
            yield from ((found["metadata"]["name"], each["port"]) for each in spec["endpoints"])


def prefixes(found: Object) -> Iterator[str]:
    """The paths at which an object lets requests in."""
    spec = found["spec"]
    if found["kind"] == "HTTPRoute":
        yield from (match["path"]["value"] for rule in spec["rules"] for match in rule["matches"])
    if found["kind"] == "VirtualService":
        yield from (uri for rule in spec["http"] for match in rule["match"] for uri in match["uri"].values())
    if found["kind"] == "IngressRoute":
        below = (re.search("PathPrefix\\(`(.+?)`\\)", rule["match"]) for rule in spec["routes"])
        yield from (each[1] if each else "/" for each in below)
    if found["kind"] == "Route":
        yield spec.get("path", "/")


def hosts(found: Object) -> Iterator[str]:
    """The names by which the outside calls MLflow."""
    spec = found["spec"]
    match found["kind"]:
        case "HTTPRoute":
            yield from spec["hostnames"]
        case "IngressRoute":
            yield from (rule["match"].split("`")[1] for rule in spec["routes"])
        case "Route":
            yield spec["host"]
        case "ConsoleLink":
            yield urlsplit(spec["href"]).netloc


ROUTES = ("HTTPRoute", "IngressRoute", "VirtualService", "Route")


@pytest.mark.parametrize("name", GUARDED)
def test_routes_and_scrapers_find_a_port_of_the_service(name: str) -> None:
    service = one(name, "Service")
    known = {(service["metadata"]["name"], port["name"]) for port in service["spec"]["ports"]}
    known |= {(service["metadata"]["name"], port["port"]) for port in service["spec"]["ports"]}
    for found in of_kind(objects(name), *ROUTES, "ServiceMonitor"):
        assert set(targets(found)) <= known, found["kind"]
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= {
        port["name"] for port in container(name)["ports"]
    }


def test_there_is_a_route_of_each_kind() -> None:
    there = {found["kind"] for name in GUARDED for found in of_kind(objects(name), *ROUTES)}
    assert there == set(ROUTES)


@pytest.mark.parametrize("name", GUARDED)
def test_routes_lead_to_the_path_at_which_mlflow_serves(name: str) -> None:
    arguments = [each for each in container(name)["args"] if each.startswith("--static-prefix=")]
    served = arguments[0].partition("=")[2] if arguments else "/"
    for found in of_kind(objects(name), *ROUTES):
        assert {path.rstrip("/") or "/" for path in prefixes(found)} <= {served}


@pytest.mark.parametrize("name", GUARDED)
def test_every_host_is_that_of_the_public_url(name: str) -> None:
    url = urlsplit(variables(name).get("WORKSPACE_AUTHZ_PUBLIC_URL", ""))
    for found in of_kind(objects(name), *ROUTES, "ConsoleLink"):
        assert set(hosts(found)) <= {url.hostname}


@pytest.mark.parametrize("name", GUARDED)
def test_the_public_url_has_the_prefix_at_which_check_looks_for_the_server(name: str) -> None:
    if given := variables(name).get("WORKSPACE_AUTHZ_PUBLIC_URL", ""):
        prefix = "".join(each for each in container(name)["args"] if each.startswith("--static-prefix="))
        assert urlsplit(given).path == prefix.partition("=")[2]


@pytest.mark.parametrize("name", GUARDED)
def test_either_all_speak_tls_to_the_pod_or_nobody_does(name: str) -> None:
    given = {each["name"] for each in container(name)["env"]}
    tls = "UVICORN_SSL_CERTFILE" in given
    scheme = "HTTPS" if tls else "HTTP"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container(name)[probe]["httpGet"].get("scheme", "HTTP") == scheme
    (port,) = one(name, "Service")["spec"]["ports"]
    assert port["name"] == scheme.lower()
    for monitor in of_kind(objects(name), "ServiceMonitor"):
        assert {each.get("scheme", "http") for each in monitor["spec"]["endpoints"]} == {scheme.lower()}
    for route in of_kind(objects(name), "Route"):
        assert (route["spec"]["tls"]["termination"] == "reencrypt") is tls


@pytest.mark.parametrize("name", GUARDED)
def test_jobs_call_the_server_at_its_service(name: str) -> None:
    """By the scheme, port and path at which it answers there, and with the issuer of its certificate."""
    (port,) = one(name, "Service")["spec"]["ports"]
    prefix = "".join(each for each in container(name)["args"] if each.startswith("--static-prefix="))
    for load in workloads(objects(name)):
        for each in load.containers:
            given = {entry["name"]: entry.get("value", "") for entry in each.get("env", ())}
            if not (uri := given.get("MLFLOW_TRACKING_URI")):
                continue
            url = urlsplit(uri)
            assert (url.scheme, url.port or {"http": 80, "https": 443}[url.scheme]) == (
                port["name"],
                port["port"],
            )
            assert url.hostname in ("mlflow", "mlflow.mlflow.svc")
            assert url.path == prefix.partition("=")[2]
            assert url.scheme == "http" or given["MLFLOW_TRACKING_SERVER_CERT_PATH"]


@pytest.mark.parametrize(
    ("example", "name"),
    [
        ("notebooks/poddefault.yaml", "kubeflow"),
        ("pipelines/job.yaml", "production"),
        ("pipelines/argo-workflow.yaml", "production"),
        ("pod-with-client-plugin.yaml", "production"),
    ],
)
def test_an_example_calls_the_server_where_it_answers_with_a_token_that_it_takes(
    example: str, name: str
) -> None:
    workload = examples.workload(example)
    (port,) = one(name, "Service")["spec"]["ports"]
    prefix = "".join(each for each in container(name)["args"] if each.startswith("--static-prefix="))
    url = urlsplit(workload.environment["MLFLOW_TRACKING_URI"])
    assert (url.scheme, url.netloc) == (port["name"], "mlflow.mlflow.svc")
    assert url.path == prefix.partition("=")[2]
    assert workload.audience(examples.PLUGIN_MOUNT) == variables(name)["WORKSPACE_AUTHZ_AUDIENCES"]


@pytest.mark.parametrize("name", GUARDED)
def test_istios_policies_are_about_the_servers_pods_and_port(name: str) -> None:
    ports = {str(port["containerPort"]) for port in container(name)["ports"]}
    for policy in of_kind(objects(name), "AuthorizationPolicy"):
        wanted = policy["spec"]["selector"]["matchLabels"].items()
        chosen = [str(each) for each in workloads(objects(name)) if wanted <= each.labels.items()]
        assert chosen == ["Deployment mlflow"]
        for rule in policy["spec"]["rules"]:
            for operation in rule.get("to", ()):
                assert set(operation["operation"]["ports"]) <= ports


def needed(found: object) -> Iterator[tuple[str, str]]:
    """The Secrets and ConfigMaps that pods cannot start without: ``("Secret", "mlflow-crypto")``."""
    if isinstance(found, list):
        for each in found:
            yield from needed(each)
    if not isinstance(found, dict) or found.get("optional"):
        return
    for key, value in found.items():
        match key:
            case "secretKeyRef" | "secretRef":
                yield "Secret", value["name"]
            case "configMapKeyRef" | "configMapRef" | "configMap":
                yield "ConfigMap", value["name"]
            case "secret":
                yield "Secret", value.get("secretName") or value["name"]
        yield from needed(value)


def makes_certificate(name: str) -> set[tuple[str, str]]:
    """The Secret that OpenShift makes for a Service."""
    annotation = "service.beta.openshift.io/serving-cert-secret-name"
    annotations = one(name, "Service")["metadata"].get("annotations", {})
    return {("Secret", annotations[annotation])} if annotation in annotations else set()


@pytest.mark.parametrize("name", GUARDED)
def test_the_overlay_says_what_must_be_there_first(name: str) -> None:
    there = {(found["kind"], found["metadata"]["name"]) for found in objects(name)} | makes_certificate(name)
    missing = {each for load in workloads(objects(name)) for each in needed(dict(load.pod))} - there
    said = "".join(_comments(ROOT / "kustomize" / "overlays" / name / "kustomization.yaml"))
    for kind, called in sorted(missing):
        assert called in MADE_BY_THE_CLUSTER or called in said, f"{kind} {called}"


def _comments(file: Path) -> Iterator[str]:
    return (line for line in file.read_text().splitlines(keepends=True) if line.startswith("#"))


def providers(name: str) -> Sequence[Object]:
    """The ConfigMaps of an overlay with a file of the providers at which people sign in."""
    return [each for each in of_kind(objects(name), "ConfigMap") if "sign-in.yaml" in each.get("data", {})]


@pytest.mark.parametrize("name", [name for name in GUARDED if providers(name)])
def test_the_server_understands_the_file_of_providers_and_finds_it_and_its_secret(
    name: str, tmp_path: Path
) -> None:
    (found,) = providers(name)
    file = tmp_path / "sign-in.yaml"
    file.write_text(found["data"]["sign-in.yaml"])
    (provider,) = read_sign_in(str(file), {}).providers
    folder, _, key = str(provider.client.secret_file).rpartition("/")
    given = {each["name"]: each.get("value") for each in container(name)["env"]}
    assert given["WORKSPACE_AUTHZ_SIGN_IN"] == f"{folder}/sign-in.yaml"
    (mount,) = [each["name"] for each in container(name)["volumeMounts"] if each["mountPath"] == folder]
    volumes = one(name, "Deployment")["spec"]["template"]["spec"]["volumes"]
    (sources,) = [each["projected"]["sources"] for each in volumes if each["name"] == mount]
    assert {"configMap": {"name": found["metadata"]["name"]}} in sources
    assert key in [item["path"] for each in sources if "secret" in each for item in each["secret"]["items"]]


def test_the_entry_of_kubeflows_dashboard_leads_to_mlflow() -> None:
    item = json.loads((ROOT / "kustomize" / "components" / "kubeflow" / "menu-item.json").read_text())
    assert f"--static-prefix={item['link'].rstrip('/')}" in container("kubeflow")["args"]
    assert item.keys() == {"type", "link", "text", "icon"}
