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
from workspace_authz.runtime.process import current_directory
from workspace_authz.settings.settings import load_settings
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.namespace import NamespaceInfo
from workspace_authz.workspaces.policy import NamespacePolicy


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
    except ConfigurationError as error:
        return MisconfiguredWorkspaceStore(error)
    return KubernetesWorkspaceStore(policy, watcher=NamespaceWatcher(policy, kubeconfig=settings.kubeconfig))


class KubernetesWorkspaceStore(AbstractStore):  # type: ignore[misc]  # MLflow is not followed by mypy
    """Namespaces as workspaces. Creating, updating and deleting them is left to Kubernetes.

    What is not defined here is MLflow's default: those three raise ``NotImplementedError``, which MLflow
    answers with FEATURE_DISABLED, and artifact roots get the workspace's name appended.
    """

    def __init__(
        self,
        policy: NamespacePolicy,
        *,
        watcher: NamespaceWatcher,
        guarded: Callable[[], Directory | None] = current_directory,
    ) -> None:
        self._policy = policy
        self._watcher = watcher
        self._guarded = guarded

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
        return [_workspace(info) for name in names if (info := directory.get(name)) is not None]

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
        return _workspace(info)

    def get_default_workspace(self) -> Workspace:
        """The configured default, by name alone: MLflow asks for it while it starts.

        Raises ``NotImplementedError`` when there is none, MLflow's sign that every request must name one.
        """
        if self._policy.default_workspace is None:
            raise NotImplementedError
        return Workspace(name=self._policy.default_workspace)

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


def _workspace(info: NamespaceInfo) -> Workspace:
    return Workspace(name=info.name, description=info.description)


def _unavailable(message: str) -> MlflowException:
    return MlflowException(message, error_code=TEMPORARILY_UNAVAILABLE)
