"""Agents: one stream processor each, deciding topic batch by topic batch.

An agent knows topics and never another agent.  `bootstrap.apps` makes the agents and passes
their tables, topics and limits as parameters.
"""
