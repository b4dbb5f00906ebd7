"""What the objects of an overlay say about each other, and how its pods are hardened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.manifests.flat import (
    KEPT,
    OVERLAYS,
    Object,
    Workload,
    mounted,
    objects,
    of_kind,
    workloads,
)

SECRETS = frozenset(
    {
        "mlflow-crypto",
        "mlflow-database",
        "mlflow-s3",
        "mlflow-sessions",
        "mlflow-proxy",
        "mlflow-forward-auth",
    }
)
"""The Secrets that people make."""
MADE_BY_CONTROLLERS = frozenset({("Secret", "mlflow-tls"), ("ConfigMap", "openshift-service-ca.crt")})
"""By OpenShift's service CA or by cert-manager."""
MIGRATION = "mlflow-migration"
"""Not there where SQLite is, which has no Job; its policy is."""
LONG_RUNNING = "Deployment"

overlays = pytest.mark.parametrize("overlay", OVERLAYS)


def chosen(selector: Mapping[str, Any], overlay: str) -> list[Workload]:
    """The workloads whose pods a selector selects."""
    wanted = selector.get("matchLabels", selector).items()
    return [each for each in workloads(objects(overlay)) if wanted <= each.labels.items()]


def ports(each: Workload) -> set[str]:
    return {port["name"] for container in each.pod["containers"] for port in container.get("ports", ())}


def named(overlay: str, kind: str) -> set[str]:
    kept = [found for name in KEPT for found in objects(name)]
    return {found["metadata"]["name"] for found in of_kind([*objects(overlay), *kept], kind)}


@overlays
def test_a_service_leads_to_one_deployment_and_to_no_job(overlay: str) -> None:
    for service in of_kind(objects(overlay), "Service"):
        found = chosen(service["spec"]["selector"], overlay)
        assert [each.kind for each in found] == [LONG_RUNNING], service["metadata"]["name"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports(found[0])


@overlays
def test_a_deployment_selects_its_own_pods_only(overlay: str) -> None:
    for deployment in of_kind(objects(overlay), LONG_RUNNING):
        found = [str(each) for each in chosen(deployment["spec"]["selector"], overlay)]
        assert found == [f"Deployment {deployment['metadata']['name']}"]


@overlays
def test_policies_and_budgets_select_pods_and_name_their_ports(overlay: str) -> None:
    for found in of_kind(objects(overlay), "NetworkPolicy"):
        pods = chosen(found["spec"]["podSelector"], overlay)
        assert pods or found["metadata"]["name"] == MIGRATION, found["metadata"]["name"]
        rules = [port["port"] for rule in found["spec"].get("ingress", ()) for port in rule.get("ports", ())]
        for port in (each for each in rules if isinstance(each, str)):
            assert port in {name for each in pods for name in ports(each)}
    for found in of_kind(objects(overlay), "PodDisruptionBudget"):
        assert [each.kind for each in chosen(found["spec"]["selector"], overlay)] == [LONG_RUNNING]


@overlays
def test_where_one_network_policy_is_there_every_pod_has_one(overlay: str) -> None:
    policies = of_kind(objects(overlay), "NetworkPolicy")
    covered = {str(each) for policy in policies for each in chosen(policy["spec"]["podSelector"], overlay)}
    assert covered in (set(), {str(each) for each in workloads(objects(overlay))})


@overlays
def test_an_autoscaler_scales_a_deployment_that_leaves_the_number_to_it(overlay: str) -> None:
    for scaler in of_kind(objects(overlay), "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        (deployment,) = [
            each
            for each in of_kind(objects(overlay), target["kind"])
            if each["metadata"]["name"] == target["name"]
        ]
        assert "replicas" not in deployment["spec"]
        assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"


@overlays
def test_a_service_monitor_finds_the_port_of_a_service(overlay: str) -> None:
    for monitor in of_kind(objects(overlay), "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        services = of_kind(objects(overlay), "Service")
        (service,) = [each for each in services if wanted <= each["metadata"]["labels"].items()]
        for endpoint in monitor["spec"]["endpoints"]:
            assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
            assert endpoint["authorization"]["credentials"]["key"] == "token", "metrics take a right"


def configured(each: Workload) -> Iterator[tuple[str, str]]:
    """The kind and name of everything that its pods take their configuration and data from."""
    for container in each.containers:
        sources = [*container.get("envFrom", ())]
        sources += [entry.get("valueFrom", {}) for entry in container.get("env", ())]
        for source in sources:
            for key, kind in (
                ("configMapRef", "ConfigMap"),
                ("configMapKeyRef", "ConfigMap"),
                ("secretRef", "Secret"),
                ("secretKeyRef", "Secret"),
            ):
                if key in source:
                    yield kind, source[key]["name"]
    for volume in each.pod.get("volumes", ()):
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]


@overlays
def test_what_pods_take_is_in_the_overlay_or_kept_or_a_secret_that_people_make(overlay: str) -> None:
    made = {("Secret", name) for name in SECRETS} | MADE_BY_CONTROLLERS
    for each in workloads(objects(overlay)):
        for kind, name in configured(each):
            assert (kind, name) in made or name in named(overlay, kind), f"{each}: {kind} {name}"


@overlays
def test_accounts_and_roles_that_are_named_are_there(overlay: str) -> None:
    accounts, roles = named(overlay, "ServiceAccount"), named(overlay, "ClusterRole") | named(overlay, "Role")
    for each in workloads(objects(overlay)):
        assert each.pod.get("serviceAccountName", "default") in accounts | {"default"}, each
    for binding in of_kind(objects(overlay), "ClusterRoleBinding", "RoleBinding"):
        assert binding["roleRef"]["name"] in roles, binding["metadata"]["name"]
        ours = [each for each in binding["subjects"] if each.get("namespace") == "mlflow"]
        assert {each["name"] for each in ours} <= accounts, binding["metadata"]["name"]


@overlays
def test_a_pod_has_no_token_but_one_that_ends_within_the_hour(overlay: str) -> None:
    for account in of_kind(objects(overlay), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False, account["metadata"]["name"]
    for each in workloads(objects(overlay)):
        assert each.pod["automountServiceAccountToken"] is False, each
        for token in mounted(each.pod, source="serviceAccountToken"):
            assert token["expirationSeconds"] <= 3600, each


@overlays
def test_a_container_can_neither_write_its_image_nor_gain_rights_and_says_what_it_needs(overlay: str) -> None:
    for each in workloads(objects(overlay)):
        assert each.pod["securityContext"]["runAsNonRoot"] is True, each
        assert each.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, each
        for container in each.containers:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, each
            assert security["allowPrivilegeEscalation"] is False, each
            assert security["capabilities"] == {"drop": ["ALL"]}, each
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), each
            assert "memory" in container["resources"]["limits"], each


@overlays
def test_a_server_is_probed_and_finishes_what_it_has_begun(overlay: str) -> None:
    for each in workloads(objects(overlay)):
        if each.kind != LONG_RUNNING:
            continue
        container = each.pod["containers"][0]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), each
        (_, pause) = container["lifecycle"]["preStop"]["exec"]["command"]
        waits = variables(container).get("UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", "0")
        assert int(pause) + int(waits) < each.pod.get("terminationGracePeriodSeconds", 30), each


def variables(container: Object) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container.get("env", ())}


@overlays
def test_no_server_starts_without_the_passphrase(overlay: str) -> None:
    """MLflow falls back to one that everybody knows, and what it encrypted stays readable with it."""
    for each in workloads(objects(overlay)):
        for container in each.containers:
            if "--app-name=workspace-authz" not in container.get("args", ()):
                continue
            (found,) = [
                entry for entry in container["env"] if entry["name"] == "MLFLOW_CRYPTO_KEK_PASSPHRASE"
            ]
            assert found["valueFrom"]["secretKeyRef"] == {"name": "mlflow-crypto", "key": "passphrase"}


@overlays
def test_labels_say_what_belongs_together(overlay: str) -> None:
    """By the label everything but the ClusterRoles, which outlive nobody's view of them, can be listed."""
    for found in objects(overlay):
        labels = found["metadata"].get("labels", {})
        if found["kind"] not in {"ClusterRole", "ConfigMap"}:
            assert labels.get("app.kubernetes.io/part-of") == "mlflow", found["metadata"]["name"]
