"""Saga: the course of one payment; its state, transitions and decisions."""
