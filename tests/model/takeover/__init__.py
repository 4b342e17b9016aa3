"""Takeover and commit in every order: a broker, two workers, and faults between them."""
