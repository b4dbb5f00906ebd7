"""Metrics, the audit log and worker health: what operators see."""
