"""The console script `ledger-streams`, also reachable as `python -m ledger_streams`."""

from __future__ import annotations

from ledger_streams.cli import main

if __name__ == "__main__":
    main()
