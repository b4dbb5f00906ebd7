"""The same on a real kube-apiserver, where real kubectl changes things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given

from tests.devplane.real import require_binaries
from tests.invalidation.administrators import KubectlAdministrator
from tests.invalidation.plans import SILENT, STEADY, UNHEARD, budget
from tests.invalidation.play import Step
from tests.invalidation.stage import Stage, staged
from workspace_authz.devplane.api import Api
from workspace_authz.devplane.engine import Endpoint
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.devplane.kubeconfig import token_kubeconfig

TOKENS_LATE = 10.0
"""Seconds for which kube-apiserver remembers that a token was good (``TokenSuccessCacheTTL``)."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    require_binaries()
    state = tmp_path_factory.mktemp("invalidation")

    def administrator(endpoint: Endpoint, _: Api) -> KubectlAdministrator:
        kubeconfig: Path = state / "admin.kubeconfig"
        kubeconfig.write_text(token_kubeconfig(endpoint, endpoint.admin_token))
        return KubectlAdministrator(kubeconfig, home=state)

    with staged(KubeApiserverEngine, state, administrator=administrator, accounts_late=TOKENS_LATE) as stage:
        yield stage


@budget(2)
@given(steps=STEADY)
@example(steps=[("turn", "Role"), ("end", "account"), ("agree",)])
def test_while_all_is_well(stage: Stage, steps: list[Step]) -> None:
    stage.play(steps)


@budget(1)
@given(steps=UNHEARD)
@example(steps=[("turn", "ClusterRole"), ("agree",), ("restart",), ("turn", "RoleBinding"), ("agree",)])
def test_while_watches_are_away(stage: Stage, steps: list[Step]) -> None:
    stage.play(steps)


@budget(1)
@given(steps=SILENT)
def test_while_watches_are_silent(stage: Stage, steps: list[Step]) -> None:
    stage.play(steps)
