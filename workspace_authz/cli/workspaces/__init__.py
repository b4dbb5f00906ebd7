"""``workspace-authz workspaces``: whose data they hold, and what to do when a namespace was made again."""
