"""``workspace-authz database``: the schema of the server's databases."""
