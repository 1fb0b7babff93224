"""A headless Chromium to look at pages with: its DevTools protocol over a pair of pipes, so there is no port to wait
for and no driver to match, and a browser whose pipes are closed ends by itself.

https://chromedevtools.github.io/devtools-protocol; knows nothing of transcripts.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.patience import patient

SECONDS = 30.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)


def lacking() -> str | None:
    """Why pages cannot be looked at here, as a sentence; None where they can."""
    return None if shutil.which("chromium") else "chromium is not installed (Debian: apt-get install chromium)"


class Browser:
    def __init__(self, *flags: str) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        pipes = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        command = ["chromium", *FLAGS, *flags, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", pipes, "bash", *command],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        with contextlib.suppress(OSError, AssertionError):
            self.call("Browser.close")
        os.close(self._in)
        os.close(self._out)
        try:
            self._process.wait(patient(10))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """What the browser answers; what it tells meanwhile is kept in `events`."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        message |= {"sessionId": session} if session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        for answer in self._messages(SECONDS):
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']['message']}"
                return answer["result"]
        raise AssertionError(f"{method} was not answered")

    def listen(self) -> None:
        """Take in what the browser has told by now."""
        for _ in self._messages(0.0):
            pass

    def _messages(self, seconds: float) -> Iterator[dict[str, Any]]:
        until = time.monotonic() + seconds
        while True:
            while b"\0" in self._buffer:
                text, self._buffer = self._buffer.split(b"\0", 1)
                message = json.loads(text)
                if "method" in message:
                    self.events.append(message)
                yield message
            if not select.select([self._in], [], [], max(0.0, until - time.monotonic()))[0]:
                return
            data = os.read(self._in, 2**20)
            assert data, "the browser has ended"
            self._buffer += data

    def page(self, width: int = 1200, height: int = 900, *, scripts: bool = True, phone: bool = False) -> Page:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, target, session, width, height, scripts, phone)


class Page:
    """A tab.  Clicks and keys are real ones: they count as a user's."""

    def __init__(
        self, browser: Browser, target: str, session: str, width: int, height: int, scripts: bool, phone: bool
    ):
        self._browser, self._target, self._session = browser, target, session
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        scale = 2 if phone else 1
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)

    def events(self, *methods: str) -> list[dict[str, Any]]:
        self._browser.listen()
        mine = (e for e in self._browser.events if e.get("sessionId") == self._session)
        return [event["params"] for event in mine if event["method"] in methods]

    def open(self, path: Path, fragment: str = "") -> None:
        loaded = len(self.events("Page.loadEventFired"))
        self.call("Page.navigate", url=path.as_uri() + fragment)
        until = time.monotonic() + SECONDS
        while len(self.events("Page.loadEventFired")) == loaded:
            assert time.monotonic() < until, f"{path} did not load"
            time.sleep(0.01)

    def value(self, expression: str) -> Any:
        """Of a JavaScript expression; raises what it throws."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = SECONDS) -> Any:
        """Its first true value."""
        until = time.monotonic() + seconds
        while not (value := self.value(expression)):
            assert time.monotonic() < until, f"never true: {expression}"
            time.sleep(0.02)
        return value

    def click(self, selector: str, across: float = 0.5) -> None:
        """In the middle of an element, or at another share of its width."""
        find = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{find}.scrollIntoView({{block: 'nearest', behavior: 'instant'}})")
        x, y, width, height = self.value(f"(b => [b.x, b.y, b.width, b.height])({find}.getBoundingClientRect())")
        at = {"x": x + across * width, "y": y + height / 2, "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def press(self, key: str, code: int = 0, **more: Any) -> None:
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def shown(self) -> str:
        """The text that is laid out, without what separates blocks, scripts or not."""
        snapshot = self.call("DOMSnapshot.captureSnapshot", computedStyles=[])
        laid = (n for document in snapshot["documents"] for n in document["layout"]["text"] if n >= 0)
        return "".join(snapshot["strings"][n] for n in laid)

    def is_shown(self, selector: str) -> bool:
        """Whether the first such element is laid out, scripts or not."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        try:
            return bool(node and self.call("DOM.getBoxModel", nodeId=node)["model"]["height"])
        except AssertionError:
            return False

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self, path: Path) -> None:
        data = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)["data"]
        path.write_bytes(base64.b64decode(data))

    def complaints(self) -> list[str]:
        """What was thrown, or told as an error."""
        thrown = [str(e["exceptionDetails"]) for e in self.events("Runtime.exceptionThrown")]
        told = [str(e["args"]) for e in self.events("Runtime.consoleAPICalled") if e["type"] in ("error", "warning")]
        logged = [e["entry"]["text"] for e in self.events("Log.entryAdded") if e["entry"]["level"] != "info"]
        return thrown + told + logged

    def requests(self) -> list[str]:
        return [event["request"]["url"] for event in self.events("Network.requestWillBeSent")]
