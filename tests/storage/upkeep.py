"""The components' CronJobs, run as they are written: command and variables come from the YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import yaml

from tests.harness.forked import Ended, own_command
from tests.harness.plane import RBAC, Plane
from tests.harness.processes import ROOT, clean_environment
from tests.storage.stand import Stand
from workspace_authz.devplane.kubeconfig import write_private

COMPONENTS: Final = ROOT / "kustomize" / "components"
NAMESPACE: Final = "mlflow"


def migration_command() -> Sequence[str]:
    """The command of the Job that migrates a database, without the program."""
    job = yaml.safe_load((COMPONENTS / "postgres" / "migration.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    command: Sequence[str] = container["command"]
    program, *arguments = command
    assert program == "workspace-authz"
    return arguments


@dataclass(frozen=True, slots=True)
class CronJob:
    """A component's CronJob, and the stand whose job it does."""

    stand: Stand
    component: str

    def grant(self, *, without: tuple[str, str] | None = None) -> None:
        """Apply the component's RBAC, but for one verb on one resource. Returns once the API acts on it."""
        for each in self._documents("account.yaml"):
            plural = {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"}
            if each["kind"] not in plural:
                continue
            if without is not None and "rules" in each:
                each["rules"] = list(_without(each["rules"], verb=without[0], resource=without[1]))
            path = f"{RBAC}/{plural[each['kind']]}"
            self._plane.ask("DELETE", f"{path}/{each['metadata']['name']}")
            self._plane.make(path, each)
        (role,) = (each for each in self._documents("account.yaml") if each["kind"] == "ClusterRole")
        token = self._token()
        for rule in role["rules"]:
            for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"]):
                allowed = (verb, resource) != without
                self._plane.wait_for_access(
                    token, "", verb=verb, resource=resource, group=group, allowed=allowed
                )

    def run(self, home: Path, *, files: Mapping[str, str] | None = None, more: Sequence[str] = ()) -> Ended:
        """The container's command, with ``more`` arguments; ``files`` are what paths mean on this machine."""
        home.mkdir(parents=True, exist_ok=True)
        program, *arguments = self.container["command"]
        assert program == "workspace-authz"
        return own_command(
            [*arguments, *more],
            environment={
                **clean_environment(),
                **self.stand.s3.environment,
                **self._variables(home, files or {}),
            },
            directory=home,
        )

    @property
    def container(self) -> dict[str, Any]:
        """The only one."""
        (cronjob,) = self._documents("cronjob.yaml")
        (container,) = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        found: dict[str, Any] = container
        return found

    @property
    def account(self) -> str:
        """The name of its service account."""
        return next(
            str(each["metadata"]["name"])
            for each in self._documents("account.yaml")
            if each["kind"] == "ServiceAccount"
        )

    @property
    def _plane(self) -> Plane:
        return self.stand.cluster.plane

    def _documents(self, file: str) -> list[dict[str, Any]]:
        return list(yaml.safe_load_all((COMPONENTS / self.component / file).read_text()))

    def _variables(self, home: Path, files: Mapping[str, str]) -> dict[str, str]:
        given = {each["name"]: each.get("value") for each in self.container["env"]}
        assert given.pop("MLFLOW_BACKEND_STORE_URI") is None, "it is the Secret's"
        variables = {name: files.get(str(value), str(value)) for name, value in given.items()}
        if "MLFLOW_TRACKING_URI" in variables:
            variables["MLFLOW_TRACKING_URI"] = self.stand.url
        kubeconfig = home / "kubeconfig"
        write_private(kubeconfig, yaml.safe_dump(self._kubeconfig()))
        return {
            **variables,
            "MLFLOW_BACKEND_STORE_URI": self.stand.database,
            "KUBECONFIG": str(kubeconfig),
            "HOME": str(home),
        }

    def _token(self) -> str:
        """One of its account's, which is made where it is not there."""
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{self.account}"
        if self._plane.ask("GET", account).status == 404:
            self._plane.service_account(NAMESPACE, self.account)
        return self._plane.account_token(NAMESPACE, self.account)

    def _kubeconfig(self) -> Any:
        config = yaml.safe_load(self._plane.server_kubeconfig.read_text())
        config["users"][0]["user"] = {"token": self._token()}
        return config


def _without(rules: Sequence[dict[str, Any]], *, verb: str, resource: str) -> Iterator[dict[str, Any]]:
    for rule in rules:
        left = [each for each in rule["verbs"] if each != verb or resource not in rule["resources"]]
        if left:
            yield {**rule, "verbs": left}
