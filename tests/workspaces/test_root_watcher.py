"""Artifact roots as they change, with two kinds that are watched apart from each other."""

from __future__ import annotations

import logging

import pytest

from tests.kubernetes.informer_server import FastClock, until
from tests.workspaces.two_kinds import BUCKETS, TwoKinds, following
from workspace_authz.errors import BadRequestError, UnavailableError
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.kubernetes.own_credential import FileCredential
from workspace_authz.workspaces.artifact_roots import Override
from workspace_authz.workspaces.root_watcher import CONFIGS_PATH, SECRETS_PATH, ArtifactRoots

ROOT = Override(root="s3://data/models/workspaces/team-a")


class LateSecret(FastClock):
    """The Secret is seen while somebody waits for it, the third time that they look."""

    def __init__(self, kinds: TwoKinds) -> None:
        super().__init__()
        self.kinds = kinds
        self.looks = 0

    async def sleep(self, seconds: float) -> None:
        self.looks += 1
        if self.looks == 3:
            self.kinds.secret("team-a", "data")
        await super().sleep(seconds)


async def test_a_secret_that_is_seen_after_its_config_is_waited_for() -> None:
    kinds = TwoKinds()
    async with following(kinds, LateSecret(kinds)) as roots:
        kinds.config("team-a", artifactRootPath="models")
        await until(lambda: roots.of("team-a"))
        await roots.check("team-a")
        assert roots.of("team-a") == ROOT


async def test_one_that_does_not_come_is_not_waited_for_long() -> None:
    kinds, clock = TwoKinds(), FastClock()
    async with following(kinds, clock) as roots:
        kinds.config("team-a")
        await until(lambda: roots.of("team-a"))
        with pytest.raises(BadRequestError, match="has no Secret mlflow-artifact-connection"):
            await roots.check("team-a")
        waited = sum(clock.sleeps)
        assert 0 < waited <= 2.1
        with pytest.raises(BadRequestError, match="has no Secret"):
            await roots.check("team-a")
        assert sum(clock.sleeps) == waited


async def test_a_bucket_that_is_not_allowed_is_refused_without_waiting() -> None:
    kinds, clock = TwoKinds(), FastClock()
    async with following(kinds, clock) as roots:
        kinds.secret("team-a", "elsewhere")
        kinds.config("team-a")
        await until(lambda: (found := roots.of("team-a")) and "allows" in (found.problem or ""))
        with pytest.raises(BadRequestError, match="none that the administrator of MLflow allows"):
            await roots.check("team-a")
        assert clock.sleeps == []


async def test_a_namespace_without_a_config_is_none_of_its_business() -> None:
    kinds = TwoKinds()
    async with following(kinds, FastClock()) as roots:
        kinds.secret("team-b", "elsewhere")
        kinds.config("team-a")
        await until(lambda: roots.of("team-a"))
        assert roots.of("team-b") is None
        await roots.check("team-b")


async def test_a_problem_is_logged_when_it_begins_and_noted_while_it_lasts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kinds = TwoKinds()
    caplog.set_level(logging.INFO)
    async with following(kinds, FastClock()) as roots:
        kinds.secret("team-a", "elsewhere")
        kinds.config("team-a")
        await until(lambda: "cannot be used" in caplog.text)
        kinds.config("team-a", artifactRootPath="a")
        kinds.config("team-a", artifactRootPath="b")
        kinds.secret("team-a", "elsewhere-too")
        assert roots.notes() == ("1 MLflowConfigs cannot be used; the log names their namespaces.",)
        kinds.secret("team-a", "data")
        await until(lambda: "can be used again" in caplog.text)
        assert roots.notes() == ()
    assert caplog.text.count("WORKSPACE_AUTHZ_ARTIFACT_BUCKETS") == 1
    assert "elsewhere" not in caplog.text


async def test_before_everything_was_seen_nothing_is_known() -> None:
    connection = server_connection(ApiConfiguration("http://127.0.0.1:1", credential=FileCredential("x")))
    roots = ArtifactRoots(connection, BUCKETS, clock=FastClock())
    with pytest.raises(UnavailableError, match="not known yet"):
        await roots.check("team-a")
    assert "not been listed yet" in str(roots.problem)
    await connection.close()


async def test_without_the_right_to_the_secrets_it_says_which_role_is_missing() -> None:
    kinds = TwoKinds()
    kinds.denied = {SECRETS_PATH}
    metadata = {"namespace": "team-a", "name": "mlflow"}
    kinds.listed[CONFIGS_PATH] = [{"metadata": metadata, "spec": {"artifactRootPath": "a"}}]
    async with following(kinds, FastClock()) as roots:
        await until(lambda: "bind the ClusterRole mlflow-server-artifact-roots" in str(roots.problem))
        await until(lambda: CONFIGS_PATH in kinds.watches)
        assert roots.notes() == ()
        with pytest.raises(UnavailableError):
            await roots.check("team-a")
