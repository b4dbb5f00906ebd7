"""What every dev plane holds, whatever its engine: ClusterRoles, the MLflow server's account, manifests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import aiohttp

from workspace_authz.devplane.api import Api, ApiError, connect, until
from workspace_authz.devplane.apply import Manifest, apply
from workspace_authz.devplane.engine import Endpoint
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes import access_reviews

SERVER_NAMESPACE = "mlflow"
SERVER_ACCOUNT = "mlflow"
SERVER_CLUSTER_ROLE = "mlflow-server"
"""Name of the one among the given ClusterRoles that the MLflow server's account is bound to."""

_RBAC = "rbac.authorization.k8s.io"
_TOKEN_SECONDS = 30 * 24 * 3600  # a dev plane is left running for days, and nobody renews its files
_IN_FORCE_SECONDS = 30.0


async def populate(
    endpoint: Endpoint, *, cluster_roles: Sequence[Manifest], manifests: Sequence[Manifest]
) -> str:
    """Fill the API, and wait until it acts on what it was given.

    Returns a token of the MLflow server's account. Raises
    :class:`~workspace_authz.errors.ConfigurationError`.
    """
    try:
        async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
            await apply(api, [*cluster_roles, *_server_account(), *manifests])
            token = await _server_token(api)
            async with asyncio.timeout(_IN_FORCE_SECONDS):
                await until(partial(_aggregated, api))
                for role in cluster_roles:
                    if role["metadata"]["name"] == SERVER_CLUSTER_ROLE:
                        await until(partial(_in_force, api.with_token(token), role))
            return token
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ConfigurationError(
            f"the API server stopped answering while it was filled: {error!r}"
        ) from error


def _server_account() -> Sequence[Manifest]:
    account = {"name": SERVER_ACCOUNT, "namespace": SERVER_NAMESPACE}
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": SERVER_CLUSTER_ROLE},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": SERVER_CLUSTER_ROLE},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SERVER_NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        binding,
    )


async def _server_token(api: Api) -> str:
    path = f"/api/v1/namespaces/{SERVER_NAMESPACE}/serviceaccounts/{SERVER_ACCOUNT}/token"
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": _TOKEN_SECONDS},
    }
    answer = await api.post(path, request)
    if not answer.ok:
        raise ConfigurationError(str(ApiError("cannot make a token for the MLflow server", answer)))
    return str(answer.body["status"]["token"])


async def _aggregated(api: Api) -> bool:
    """Whether every aggregated ClusterRole holds the rules of all roles that its selectors choose."""
    roles: Sequence[Mapping[str, Any]] = (await api.get(f"/apis/{_RBAC}/v1/clusterroles")).body["items"]
    return all(
        rule in (target.get("rules") or ())
        for target in roles
        for source in roles
        if source is not target and _chosen(source, target.get("aggregationRule") or {})
        for rule in source.get("rules") or ()
    )


def _chosen(role: Mapping[str, Any], aggregation: Mapping[str, Any]) -> bool:
    labels = (role["metadata"].get("labels") or {}).items()
    selectors = aggregation.get("clusterRoleSelectors") or ()
    return any(selector.get("matchLabels", {}).items() <= labels for selector in selectors)


async def _in_force(api: Api, role: Manifest) -> bool:
    """Whether the API server's authorizer, which follows the objects, has seen the binding of ``role``."""
    rule = role["rules"][0]
    review = access_reviews.self_subject_access_review(
        access_reviews.resource(rule["verbs"][0], rule["resources"][0], group=rule["apiGroups"][0])
    )
    answer = await api.post(review.path, review.document)
    return answer.ok and bool(answer.body["status"]["allowed"])
