"""What a person's own process does: MLflow's SDK, as it is, told what to do line by line."""
