"""Why a request would pass or not, step by step."""
