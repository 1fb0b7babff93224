"""Send one message to the Apprise channels and report for each whether it was accepted.

Reads a request as JSON from its standard input and writes a line of JSON per channel as soon as that has answered:
secrets appear neither in its arguments nor in its output.  A process of its own, so that neither a hung server nor
Apprise's memory burdens the daemon.  Knows Apprise; nothing of alerts.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import sys
import threading
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import apprise

NO_NETWORK = "This process has no network access; under systemd, install the drop-in alerts-network.conf to allow it."
NOT_UNDERSTOOD = "Apprise does not recognize this URL; see its documentation for the form."
_HIDDEN = "****"
_FEW_LETTERS = 4  # letters; shorter secrets are hidden only as whole words
_WHY = "Socket Exception"  # prefix of Apprise's network errors; logged at level debug, among much that is of no use


def main() -> None:
    request = json.load(sys.stdin)
    signal.alarm(round(request["seconds"]) + 5)  # exit even if the daemon is gone
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    logging.getLogger("apprise").propagate = False
    threads = [
        threading.Thread(target=_attempt, args=(number, url, request)) for number, url in enumerate(request["urls"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _attempt(number: int, url: str, request: dict[str, Any]) -> None:
    try:
        reason = _send(url, request)
    except Exception as error:  # raised by a plugin: the other channels go on
        reason = hidden(f"{type(error).__name__}: {error}", url)
    line = json.dumps({"number": number, "reason": reason}) + "\n"
    os.write(sys.stdout.fileno(), line.encode())  # one call, so that the threads' lines do not mix


def _send(url: str, request: dict[str, Any]) -> str | None:
    """Send the message; return why it was rejected, or None if it was accepted."""
    said: list[str] = []

    def hear(entry: Any, _: object) -> None:
        if entry.level in ("WARNING", "ERROR", "CRITICAL") or entry.message.startswith(_WHY):
            said.append(_short(entry.message))

    channel = apprise.Apprise(asset=apprise.AppriseAsset(app_id="transcribed", app_desc="transcribed"))
    if not channel.add(url):
        return NOT_UNDERSTOOD
    message = {"title": request["title"], "body": request["body"], "notify_type": request["type"]}
    if channel.notify(**message, body_format="text", log_callback=hear, log_level=logging.DEBUG):
        return None
    reason = hidden(" ".join(dict.fromkeys(said)), url) or "The message was rejected; Apprise gives no reason."
    return reason if _has_network() else f"{reason} {NO_NETWORK}"


def _short(text: str) -> str:
    """Return only the innermost of nested errors, as the library requests words them."""
    errors = re.findall(r"\[Errno -?\d+\] [\w ]+", text)
    return f"{_WHY}: {errors[-1]}." if errors and text.startswith(_WHY) else text.rstrip(".") + "."


def hidden(text: str, url: str) -> str:
    """Mask every part of the URL in the text, except its scheme."""
    for part in sorted(_parts(url), key=len, reverse=True):
        pattern = re.escape(part)
        pattern = pattern if len(part) >= _FEW_LETTERS else rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, _HIDDEN, text, flags=re.IGNORECASE)
    return text


def _parts(url: str) -> set[str]:
    """Return the parts of a URL.  Any of them may be a secret: in most schemes even the host is one."""
    try:
        split = urlsplit(url)
    except ValueError:
        return {url}
    values = [pair.partition("=")[2] for pair in split.query.split("&")]
    whole = [url, split.netloc, split.path, split.query, *values]
    parts = {*whole, *chain.from_iterable(re.split("[/:@,]", text) for text in (split.netloc, split.path, *values))}
    return {form for part in parts for form in (part, unquote(part)) if form.strip("/")}


def _has_network() -> bool:
    """Return True if a network other than loopback can be used.

    systemd's RestrictAddressFamilies= and PrivateNetwork= take it away.
    """
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        devices = Path("/proc/self/net/dev").read_text().splitlines()[2:]  # socket.if_nameindex() needs AF_NETLINK
        return any(device.partition(":")[0].strip() != "lo" for device in devices)
    except OSError:
        return False


if __name__ == "__main__":
    main()
