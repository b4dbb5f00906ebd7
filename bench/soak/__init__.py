"""``python -m bench.soak``: many clients, RBAC that keeps changing, and what must hold meanwhile."""
