"""What was decided lately, in MLflow's database, for people to look at in a browser."""
