"""``workspace-authz fetch``: a model or a run's artifacts, by MLflow's REST API, into a directory.

``address`` reads ``mlflow://`` URIs, ``server`` asks MLflow, ``resolving`` finds where the files are,
``listing`` finds which, ``transfer`` gets one of them, ``staging`` keeps what is incomplete out of sight, and
``fetching`` joins these. MLflow is not imported: the base install fetches.
"""
