"""The ways in. Each turns what arrives into one request value, asks the pipeline, and applies its verdict."""
