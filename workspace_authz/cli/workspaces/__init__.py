"""``workspace-authz workspaces``: whose data workspaces hold, and changing that by an administrator."""
