"""Controls of MLflow's UI that nobody may use here, by their ``data-component-id``.

Nothing depends on them: the server refuses what they would ask, whoever clicks. A release that has no such
control, or another name for it, shows its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HIDDEN: Final = (
    "mlflow.home.workspaces.create_button",
    "mlflow.home.workspaces.create",
    "mlflow.home.workspaces.edit_workspace",
)
"""Workspaces are made and described in Kubernetes."""

DISABLED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mlflow.home.demo-banner.launch": (
            "Demo data cannot be made on this server, which several teams share."
        ),
    }
)
"""Controls that stay, each with the sentence that says why it does nothing."""

ASSISTANT: Final = "[data-assistant-ui]"
"""What opens MLflow's assistant."""
