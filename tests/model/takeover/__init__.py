"""Takeover and commit, in every order: a broker, two workers, and what can go wrong between them."""
