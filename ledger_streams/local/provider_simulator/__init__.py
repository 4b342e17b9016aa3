"""The provider simulator: an HTTP server that acts as a payment provider, with injected faults.

`book` stores the executed orders before the server answers; `faults` draws the faults
reproducibly; `server` implements the protocol in docs/howto/providers.md.  A response
may be lost, so the book is the truth; GET /book returns it.
"""
