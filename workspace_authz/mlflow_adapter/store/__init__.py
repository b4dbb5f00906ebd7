"""MLflow's databases and artifact stores: ids and names, what exists, and whose it is."""
