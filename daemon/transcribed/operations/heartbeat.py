"""Report that the daemon is alive: a line in the log, and a ping to an outside service that notices its absence.

The run loop starts both, so a loop that is stuck pings no more.

Knows the status document, and one URL; nothing of what the document is made from.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import psutil
import structlog

from transcribed.core.errors import Unavailable
from transcribed.operations.status import DaemonStatus
from transcribed.system import log as logging

PING = "ping"  # the task's name
PING_SECONDS = 10.0

log = structlog.get_logger("transcribed.heartbeat")


def log_heartbeat(status: DaemonStatus | None) -> None:
    """Log the counts of today's finished files and of those that wait."""
    counts, today = (status.counts, status.today) if status else ({}, {})
    log.info(
        "heartbeat",
        done_today=today.get("done"),
        failed_today=today.get("failed"),
        running=counts.get("active"),
        waiting=counts.get("queued"),
        rss_mib=round(psutil.Process().memory_info().rss / 2**20),
        log_records_dropped=logging.dropped(),
    )


def ping(url: str, status: DaemonStatus | None) -> None:
    """Fetch `url`, with `/fail` after its path if the daemon is degraded (healthchecks.io/docs/signaling_failures).

    Raises Unavailable if the ping fails.
    """
    import http.client
    import urllib.request  # here: with HTTP and TLS it takes more memory than all of housekeeping

    place = urlsplit(url)
    if is_degraded(status):
        place = place._replace(path=f"{place.path.rstrip('/')}/fail")
    try:
        urllib.request.urlopen(place.geturl(), timeout=PING_SECONDS).close()  # noqa: S310  settings.py checked the scheme
    except (OSError, http.client.HTTPException) as error:  # the rest of the URL is a secret
        raise Unavailable(f"{place.hostname} could not be pinged: {error}.", _NETWORK) from error


_NETWORK = "As shipped, the service has no network access: install the drop-in alerts-network.conf."


def is_degraded(status: DaemonStatus | None) -> bool:
    """Return True if there is no status yet, or it holds a trouble other than a failed ping."""
    if status is None:
        return True
    of_pings = {task.error for task in status.housekeeping if task.task == PING}
    return not {*status.troubles} <= of_pings
