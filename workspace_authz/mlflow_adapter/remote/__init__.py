"""MLflow as another process reaches it: its REST API, for a door that has no database of MLflow's."""
