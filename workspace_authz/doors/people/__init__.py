"""What people see of themselves and of each other: MLflow's own pages about them, and ours."""
