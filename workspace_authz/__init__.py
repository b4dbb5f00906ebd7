"""Kubernetes-native authorization for MLflow."""

__version__ = "0.1.0"
