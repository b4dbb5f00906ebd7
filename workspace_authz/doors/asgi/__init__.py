"""The door in front of MLflow's app: pure ASGI."""
