"""Real kubectl against the embedded engine: `$KUBECTL`, or what `make kube` built, or from `PATH`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.devplane.embedded.conftest import USERS
from tests.devplane.real import require_binaries
from workspace_authz.devplane import assets
from workspace_authz.devplane.embedded import EmbeddedEngine
from workspace_authz.devplane.engine import EngineOptions
from workspace_authz.devplane.kubeconfig import certificate_kubeconfig, token_kubeconfig
from workspace_authz.devplane.pki import create_pki

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLUSTER_ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {name}
  labels: {{rbac.authorization.k8s.io/aggregate-to-view: "true"}}
rules:
- {{apiGroups: [mlflow.kubeflow.org], resources: [experiments], verbs: [{verbs}]}}
"""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with one user's kubeconfig; ``admin`` unless another is chosen."""

    binary: str
    home: Path
    user: str = "admin"

    def as_user(self, user: str) -> Kubectl:
        return replace(self, user=user)

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "KUBECONFIG": str(self.home / self.user),
        }
        return await asyncio.create_subprocess_exec(
            self.binary,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ,
        )

    async def run(self, *arguments: str, stdin: str = "") -> Result:
        process = await self.start(*arguments)
        async with asyncio.timeout(240):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())

    async def __call__(self, command: str, *more: str, stdin: str = "") -> str:
        """The output of a command that must succeed."""
        result = await self.run(*command.split(), *more, stdin=stdin)
        assert result.status == 0, (command, more, result)
        return result.stdout

    async def refused(self, command: str, *more: str) -> str:
        """The complaint of a command that must fail."""
        result = await self.run(*command.split(), *more)
        assert result.status != 0, (command, more, result)
        return result.stderr

    async def json(self, command: str) -> Any:
        return json.loads(await self(f"{command} -o json"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubectl(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kubectl]:
    home = tmp_path_factory.mktemp("kubectl")
    binary = os.environ.get("KUBECTL")
    if binary is None:
        require_binaries()
        binary = str(assets.find_binary(assets.KUBECTL))
    (home / "users.csv").write_text(USERS)
    engine = EmbeddedEngine(EngineOptions(state=home / "state", users=home / "users.csv"))
    endpoint = await engine.start()
    pki = create_pki(endpoint.ca_file.parent)
    tokens = {"admin": endpoint.admin_token, "alice": "alice-token", "garbage": "no-such-token"}
    for user, token in tokens.items():
        (home / user).write_text(token_kubeconfig(endpoint, token))
    by_certificate = certificate_kubeconfig(endpoint, cert=pki.admin_cert, key=pki.admin_key)
    (home / "certificate").write_text(by_certificate)
    yield Kubectl(binary, home)
    await engine.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def team(kubectl: Kubectl, request: pytest.FixtureRequest) -> str:
    """A new namespace."""
    name: str = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:63].strip("-")
    await kubectl(f"create namespace {name}")
    return name


def write(directory: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (directory / name).write_text(content)
    return directory


async def test_create_a_namespace_with_its_account_and_label(kubectl: Kubectl, team: str) -> None:
    assert (await kubectl.json(f"get namespace {team}"))["metadata"]["labels"] == {
        "kubernetes.io/metadata.name": team
    }
    assert "default" in await kubectl(f"get sa -n {team}")
    assert "AlreadyExists" in await kubectl.refused(f"create namespace {team}")


async def test_create_the_rbac_kinds_and_see_them_work(kubectl: Kubectl, team: str) -> None:
    await kubectl(f"create role reader --verb=get,list --resource=secrets -n {team}")
    await kubectl(f"create rolebinding readers --role=reader --user=alice -n {team}")
    await kubectl(f"create clusterrole {team} --verb=get --resource=namespaces")
    await kubectl(
        f"create clusterrolebinding {team} --clusterrole={team} --group=devs --serviceaccount={team}:x"
    )
    alice = kubectl.as_user("alice")
    assert await alice(f"auth can-i list secrets -n {team}") == "yes\n"
    assert (await alice.run("auth", "can-i", "delete", "secrets", "-n", team)).stdout == "no\n"
    assert team in await alice("get namespace", team)
    listed = await kubectl(f"get role,rolebinding -n {team}")
    assert "role.rbac.authorization.k8s.io/reader" in listed
    assert "rolebinding.rbac.authorization.k8s.io/readers" in listed
    assert "secrets" in await kubectl(f"describe role reader -n {team}")


async def test_a_refusal_has_the_words_of_the_api_server(kubectl: Kubectl) -> None:
    said = await kubectl.as_user("alice").refused("create namespace mine")
    assert said == (
        'Error from server (Forbidden): namespaces is forbidden: User "alice" cannot create resource '
        '"namespaces" in API group "" at the cluster scope\n'
    )
    assert "Unauthorized" in await kubectl.as_user("garbage").refused("get namespaces")


async def test_apply_a_directory_again_and_again(kubectl: Kubectl, tmp_path: Path) -> None:
    names = [f"applied-{number}" for number in (1, 2)]
    files = {f"{name}.yaml": CLUSTER_ROLE.format(name=name, verbs="get") for name in names}
    command = f"apply -f {write(tmp_path, files)}"
    assert "created" in await kubectl(command)
    assert "unchanged" in await kubectl(command)
    write(tmp_path, {f"{names[0]}.yaml": CLUSTER_ROLE.format(name=names[0], verbs="get, list")})
    assert "configured" in await kubectl(command)
    role = await kubectl.json(f"get clusterrole {names[0]}")
    assert role["rules"][0]["verbs"] == ["get", "list"]
    for aggregated in ("view", "edit", "admin"):
        assert role["rules"][0] in (await kubectl.json(f"get clusterrole {aggregated}"))["rules"]
    await kubectl(f"delete -f {tmp_path}")
    assert role["rules"][0] not in (await kubectl.json("get clusterrole admin"))["rules"]


async def test_what_only_a_real_api_server_does_is_refused(kubectl: Kubectl, tmp_path: Path) -> None:
    write(tmp_path, {"role.yaml": CLUSTER_ROLE.format(name="server-side", verbs="get")})
    assert "415" in await kubectl.refused(f"apply --server-side -f {tmp_path}")
    assert "does not support impersonation" in await kubectl.refused("get namespaces --as=alice")


async def test_apply_refuses_a_misspelt_field(kubectl: Kubectl, tmp_path: Path) -> None:
    content = CLUSTER_ROLE.format(name="misspelt", verbs="get").replace("verbs", "verb")
    said = await kubectl.refused(f"apply -f {write(tmp_path, {'role.yaml': content})}")
    assert 'unknown field "rules[0].verb"' in said


async def test_diff_and_server_side_dry_run_change_nothing(kubectl: Kubectl, tmp_path: Path) -> None:
    write(tmp_path, {"role.yaml": CLUSTER_ROLE.format(name="dry", verbs="get")})
    difference = await kubectl.run("diff", "-f", str(tmp_path))
    assert difference.status == 1
    assert "+  name: dry" in difference.stdout
    await kubectl(f"apply --dry-run=server -f {tmp_path}")
    assert "NotFound" in await kubectl.refused("get clusterrole dry")


async def test_tokens_for_audiences_bound_to_a_secret(kubectl: Kubectl, team: str) -> None:
    await kubectl(f"create sa trainer -n {team}")
    await kubectl(f"create secret generic lease --from-literal=a=b -n {team}")
    token = await kubectl(
        f"create token trainer -n {team} --duration=20m --audience=mlflow "
        "--bound-object-kind=Secret --bound-object-name=lease"
    )
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token.strip(), "audiences": ["mlflow"]},
    }
    before = json.loads(await kubectl("create -o json -f -", stdin=json.dumps(review)))
    assert before["status"]["user"]["username"] == f"system:serviceaccount:{team}:trainer"
    await kubectl(f"delete secret lease -n {team}")
    after = json.loads(await kubectl("create -o json -f -", stdin=json.dumps(review)))
    assert "authenticated" not in after["status"]
    assert "less than 10 minutes" in await kubectl.refused(f"create token trainer -n {team} --duration=1m")


async def test_whoami(kubectl: Kubectl) -> None:
    assert "[team-a devs system:authenticated]" in await kubectl.as_user("alice")("auth whoami")
    assert "system:masters" in await kubectl("auth whoami")
    told = await kubectl.as_user("certificate")("auth whoami")
    assert "X509SHA256=" in told
    assert "Groups" in told


async def test_can_i_list(kubectl: Kubectl, team: str) -> None:
    await kubectl(f"create rolebinding viewer --clusterrole=view --user=alice -n {team}")
    listed = await kubectl.as_user("alice")(f"auth can-i --list -n {team}")
    assert "serviceaccounts" in listed
    assert "selfsubjectaccessreviews.authorization.k8s.io" in listed
    assert "[/api/*]" in listed


async def test_get_in_every_format(kubectl: Kubectl, team: str) -> None:
    await kubectl(f"create secret generic s --from-literal=a=b -n {team}")
    plain = (await kubectl(f"get secret s -n {team}")).split("\n")
    assert plain[0].split() == ["NAME", "AGE"]
    assert plain[1].split()[0] == "s"
    assert (await kubectl.json(f"get secret s -n {team}"))["data"] == {"a": "Yg=="}
    assert "a: Yg==" in await kubectl(f"get secret s -n {team} -o yaml")
    assert await kubectl(f"get secret s -n {team} -o name") == "secret/s\n"
    assert team in await kubectl("get secrets --all-namespaces")


async def test_watch(kubectl: Kubectl) -> None:
    shown = "--output=custom-columns=NAME:.metadata.name,STATUS:.status.phase"
    process = await kubectl.start("get", "namespaces", "--watch", shown)
    assert process.stdout is not None
    async with asyncio.timeout(240):
        while not (await process.stdout.readline()).startswith(b"kube-system"):
            pass
        await kubectl("create namespace watched")
        await kubectl("delete namespace watched")
        seen: list[str] = []
        while seen[-1:] != ["Terminating"]:
            line = (await process.stdout.readline()).decode().split()
            seen += line[1:2] if line[0] == "watched" else []
    process.kill()
    await process.wait()
    assert seen == ["Active", "Terminating"]


async def test_delete_takes_everything_in_a_namespace(kubectl: Kubectl, team: str) -> None:
    await kubectl(f"create sa robot -n {team}")
    await kubectl(f"delete sa robot -n {team}")
    assert "NotFound" in await kubectl.refused(f"get sa robot -n {team}")
    await kubectl(f"create rolebinding left --clusterrole=view --user=alice -n {team}")
    await kubectl(f"delete namespace {team}")
    await kubectl(f"create namespace {team}")
    assert "left" not in await kubectl(f"get rolebindings -n {team} -o name")


async def test_label_annotate_and_patch(kubectl: Kubectl, team: str) -> None:
    await kubectl(f"label namespace {team} kind=test")
    assert await kubectl("get namespace -l kind=test -o name") == f"namespace/{team}\n"
    await kubectl(f"label namespace {team} kind-")
    await kubectl(f"annotate namespace {team} mlflow.kubeflow.org/workspace-description=hello")
    await kubectl(f"patch namespace {team} --type=merge -p", '{"metadata":{"labels":{"a":"1"}}}')
    await kubectl(f"patch namespace {team} -p", '{"metadata":{"labels":{"b":"2"}}}')
    await kubectl(f"patch namespace {team} -p", '{"metadata":{"labels":{"a":null}}}')
    metadata = (await kubectl.json(f"get namespace {team}"))["metadata"]
    assert metadata["labels"] == {"kubernetes.io/metadata.name": team, "b": "2"}
    assert metadata["annotations"] == {"mlflow.kubeflow.org/workspace-description": "hello"}


async def test_edit_by_replacing(kubectl: Kubectl, tmp_path: Path) -> None:
    file = write(tmp_path, {"r.yaml": CLUSTER_ROLE.format(name="replaced", verbs="get")}) / "r.yaml"
    await kubectl(f"create -f {file}")
    file.write_text(CLUSTER_ROLE.format(name="replaced", verbs="watch"))
    await kubectl(f"replace -f {file}")
    assert (await kubectl.json("get clusterrole replaced"))["rules"][0]["verbs"] == ["watch"]


async def test_what_is_not_served(kubectl: Kubectl) -> None:
    assert "doesn't have a resource type" in await kubectl.refused("get pods")
    resources = await kubectl("api-resources -o name")
    assert resources.split() == [
        "namespaces",
        "secrets",
        "serviceaccounts",
        "selfsubjectreviews.authentication.k8s.io",
        "tokenreviews.authentication.k8s.io",
        "selfsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectrulesreviews.authorization.k8s.io",
        "subjectaccessreviews.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io",
        "roles.rbac.authorization.k8s.io",
    ]
    assert "v1.36.3+embedded" in await kubectl("version")
