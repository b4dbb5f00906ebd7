"""The command line: doors for people, over the same parts as the server."""
