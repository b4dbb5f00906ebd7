"""Where MLflow hosts us: the app that ``mlflow server --app-name`` loads."""

from workspace_authz.web.foundation import refuse_unknown_mlflow

# Whichever of the modules here is wanted: MLflow gets one sentence instead of a traceback.
refuse_unknown_mlflow()
