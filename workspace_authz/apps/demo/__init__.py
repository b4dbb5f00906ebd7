"""``workspace-authz demo``: a guarded MLflow with two teams on this machine, and a tour of it."""
