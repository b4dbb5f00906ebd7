"""``python -m bench``: guarded and unguarded MLflow, measured alternately in one run."""
