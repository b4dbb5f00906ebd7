"""A real API server on which the manifests are applied."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.devplane.real import require_binaries
from tests.manifests.kube import Kubectl
from workspace_authz.devplane import assets
from workspace_authz.devplane.engine import EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.devplane.kubeconfig import token_kubeconfig, write_private


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubectl(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kubectl]:
    """kubectl as ``system:masters`` of a fresh cluster to which the README's files were applied."""
    require_binaries()
    state = tmp_path_factory.mktemp("cluster")
    engine = KubeApiserverEngine(EngineOptions(state=state))
    endpoint = await engine.start()
    try:
        kubeconfig = state / "admin.kubeconfig"
        write_private(kubeconfig, token_kubeconfig(endpoint, endpoint.admin_token))
        kubectl = Kubectl(assets.find_binary(assets.KUBECTL), kubeconfig)
        for file in ("namespace", "volume", "quickstart"):
            kubectl.run("apply", "--server-side", "--validate=strict", "-f", f"manifests/{file}.yaml")
        yield kubectl
    finally:
        await engine.stop()
