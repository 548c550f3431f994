"""A headless Chromium for tests, spoken to in the DevTools protocol over two pipes: no port, no driver, no package."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Page", "chromium", "open_page"]

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
ANSWER_SECONDS = 120


def chromium() -> str | None:
    """The path of a Chromium; None when there is none on PATH."""
    return next((path for name in COMMANDS if (path := shutil.which(name))), None)


class Page:
    """A tab. `console` holds what was said on its console and every error, `requests` every address it asked for."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = to_browser, from_browser
        self._buffer, self._next, self._session = b"", 0, ""
        self.console: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its result; events that come before it are remembered."""
        self._next += 1
        message = {"id": self._next, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._next:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self._remember(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._in, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def _remember(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.console.append(f"{params['type']}: {[a.get('value') for a in params['args']]}")
        elif method == "Runtime.exceptionThrown":
            self.console.append(f"exception: {params['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.console.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def show(
        self,
        file: Path,
        *,
        width: int = 1360,
        height: int = 900,
        dark: bool = False,
        media: str = "",
        script: bool = True,
    ) -> None:
        """Load a local file in a window of this size; `media` is print or empty."""
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Page.navigate", url=file.as_uri())
        begun = time.monotonic()
        while self.evaluate("document.readyState") != "complete" or self.evaluate("location.href") != file.as_uri():
            assert time.monotonic() - begun < ANSWER_SECONDS, "the page does not load"
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def run(self, script: str) -> None:
        """Run a script in the page, whatever the page's own policy on scripts."""
        self.call("Page.setBypassCSP", enabled=True)
        done = self.call("Runtime.evaluate", expression=script)
        assert "exceptionDetails" not in done, done["exceptionDetails"]

    def screenshot(self, file: Path, *, clip: Sequence[float] | None = None, scale: float = 1.0) -> None:
        """Save what is seen, or the part (x, y, width, height) of the whole page, as PNG."""
        more: dict[str, Any] = {}
        if clip is not None:
            x, y, width, height = clip
            box = {"x": x, "y": y, "width": width, "height": height, "scale": scale}
            more = {"clip": box, "captureBeyondViewport": True}
        data = self.call("Page.captureScreenshot", format="png", **more)["data"]
        file.write_bytes(base64.b64decode(data))

    def pdf(self) -> bytes:
        """The page as it prints on A4."""
        data = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)["data"]
        return base64.b64decode(data)


@contextmanager
def open_page(command: str, folder: Path) -> Iterator[Page]:
    """A tab of a new browser, whose profile is in `folder`; both are gone afterwards."""
    read_out, write_out = os.pipe()
    read_in, write_in = os.pipe()
    arguments = [
        "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--remote-debugging-pipe", f"--user-data-dir={folder}",
    ]  # fmt: skip

    def place() -> None:
        high = [os.dup(fd) for fd in (read_out, write_in)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    running = subprocess.Popen(
        [command, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=place, close_fds=False,
    )  # fmt: skip
    os.close(read_out)
    os.close(write_in)
    try:
        yield Page(write_out, read_in)
    finally:
        running.terminate()
        running.wait(30)
        os.close(write_out)
        os.close(read_in)
