"""The one room that opens MLflow: how it reads requests, where it stores objects, what is changed in it."""
