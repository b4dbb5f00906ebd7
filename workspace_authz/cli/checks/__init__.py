"""What ``workspace-authz check`` looks at."""
