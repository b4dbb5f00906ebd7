"""Whose data a workspace holds: each is bound to the UID of one namespace, in MLflow's own database.

MLflow keys data by the workspace's name alone, so a namespace that is deleted and made again by somebody else
would inherit everything. The tables are our own, beside MLflow's, with migrations of their own.
"""
