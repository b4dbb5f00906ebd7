"""Production storage: PostgreSQL and S3 behind two replicas, what runs from time to time, and what goes wrong."""
