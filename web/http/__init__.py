"""HTTP: bodies, problems, idempotency, the OpenAPI document and the server."""
