"""Controls of MLflow's UI that nobody may use here, by their ``data-component-id``.

Nothing depends on them: the server refuses what they would ask, whoever clicks. A release that has no such
control, or another name for it, shows its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_JOB: Final = (
    "This would start a job on the MLflow server, and jobs have no identity here with which they could be "
    "allowed anything. Run it from your own code: mlflow.genai.evaluate."
)
_ISSUES: Final = (
    "This would start a job on the MLflow server, and jobs have no identity here with which they could be "
    "allowed anything."
)

HIDDEN: Final = (
    # Workspaces are made and described in Kubernetes.
    "mlflow.home.workspaces.create_button",
    "mlflow.home.workspaces.create",
    "mlflow.home.workspaces.edit_workspace",
    # Nobody has a password.
    "account.change_password_button",
)

DISABLED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mlflow.home.demo-banner.launch": (
            "Demo data cannot be made on this server, which several teams share."
        ),
        "mlflow.eval-runs.start-run-button": _JOB,
        "mlflow.genai-traces-table.run-judges": _JOB,
        "mlflow.traces-v4.actions.run-judges": _JOB,
        "mlflow.model-trace-explorer.run-judge": _JOB,
        "codegen_no_dynamic_mlflow_web_js_src_experiment_tracking_pages_experiment_scorers_"
        "samplescoreroutputpanelrenderer_52": _JOB,
        "mlflow.traces-v4.detect-issues-button": _ISSUES,
        "mlflow.experiment.overview.detect-issues-button": _ISSUES,
        "mlflow.genai-overview.detect-issues": _ISSUES,
        "mlflow.genai-overview.stale-issue-detection.detect": _ISSUES,
        "mlflow.traces.issue-detection.low-results-callout.run-again": _ISSUES,
    }
)
"""Controls that stay, each with the sentence that says why it does nothing."""

NO_WORKSPACES: Final = "mlflow.home.workspaces.create"
"""Stands where the list of workspaces is empty, below words about making the first one."""
NO_WORKSPACES_WORDS: Final = (
    "You have no rights in any workspace yet. Workspaces are Kubernetes namespaces: an administrator of one "
    "can let you in."
)

ASSISTANT: Final = "[data-assistant-ui]"
"""What opens MLflow's assistant."""
