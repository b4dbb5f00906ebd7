"""A real API server on which the manifests are applied. All files of this directory share it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.devplane.real import require_binaries
from tests.manifests.flat import KEPT
from tests.manifests.kube import Kubectl
from workspace_authz.devplane import assets
from workspace_authz.devplane.engine import EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.devplane.kubeconfig import token_kubeconfig, write_private


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kubectl]:
    """kubectl as ``system:masters`` of a cluster that holds what is kept, and no overlay."""
    require_binaries()
    state = tmp_path_factory.mktemp("cluster")
    engine = KubeApiserverEngine(EngineOptions(state=state))
    endpoint = await engine.start()
    try:
        kubeconfig = state / "admin.kubeconfig"
        write_private(kubeconfig, token_kubeconfig(endpoint, endpoint.admin_token))
        kubectl = Kubectl(assets.find_binary(assets.KUBECTL), kubeconfig)
        for kept in KEPT:
            kubectl.apply(kept)
        yield kubectl
    finally:
        await engine.stop()


@pytest.fixture(scope="module")
def kubectl(cluster: Kubectl) -> Iterator[Kubectl]:
    """The same, while ``quickstart`` is applied to the cluster."""
    cluster.apply("quickstart")
    yield cluster
    cluster.delete("quickstart")
