"""A small app on the real engine: adds numbers, and fails on command at chosen moments."""
