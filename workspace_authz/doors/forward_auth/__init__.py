"""The door for proxies: each asks here whether it may pass a request on to an MLflow of its own."""
