"""MLflow's workspace provider ``kubernetes://``: namespaces as read-only workspaces.

MLflow builds it in processes that serve nothing too, so building does no I/O and starts nothing. In a guarded
worker it reads what the runtime keeps in memory and never waits, because MLflow calls it on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from mlflow.entities import Workspace
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE
from mlflow.store.workspace.abstract_store import AbstractStore

from workspace_authz.errors import AuthzError, ConfigurationError
from workspace_authz.mlflow_adapter.serving import visible_workspaces
from workspace_authz.provider.watcher import NamespaceWatcher
from workspace_authz.runtime.process import current_artifact_roots, current_directory
from workspace_authz.settings.settings import load_settings
from workspace_authz.workspaces.artifact_roots import artifact_buckets
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.namespace import NamespaceInfo
from workspace_authz.workspaces.policy import NamespacePolicy
from workspace_authz.workspaces.root_watcher import ArtifactRoots, refusal


def build(workspace_uri: str) -> KubernetesWorkspaceStore:
    """The entry point ``mlflow.workspace_provider``. Raises ``MlflowException`` for a wrong URI."""
    try:
        settings = load_settings()
        policy = NamespacePolicy.from_uri(
            workspace_uri,
            label_selector=settings.workspace_label_selector,
            default_workspace=settings.default_workspace,
            namespace_exclude_globs=settings.namespace_exclude_globs,
        )
        buckets = artifact_buckets(settings.artifact_buckets)
    except ConfigurationError as error:
        return MisconfiguredWorkspaceStore(error)
    watcher = NamespaceWatcher(policy, kubeconfig=settings.kubeconfig, buckets=buckets)
    return KubernetesWorkspaceStore(policy, watcher=watcher, roots=buckets is not None)


class KubernetesWorkspaceStore(AbstractStore):  # type: ignore[misc]  # MLflow is not followed by mypy
    """Namespaces as workspaces. Creating, updating and deleting them is left to Kubernetes.

    What is not defined here is MLflow's default: those three raise ``NotImplementedError``, which MLflow
    answers with FEATURE_DISABLED.
    """

    def __init__(
        self,
        policy: NamespacePolicy,
        *,
        watcher: NamespaceWatcher,
        roots: bool = False,
        guarded: Callable[[], Directory | None] = current_directory,
        guarded_roots: Callable[[], ArtifactRoots | None] = current_artifact_roots,
    ) -> None:
        """``roots``: namespaces may choose artifact roots."""
        self._policy = policy
        self._watcher = watcher
        self._roots = roots
        self._guarded = guarded
        self._guarded_roots = guarded_roots

    def list_workspaces(self) -> list[Workspace]:
        """In a guarded worker those that the request's caller may see; in any other process all of them.

        Raises ``MlflowException`` (TEMPORARILY_UNAVAILABLE) when the namespaces are not known.
        """
        directory = self._guarded()
        if directory is None:
            directory = self._follow()
            names = directory.names()
        elif not directory.synced:
            raise _unavailable("The namespaces that are workspaces are not known yet; try again.")
        else:
            names = tuple(sorted(visible_workspaces.get() or ()))
        return [self._workspace(info) for name in names if (info := directory.get(name)) is not None]

    def get_workspace(self, workspace_name: str) -> Workspace:
        """One workspace.

        Raises ``MlflowException``: RESOURCE_DOES_NOT_EXIST for a namespace that is missing, hidden or being
        deleted, TEMPORARILY_UNAVAILABLE when that is not known.
        """
        directory = self._guarded()
        if directory is None:
            info = self._look_up(workspace_name)
        else:
            # Not looked up here: the pipeline did that before it let the request pass.
            info = directory.get(workspace_name)
            if info is None and not directory.synced:
                raise _unavailable("The namespaces that are workspaces are not known yet; try again.")
        if info is None:
            raise MlflowException(
                f"Workspace '{workspace_name}' not found.", error_code=RESOURCE_DOES_NOT_EXIST
            )
        return self._workspace(info)

    def get_default_workspace(self) -> Workspace:
        """The configured default, by name alone: MLflow asks for it while it starts.

        Raises ``NotImplementedError`` when there is none, MLflow's sign that every request must name one.
        """
        if self._policy.default_workspace is None:
            raise NotImplementedError
        return Workspace(name=self._policy.default_workspace)

    def resolve_artifact_root(
        self, default_artifact_root: str | None, workspace_name: str
    ) -> tuple[str | None, bool]:
        """The root of the workspace's new experiments, and whether MLflow appends the workspace's name.

        Raises ``MlflowException``: INVALID_PARAMETER_VALUE when the namespace chose one that cannot be used,
        TEMPORARILY_UNAVAILABLE when that is not known. Not for the default workspace: MLflow makes an
        experiment of its own there whenever it starts, which a tenant or an outage must not prevent. There
        the guard alone refuses new experiments.
        """
        servers: tuple[str | None, bool] = (default_artifact_root, True)
        if not self._roots:
            return servers
        starting = workspace_name == self._policy.default_workspace
        try:
            roots = self._guarded_roots() or (None if starting else self._watcher.artifact_roots())
            found = roots.of(workspace_name) if roots is not None else None
        except AuthzError as error:
            if starting:
                return servers
            raise _unavailable(str(error)) from error
        if found is None or (found.problem is not None and starting):
            return servers
        if found.problem is not None:
            raise MlflowException.invalid_parameter_value(refusal(workspace_name, found.problem))
        return found.root, False

    def _workspace(self, info: NamespaceInfo) -> Workspace:
        roots = self._guarded_roots() if self._roots else None
        found = roots.of(info.name) if roots is not None and roots.synced else None
        return Workspace(
            name=info.name,
            description=info.description,
            default_artifact_root=found.root if found else None,
        )

    def _follow(self) -> Directory:
        try:
            return self._watcher.directory()
        except AuthzError as error:
            raise _unavailable(str(error)) from error

    def _look_up(self, name: str) -> NamespaceInfo | None:
        try:
            return self._watcher.lookup(name)
        except AuthzError as error:
            raise _unavailable(str(error)) from error


class MisconfiguredWorkspaceStore(AbstractStore):  # type: ignore[misc]  # MLflow is not followed by mypy
    """Serves nothing and says why, in an ``MlflowException``."""

    def __init__(self, error: ConfigurationError) -> None:
        self._error = error

    def list_workspaces(self) -> list[Workspace]:
        """Raises the error."""
        raise self._exception()

    def get_workspace(self, workspace_name: str) -> Workspace:
        """Raises the error."""
        raise self._exception()

    def get_default_workspace(self) -> Workspace:
        """There is none: what MLflow's parent asks before it comes to our check."""
        raise NotImplementedError

    def _exception(self) -> MlflowException:
        return MlflowException.invalid_parameter_value(str(self._error))


def _unavailable(message: str) -> MlflowException:
    return MlflowException(message, error_code=TEMPORARILY_UNAVAILABLE)
