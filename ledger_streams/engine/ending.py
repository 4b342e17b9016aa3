"""Ending, as the engine calls it; `ledger_streams.ending` has it for all layers."""

from ledger_streams.ending import EXIT_SOFTWARE, end_process

__all__ = ["EXIT_SOFTWARE", "end_process"]
