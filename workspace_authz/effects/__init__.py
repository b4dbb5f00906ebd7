"""What a verdict does to a request or its answer, as values. Doors apply them."""
