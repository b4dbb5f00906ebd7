"""``workspace-authz gc`` and ``archive-traces``: what a cluster's CronJobs do to MLflow's data."""
