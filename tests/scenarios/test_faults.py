"""When the API server fails: an error, soon, and never a yes; and afterwards everything works as before."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.harness.etcd import compact
from tests.harness.faulty import Fault, FaultyApi, faulty_api, pointed_at
from tests.harness.http import Answer, Http, bearer
from tests.harness.plane import REAL, Plane, User, devplane
from tests.harness.server import WORKSPACE, MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.waiting import until
from tests.scenarios.withdrawn import ending_token, given_leavers

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
ROUTES = (SEARCH, "/api/2.0/mlflow/registered-models/search", "/api/3.0/mlflow/workspaces")
CLIENTS = 8
LIFETIME_SECONDS = 2
WATCHED_SECONDS = 5
"""60 unless set. So long can a decision outlive a change of which nobody tells."""
LIMIT_SECONDS = 60
"""The promise is ten (``DEADLINE_SECONDS`` of the pipeline), on a machine that is not busy."""

FAULTS = [fault for fault in Fault if fault not in (Fault.NONE, Fault.MUTES, Fault.DAWDLES)]
TEAM, LATE = "team-a", "team-late"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


class World:
    """A control plane of its own, because it is frozen and killed, with a faulty API in front."""

    def __init__(
        self, plane: Plane, api: FaultyApi, server: MlflowServer, editor: User, mallory: User
    ) -> None:
        self.plane, self.api, self.server = plane, api, server
        self.editor, self.mallory = editor, mallory

    def ask(self, path: str = SEARCH, *, user: User | None = None) -> Answer:
        return self.server.ask("GET", path, token=(user or self.editor).token, workspace=TEAM)

    def status(self, token: str) -> int:
        return self.server.ask("GET", SEARCH, token=token, workspace=TEAM).status

    def workspaces(self, user: User) -> list[str]:
        answer = self.ask("/api/3.0/mlflow/workspaces", user=user)
        return [one["name"] for one in answer.json.get("workspaces", ())]

    def under_load(self, seconds: float) -> list[tuple[float, Answer]]:
        """What many callers get meanwhile: how long each answer took, and the answer."""
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(CLIENTS) as pool:
            loads = [pool.submit(self._load, number, end) for number in range(CLIENTS)]
        return [one for load in loads for one in load.result()]

    def _load(self, number: int, end: float) -> list[tuple[float, Answer]]:
        user = self.mallory if number % 4 == 0 else self.editor
        seen = []
        with closing(Http(self.server.url, timeout=3 * LIMIT_SECONDS)) as http:
            while time.monotonic() < end:
                started = time.monotonic()
                headers = {**bearer(user.token), WORKSPACE: TEAM}
                answer = http.request("GET", ROUTES[number % len(ROUTES)], headers=headers)
                seen.append((time.monotonic() - started, answer))
        return seen

    def forget_everything(self) -> None:
        """Let every cached answer end, so that the API server must be asked."""
        time.sleep(LIFETIME_SECONDS + 0.1)

    def works_again(self) -> None:
        until(lambda: self.ask().status == 200)
        until(lambda: self.ask(user=self.mallory).status == 403)
        until(lambda: self.server.ask("GET", "/readyz").status == 200)


@pytest.fixture(scope="module")
def world(engine: str, database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    editor, mallory = User("editor"), User("mallory")
    state = tmp_path_factory.mktemp("faults")
    with devplane(engine, state / "plane", users=[editor, mallory]) as plane, faulty_api(plane) as api:
        plane.namespace(TEAM)
        plane.bind(TEAM, "edit", user=editor.name)
        plane.wait_for_access(editor.token, TEAM, verb="create", resource="experiments")
        options = ServerOptions(
            database=database,
            kubeconfig=pointed_at(api.url, plane.server_kubeconfig, state / "server.kubeconfig"),
            environment={
                **{
                    f"WORKSPACE_AUTHZ_{name}_SECONDS": str(LIFETIME_SECONDS)
                    for name in ("ALLOW", "DENY", "IDENTITY")
                },
                "WORKSPACE_AUTHZ_WATCHED_SECONDS": str(WATCHED_SECONDS),
                "WORKSPACE_AUTHZ_SETTLING_SECONDS": "1",
            },
        )
        with mlflow_server(state / "server", options) as server:
            yield World(plane, api, server, editor, mallory)


def then_nothing_passes(answers: Sequence[tuple[float, Answer]]) -> None:
    """Every answer is the same 503 in time, and nothing of the API server's own answer is in it."""
    assert answers
    for seconds, answer in answers:
        assert answer.status == 503, answer.text
        assert answer.header("retry-after") == ["1"]
        assert answer.json["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert "secret of the API server" not in answer.text
        assert seconds < LIMIT_SECONDS


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_under_load(world: World, fault: Fault) -> None:
    """Given callers at work, when the API server fails, then all get 503 soon, and go on after it."""
    world.works_again()
    world.api.fault, world.api.asked = fault, 0
    world.forget_everything()
    then_nothing_passes(world.under_load(1.0))
    assert world.api.asked
    world.api.fault = Fault.NONE
    world.works_again()


def test_a_slow_api_server(world: World) -> None:
    """Given an API server that takes a second, then callers wait and get what is theirs, others go on."""
    world.works_again()
    world.api.fault = Fault.DAWDLES
    world.forget_everything()
    seen = world.under_load(2.0)
    assert {answer.status for _, answer in seen} == {200, 403}
    assert max(seconds for seconds, _ in seen) < LIMIT_SECONDS
    assert world.server.ask("GET", "/health").status == 200
    world.api.fault = Fault.NONE
    world.works_again()


def test_what_is_known_may_pass_for_its_lifetime_and_not_longer(world: World) -> None:
    """Given an answer of a moment ago, when the API server fails, then it holds as long as usual."""
    world.works_again()
    assert world.ask().status == 200
    world.api.fault = Fault.FAILS
    seen = [answer.status for _, answer in world.under_load(LIFETIME_SECONDS + 1.0)]
    assert set(seen) <= {200, 403, 503}
    then_nothing_passes(world.under_load(0.5))
    world.api.fault = Fault.NONE
    world.works_again()


def test_public_routes_and_probes_need_no_api_server(world: World) -> None:
    world.api.fault = Fault.REFUSES
    for path in ("/health", "/version", "/livez"):
        assert world.server.ask("GET", path).status == 200
    until(lambda: world.server.ask("GET", "/readyz").status == 503)
    assert TEAM not in world.server.ask("GET", "/readyz").text
    world.api.fault = Fault.NONE
    world.works_again()


def test_a_new_token_is_not_taken_for_granted(world: World) -> None:
    """Given a token that nobody has seen, when the API server fails, then it is 503, not 200 or 401."""
    world.api.fault = Fault.LIES
    answer = world.server.ask("GET", SEARCH, token="never-seen-before", workspace=TEAM)
    assert answer.status == 503
    world.api.fault = Fault.NONE
    assert world.server.ask("GET", SEARCH, token="never-seen-before", workspace=TEAM).status == 401


def test_the_audit_trail_tells_errors_from_decisions(world: World) -> None:
    world.works_again()
    world.api.fault = Fault.THROTTLES
    world.forget_everything()
    world.server.skip_records()
    assert world.ask().status == 503
    record = world.server.records(1)[0]
    assert (record["decision"], record["status"]) == ("error", 503)
    assert record["checks"] == []
    world.api.fault = Fault.NONE
    world.works_again()


def test_a_token_ends_with_what_it_stands_for(world: World) -> None:
    """Given tokens at work, when their account or Secret is deleted, then 401 soon, used or not.

    kube-apiserver itself accepts them for another 10 s (``TokenSuccessCacheTTL``).
    """
    world.works_again()
    leavers = given_leavers(world.plane, TEAM)
    tokens = (leavers.busy, leavers.idle, leavers.bound)
    assert [world.status(token) for token in tokens] == [200] * 3
    leavers.end()
    until(lambda: world.status(leavers.busy) == world.status(leavers.bound) == 401)
    until(lambda: world.status(leavers.idle) == 401)


def test_an_expired_token_is_refused_at_once(world: World) -> None:
    """Given a token in use, when its time is over, then 401, though kube-apiserver would accept it longer."""
    world.works_again()
    account = world.plane.service_account(TEAM, "expiring")
    world.plane.bind(TEAM, "edit", account=(TEAM, "expiring"))
    world.plane.wait_for_access(account, TEAM, verb="list", resource="experiments")

    def outlived() -> bool:
        """Whether a token was used before its end and is accepted beyond it: a slow machine misses either."""
        token, end = ending_token(world.plane.state, account, seconds=4)
        world.plane.tokens.append(token)
        used = world.status(token) == 200
        time.sleep(max(0.0, end + 1 - time.time()))
        assert world.status(token) == 401
        return used and world.plane.ask("POST", WHO, REVIEW, token=token).status == 201

    until(outlived)


def test_watches_that_fall_silent(world: World) -> None:
    """Given watches that stay open and say nothing more, when a right ends, then it does not last for ever.

    Only after 75 seconds can the server know that they are not merely quiet.
    """
    world.works_again()
    token = world.plane.service_account(TEAM, "unheard")
    binding = world.plane.bind(TEAM, "edit", account=(TEAM, "unheard"))
    until(lambda: world.status(token) == 200)
    time.sleep(1.5)  # from now on an answer is kept for as long as it may be
    assert world.status(token) == 200
    world.api.fault = Fault.MUTES
    world.plane.delete(binding)
    world.plane.wait_for_access(token, TEAM, verb="list", resource="experiments", allowed=False)
    until(lambda: world.status(token) == 403)
    world.api.fault = Fault.REFUSES  # ends the muted watches
    world.api.fault = Fault.NONE
    world.works_again()


@contextmanager
def frozen(plane: Plane) -> Iterator[None]:
    """The API server's processes stopped in the middle of whatever they do."""
    processes = processes_of(plane)
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def processes_of(plane: Plane) -> list[int]:
    """The real control plane's run in the state directory; the embedded one is the dev plane itself."""
    if plane.engine != REAL:
        return [plane.process.process.pid]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "cwd")) == plane.state:
                found.append(int(process.name))
        except OSError:
            continue  # it has just ended
    assert found
    return found


def test_a_frozen_api_server(world: World) -> None:
    """Given callers at work, when the API server's processes are frozen, then 503 soon; thawed, all go on."""
    world.works_again()
    with frozen(world.plane):
        world.forget_everything()
        then_nothing_passes(world.under_load(1.0))
    world.works_again()


def test_a_killed_api_server(world: World) -> None:
    """Given callers at work, when the API server is killed, then 503 soon, until another takes its place.

    Another one that has forgotten how things came to be what they are: what changed meanwhile is in no watch.
    The last of this file: the embedded engine forgets everything, so that nobody starts it again.
    """
    world.works_again()
    world.api.fault = Fault.MUTES  # so that the server's watches ask once only for what is gone
    for process in processes_of(world.plane):
        os.kill(process, signal.SIGKILL)
    world.forget_everything()
    then_nothing_passes(world.under_load(2.0))
    if world.plane.engine != REAL:
        return
    with devplane(REAL, world.plane.state, users=[world.editor, world.mallory]) as restarted:
        restarted.namespace(LATE)
        binding = restarted.bind(LATE, "edit", user=world.mallory.name)
        compact(restarted.state)
        world.api.upstream = restarted.url
        world.api.fault = Fault.REFUSES
        world.api.fault = Fault.NONE
        world.works_again()
        until(lambda: world.workspaces(world.mallory) == [LATE])
        assert world.api.expired
        restarted.delete(binding)
        until(lambda: world.workspaces(world.mallory) == [])
