"""Input and output: what is read from and written to the API server."""
