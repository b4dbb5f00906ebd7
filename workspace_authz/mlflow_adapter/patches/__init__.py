"""Changes to a running MLflow. Each names the upstream version and has a test."""
