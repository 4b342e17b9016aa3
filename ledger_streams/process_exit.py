"""Ending: the one way a process dies of something that must not be acknowledged.

At once and without Faust's shutdown, which would flush, acknowledge and commit; the
supervisor starts the process again, and the log says what it has to do.
"""

from __future__ import annotations

import logging
import os
from typing import NoReturn

EXIT_SOFTWARE = 70
"""sysexits.h: an internal error."""

log = logging.getLogger(__name__)


def exit_now(what: str, error: BaseException | None) -> NoReturn:
    """Log and exit with EXIT_SOFTWARE; nothing is flushed but the logs.

    Without an error, `what` says all that there is to say.
    """
    log.critical("%s: ending this process", what, exc_info=error)
    logging.shutdown()
    os._exit(EXIT_SOFTWARE)
