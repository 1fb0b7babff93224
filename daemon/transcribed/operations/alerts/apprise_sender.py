"""A process that sends one message to the channels of Apprise and says of each whether it was taken.

Reads a request as JSON from its standard input and writes a line of JSON per channel, as soon as it has answered:
secrets are neither in its arguments nor in what it says.  It is a process of its own so that neither a server that
hangs nor Apprise's memory are the daemon's.  Knows Apprise; nothing of alerts.
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

NO_NETWORK = "This process may use no network; under systemd, install the drop-in alerts-network.conf to open it."
NOT_UNDERSTOOD = "It is no URL that Apprise understands; see its documentation for the form."
_HIDDEN = "****"
_FEW_LETTERS = 4  # letters; shorter secrets are hidden only where they stand alone
_WHY = "Socket Exception"  # how Apprise begins what the network said; told at level debug, with much else that is not


def main() -> None:
    request = json.load(sys.stdin)
    signal.alarm(round(request["seconds"]) + 5)  # whatever becomes of the daemon
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
    except Exception as error:  # of a plugin: the other channels go on
        reason = hidden(f"{type(error).__name__}: {error}", url)
    line = json.dumps({"number": number, "reason": reason}) + "\n"
    os.write(sys.stdout.fileno(), line.encode())  # whole, whichever thread


def _send(url: str, request: dict[str, Any]) -> str | None:
    """Why it was not taken; None if it was."""
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
    reason = hidden(" ".join(dict.fromkeys(said)), url) or "It was not taken, and Apprise does not say why."
    return reason if _has_network() else f"{reason} {NO_NETWORK}"


def _short(text: str) -> str:
    """Of an error within errors, as requests tells it, only the innermost."""
    errors = re.findall(r"\[Errno -?\d+\] [\w ]+", text)
    return f"{_WHY}: {errors[-1]}." if errors and text.startswith(_WHY) else text.rstrip(".") + "."


def hidden(text: str, url: str) -> str:
    """The text without anything that stands in the URL, but for its scheme."""
    for part in sorted(_parts(url), key=len, reverse=True):
        pattern = re.escape(part)
        pattern = pattern if len(part) >= _FEW_LETTERS else rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, _HIDDEN, text, flags=re.IGNORECASE)
    return text


def _parts(url: str) -> set[str]:
    """Any of them may be a secret: in most schemes even the host is one."""
    try:
        split = urlsplit(url)
    except ValueError:
        return {url}
    values = [pair.partition("=")[2] for pair in split.query.split("&")]
    whole = [url, split.netloc, split.path, split.query, *values]
    parts = {*whole, *chain.from_iterable(re.split("[/:@,]", text) for text in (split.netloc, split.path, *values))}
    return {form for part in parts for form in (part, unquote(part)) if form.strip("/")}


def _has_network() -> bool:
    """Whether there is any but the machine's own; RestrictAddressFamilies= and PrivateNetwork= of systemd close it."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        devices = Path("/proc/self/net/dev").read_text().splitlines()[2:]  # socket.if_nameindex() needs AF_NETLINK
        return any(device.partition(":")[0].strip() != "lo" for device in devices)
    except OSError:
        return False


if __name__ == "__main__":
    main()
