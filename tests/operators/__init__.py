"""The operators as Kopf runs them, against the in-process API server."""
