"""``workspace-authz grant`` and ``revoke``: rights in a workspace, as plain RBAC."""
