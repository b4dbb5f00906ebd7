"""A reduced copy of the cluster's RBAC: it tells what has changed and what to ask, and decides nothing."""
