"""The embedded engine of the development control plane.

It evaluates RBAC in its own plain way and must not import ``workspace_authz.authorizer``: it is the
second opinion against which the real API server and the product are held.
"""

from workspace_authz.devplane.embedded.engine import EmbeddedEngine, Tuning

__all__ = ["EmbeddedEngine", "Tuning"]
