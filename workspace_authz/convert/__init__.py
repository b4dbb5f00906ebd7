"""Permission databases of other systems for MLflow, as RBAC, and a report of what RBAC cannot say."""
