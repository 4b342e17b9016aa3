"""Agents: one stream each, decided frame by frame; they know topics, never each other."""
