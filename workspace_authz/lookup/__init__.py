"""Which object? From what a request holds to the RBAC names of the objects that it touches, inside MLflow."""
