"""What people see in MLflow's UI: refusals as sentences, no controls that nobody may use, the sign-in."""
