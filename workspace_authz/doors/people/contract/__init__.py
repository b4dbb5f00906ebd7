"""The REST contract of MLflow's own auth app, by which its UI asks about people, answered from RBAC.

Its routes and shapes are those of ``mlflow.server.auth`` (3.17.2: ``routes.py``, ``entities.py``). Nothing of
them is in a database.
"""
