"""Process exit: ends this process at once when going on would acknowledge a record wrongly.

Faust's shutdown would flush, acknowledge and commit, so it is skipped.  The supervisor starts the process
again; its takeover reads from the log where to continue.
"""

from __future__ import annotations

import logging
import os
from typing import NoReturn

EXIT_SOFTWARE = 70
"""EX_SOFTWARE of sysexits.h: an internal error."""

log = logging.getLogger(__name__)


def exit_now(reason: str, error: BaseException | None) -> NoReturn:
    """Log `reason` and the error, flush the logs and nothing else, exit with EXIT_SOFTWARE."""
    log.critical("%s: ending this process (exit code %d)", reason, EXIT_SOFTWARE, exc_info=error)
    logging.shutdown()
    os._exit(EXIT_SOFTWARE)
