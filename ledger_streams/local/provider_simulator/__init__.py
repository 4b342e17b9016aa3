"""The provider simulator: a payment provider as a real HTTP server that misbehaves as real ones do.

`book` is what it has done, durable before it answers; `faults` draws what goes wrong,
reproducibly; `server` speaks the protocol in docs/howto/providers.md.  What it
answers may be lost; what its book has is the truth, and GET /book tells it.
"""
