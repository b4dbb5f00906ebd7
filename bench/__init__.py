"""``python -m bench``: guarded against unguarded MLflow, interleaved in one run."""
