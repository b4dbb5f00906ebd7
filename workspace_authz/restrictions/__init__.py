"""What a request must not contain, whoever sends it."""
