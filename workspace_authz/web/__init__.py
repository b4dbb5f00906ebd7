"""Where MLflow hosts us: the app that ``mlflow server --app-name`` loads."""

from workspace_authz.web.foundation import refuse_unknown_mlflow

# Before the modules beside this one import what might be missing.
refuse_unknown_mlflow()
