"""The embedded engine of the development control plane.

It evaluates RBAC by code of its own and must not import ``workspace_authz.authorizer``: tests compare its
answers with those of a real API server and of the product.
"""

from workspace_authz.devplane.embedded.engine import EmbeddedEngine, Tuning

__all__ = ["EmbeddedEngine", "Tuning"]
