"""Where MLflow hosts us: the app that ``mlflow server --app-name`` loads."""
