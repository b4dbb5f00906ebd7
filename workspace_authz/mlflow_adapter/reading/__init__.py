"""Requests, read exactly as MLflow reads them."""
