"""A headless Chromium on a pipe, by its DevTools protocol: what a page says, misses and looks like."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
OFFLINE = ("--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run", "--disable-background-networking")
START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
BROKEN_IMAGES = """
Promise.all([...document.images].map(async image => {
    image.loading = "eager";
    try { await image.decode(); } catch (error) {}
    return image.naturalWidth ? "" : image.src;
})).then(sources => sources.filter(Boolean))
"""


class Browser:
    """Loads pages one after another; use as a context manager."""

    def __init__(self, profile: Path) -> None:
        theirs_in, self._out = map(high, os.pipe())
        self._in, theirs_out = map(high, os.pipe())
        command = [PROGRAM, *FLAGS, *OFFLINE, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(theirs_in), str(theirs_out), *map(str, command)],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._rest, self._events, self._session = 0, b"", [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        self._process.wait(20)

    def faults(self, page: Path) -> list[str]:
        """What goes wrong while a page loads: errors of scripts, files that are missing, images that stay empty."""
        self.load(page)
        images = self.call("Runtime.evaluate", expression=BROKEN_IMAGES, awaitPromise=True, returnByValue=True)
        return [*filter(None, map(fault_of, self._events)), *images["result"]["value"]]

    def load(self, page: Path) -> None:
        """Open a page and wait until it is loaded."""
        self._events = []
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._message())
        self.value("new Promise(done => setTimeout(done, 300))")  # scripts that run after loading

    def value(self, expression: str) -> Any:
        """What a script answers on the page."""
        return self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)[
            "result"
        ].get("value")

    def picture(self, file: Path, width: int = 1280, scheme: str = "light") -> None:
        """A picture of the whole page."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        height = min(int(self.value("document.documentElement.scrollHeight")), 12000)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": arguments}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._events += [answer] if "method" in answer else []

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._in, 1 << 20)
            if not read:
                raise RuntimeError("the browser has ended")
            self._rest += read
        first, _, self._rest = self._rest.partition(b"\0")
        return json.loads(first)


def high(descriptor: int) -> int:
    """The same end of a pipe under a number that is free of what a new process uses itself."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 20)
    os.close(descriptor)
    return copy


def fault_of(event: dict[str, Any]) -> str:
    """What an event says that is wrong; "" if nothing."""
    method, said = event["method"], event.get("params", {})
    if method == "Runtime.exceptionThrown":
        details = said["exceptionDetails"]
        return details.get("exception", {}).get("description") or details["text"]
    if method == "Log.entryAdded" and said["entry"]["level"] == "error":
        return f"{said['entry']['text']} {said['entry'].get('url', '')}"
    if method == "Runtime.consoleAPICalled" and said["type"] == "error":
        return " ".join(str(argument.get("value")) for argument in said["args"])
    if method == "Network.loadingFailed" and not said.get("canceled"):
        return f"{said['type']}: {said['errorText']}"
    return ""
