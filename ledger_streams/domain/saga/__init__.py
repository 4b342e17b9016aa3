"""Saga: the process manager of one payment; its state, transitions and decisions."""
