"""Time that passes unseen: clocks that jump, watches that die without a word, credentials that are replaced.

The guarded servers have clocks of their own, so that a minute takes no minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import yaml

from tests.harness.database import empty_database
from tests.harness.faketime import FakeClock, fake_clock
from tests.harness.faulty import Fault, FaultyApi, faulty_api
from tests.harness.plane import EMBEDDED, RBAC, Object, Plane, User, devplane
from tests.harness.server import MlflowServer, ServerOptions, starting, wait_until_ready
from tests.scenarios.waiting import until
from tests.scenarios.withdrawn import ending
from workspace_authz.devplane import pki
from workspace_authz.devplane.populate import SERVER_ACCOUNT, SERVER_NAMESPACE

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
LIST = "/api/3.0/mlflow/workspaces"
TEAM = "team-a"
LIMIT_SECONDS = 60
"""The promise is ten (``DEADLINE_SECONDS`` of the pipeline), on a machine that is not busy."""
HOUR, HALF = 3600, 1800
_PRECISELY = 20.0
"""Seconds: less than any jump."""


@dataclass(slots=True)
class Files:
    """A kubeconfig that names files, as platforms mount and replace them."""

    directory: Path

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def authority(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def token(self) -> Path:
        return self.directory / "token"

    def write(self, plane: Plane, url: str, token: str) -> None:
        """Everything, for the server's account of a dev plane."""
        config = yaml.safe_load(plane.server_kubeconfig.read_text())
        config["clusters"][0]["cluster"] = {"server": url, "certificate-authority": str(self.authority)}
        config["users"][0]["user"] = {"tokenFile": str(self.token)}
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self.authority.write_bytes((plane.state / "pki" / "ca.crt").read_bytes())
        self.token.write_text(token)


@dataclass(slots=True)
class World:
    """A server whose clocks all jump, as after a machine has slept, and one that is set."""

    plane: Plane
    api: FaultyApi
    files: Files
    secret: str
    """The path of the Secret that the sleeper's own token ends with."""
    sleeper: MlflowServer
    sleepers_clock: FakeClock
    jumper: MlflowServer
    jumpers_clock: FakeClock
    editor: User
    slept: int = 0

    def sleep(self, seconds: int) -> None:
        """Let so much time pass for the sleeper at once."""
        self.slept += seconds
        self.sleepers_clock.jump(self.slept)
        _until_clock_differs(self.sleeper, self.slept)

    def set_clock(self, seconds: int) -> None:
        """Set the jumper's time of day so far ahead of the machine's."""
        self.jumpers_clock.jump(seconds)
        _until_clock_differs(self.jumper, seconds)

    def status(self, server: MlflowServer, token: str) -> int:
        """What a search gets, in time."""
        asked = time.monotonic()
        answer = server.ask("GET", SEARCH, token=token, workspace=TEAM)
        assert time.monotonic() - asked < LIMIT_SECONDS
        return answer.status

    def decided(self, server: MlflowServer, token: str) -> int:
        """The same, and not that the API server was too slow on a busy machine."""
        statuses: list[int] = []

        def answered() -> bool:
            statuses.append(self.status(server, token))
            return statuses[-1] != 503

        until(answered)
        return statuses[-1]

    def workspaces(self, server: MlflowServer) -> list[str]:
        """Those of the editor."""
        answer = server.ask("GET", LIST, token=self.editor.token)
        return [one["name"] for one in answer.json.get("workspaces", ())]

    def holder(self, name: str) -> tuple[str, str]:
        """The token of a new account that may edit, and the path of what lets it."""
        token = self.plane.service_account(TEAM, name)
        binding = self.plane.bind(TEAM, "edit", account=(TEAM, name))
        self.plane.wait_for_access(token, TEAM, verb="list", resource="experiments")
        return token, binding

    def works(self, server: MlflowServer) -> None:
        """Everything is as it should be."""
        until(lambda: self.status(server, self.editor.token) == 200)
        until(lambda: server.ask("GET", "/readyz").json == {"status": "ok"})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    state, editor = tmp_path_factory.mktemp("time"), User("editor")
    database, files = empty_database(state), Files(state)
    sleepers = fake_clock(_made(state / "sleeper"), monotonic=True)
    jumpers = fake_clock(_made(state / "jumper"), monotonic=False)
    with devplane(EMBEDDED, state / "plane", users=[editor]) as plane, faulty_api(plane) as api:
        plane.namespace(TEAM)
        plane.bind(TEAM, "edit", user=editor.name)
        secret, token = _bound_token(plane)
        files.write(plane, api.url, token)
        options = ServerOptions(
            database=database, environment={**sleepers.environment, "WORKSPACE_AUTHZ_SETTLING_SECONDS": "0.5"}
        )
        set_options = replace(
            options,
            kubeconfig=plane.server_kubeconfig,
            environment={**options.environment, **jumpers.environment},
        )
        with (
            starting(state / "sleeper", replace(options, kubeconfig=files.kubeconfig)) as sleeper,
            starting(state / "jumper", set_options) as jumper,
        ):
            wait_until_ready(sleeper)
            wait_until_ready(jumper)
            yield World(plane, api, files, secret, sleeper, sleepers, jumper, jumpers, editor)


def _until_clock_differs(server: MlflowServer, seconds: int) -> None:
    """Wait until the server has seen its clock jump: it tells the time with each answer."""

    def difference() -> float:
        said = parsedate_to_datetime(server.ask("GET", "/health").header("date")[0])
        return said.timestamp() - time.time()

    until(lambda: abs(difference() - seconds) < _PRECISELY)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _bound_token(plane: Plane) -> tuple[str, str]:
    """A token of the server's account that ends with a Secret, and the Secret's path."""
    path = f"/api/v1/namespaces/{SERVER_NAMESPACE}"
    metadata = {"name": "first", "namespace": SERVER_NAMESPACE}
    secret = plane.make(f"{path}/secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    reference = {
        "kind": "Secret",
        "apiVersion": "v1",
        "name": "first",
        "uid": secret["metadata"]["uid"],
    }
    spec: Object = {"expirationSeconds": 24 * HOUR, "boundObjectRef": reference}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    made = plane.make(f"{path}/serviceaccounts/{SERVER_ACCOUNT}/token", request)
    return f"{path}/secrets/first", str(made["status"]["token"])


def in_use(world: World, token: str) -> str:
    """A token like this one that ends in seconds and was used before: the first that was in time."""
    made: list[str] = []

    def used() -> bool:
        made.append(ending(world.plane, token, seconds=8))
        return world.status(world.jumper, made[-1]) == 200

    until(used)
    return made[-1]


@pytest.mark.parametrize("jump", [HOUR, -HALF])
def test_the_clock_is_set(world: World, jump: int) -> None:
    """Given callers at work, when the time of day jumps, then nothing lives longer and nothing ends early."""
    world.works(world.jumper)
    token, binding = world.holder(f"steady{jump}")
    ends_later = ending(world.plane, token, seconds=HALF)
    assert [world.decided(world.jumper, each) for each in (token, ends_later)] == [200] * 2
    ends_soon = in_use(world, token)
    world.set_clock(jump)
    assert world.decided(world.jumper, ends_later) == world.decided(world.jumper, token) == 200
    until(lambda: world.status(world.jumper, ends_soon) == 401)
    world.plane.delete(binding)
    until(lambda: world.status(world.jumper, token) == 403)
    late, _ = world.holder(f"late{jump}")
    until(lambda: world.status(world.jumper, late) == 200)
    world.works(world.jumper)
    world.set_clock(0)
    world.works(world.jumper)


def test_the_machine_slept(world: World) -> None:
    """Given what was changed while a server slept and its watches died, then it wakes up to the truth."""
    world.works(world.sleeper)
    token, binding = world.holder("sleeping")
    kept, _ = world.holder("kept")
    until(lambda: world.status(world.sleeper, token) == world.status(world.sleeper, kept) == 200)
    time.sleep(1.0)  # from now on an answer is kept for as long as it may be
    assert world.decided(world.sleeper, token) == 200
    world.api.fault = Fault.MUTES
    world.plane.delete(binding)
    world.plane.wait_for_access(token, TEAM, verb="list", resource="experiments", allowed=False)
    world.sleep(HOUR)
    assert world.decided(world.sleeper, token) == 403
    assert world.decided(world.sleeper, kept) == 200  # by the API server's clock it has not ended
    world.api.fault = Fault.REFUSES  # ends the muted watches
    world.api.fault = Fault.NONE
    world.works(world.sleeper)


def test_watches_die_without_a_word(world: World) -> None:
    """Given watches that will never say anything again, then after 75 seconds there are others."""
    world.works(world.sleeper)
    world.api.fault = Fault.MUTES
    world.plane.namespace("team-unheard")
    world.plane.bind("team-unheard", "edit", user=world.editor.name)
    # Each watch is dead from the event on that nobody hears.
    until(lambda: {"/api/v1/namespaces", f"{RBAC}/rolebindings"} <= world.api.muted)
    world.api.fault = Fault.NONE
    assert "team-unheard" not in world.workspaces(world.sleeper)
    world.sleep(76)
    until(lambda: "team-unheard" in world.workspaces(world.sleeper))
    token, binding = world.holder("heard")
    until(lambda: world.status(world.sleeper, token) == 200)
    world.plane.delete(binding)
    until(lambda: world.status(world.sleeper, token) == 403)


@pytest.mark.parametrize("authority", ["the same CA", "another CA"])
def test_the_api_server_has_another_certificate(world: World, authority: str, tmp_path: Path) -> None:
    """Given an API server that starts again under another certificate, then only a new CA must be written."""
    world.works(world.sleeper)
    before = pki.create_pki(world.plane.state / "pki")
    if authority == "the same CA":
        changed = pki.issue_serving_certificate(before, tmp_path)
    else:
        changed = pki.create_pki(tmp_path / "other")
    world.api.restart(changed.serving_cert, changed.serving_key)
    if authority == "another CA":
        world.sleep(60)  # longer than an identity lives
        assert world.status(world.sleeper, world.editor.token) == 503
        world.files.authority.write_bytes(changed.ca_cert.read_bytes())
    world.works(world.sleeper)
    assert world.decided(world.sleeper, "unknown") == 401
    world.files.authority.write_bytes(before.ca_cert.read_bytes() + changed.ca_cert.read_bytes())
    world.api.restart(before.serving_cert, before.serving_key)
    world.works(world.sleeper)


def test_the_servers_own_token_is_replaced(world: World) -> None:
    """Given a token that ended, when another is in its file, then the server uses it within a minute."""
    world.works(world.sleeper)
    world.plane.delete(world.secret)
    world.api.fault = Fault.REFUSES  # ends the watches
    world.api.fault = Fault.NONE
    until(lambda: world.sleeper.ask("GET", "/readyz").json != {"status": "ok"})
    assert world.status(world.sleeper, world.editor.token) in (200, 503)
    world.files.token.write_text(world.plane.account_token(SERVER_NAMESPACE, SERVER_ACCOUNT))
    world.sleep(61)
    world.works(world.sleeper)
