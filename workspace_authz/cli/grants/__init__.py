"""``workspace-authz grant``, ``revoke``, ``who`` and ``who-can``: rights in a workspace, as plain RBAC."""
