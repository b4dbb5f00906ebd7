"""Whose data a workspace holds: a claim in MLflow's own database names the UID of one namespace.

MLflow keys data by the workspace's name alone. Without a claim, somebody who makes a deleted namespace again
would inherit its data. The tables are our own, beside MLflow's, with migrations of their own.
"""
