"""Production storage: PostgreSQL and S3 behind two replicas, their upkeep, and what goes wrong."""
