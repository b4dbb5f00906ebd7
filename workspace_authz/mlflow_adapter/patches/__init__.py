"""Changes in a running MLflow: one named workaround for each module, with the upstream version and a test."""
