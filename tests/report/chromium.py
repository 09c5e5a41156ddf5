"""A page in headless Chromium, spoken to through a pair of pipes (DevTools protocol)."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

#: Names under which it is installed.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Path of the browser; None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One headless browser with one page; a context manager."""

    def __init__(self, profile: Path, width: int = 1000, height: int = 800) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        os.set_inheritable(to_browser, True)
        os.set_inheritable(from_browser, True)
        # the protocol wants to be spoken to on descriptors 3 and 4
        command = (
            f"exec 3<&{to_browser} 4>&{from_browser}; "
            f'exec "{find()}" --headless --no-sandbox --disable-gpu --remote-debugging-pipe '
            f'--user-data-dir="{profile}" --window-size={width},{height} about:blank'
        )
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._count, self._left = 0, b""
        self.events: list[dict] = []
        found = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in found if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]

    _session: str | None = None

    def call(self, method: str, **parameters: object) -> dict:
        """Send a command and wait for its answer; what happens meanwhile goes to `events`."""
        self._count += 1
        message: dict[str, object] = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict:
        while b"\0" not in self._left:
            more = os.read(self._read, 1 << 20)
            assert more, "the browser has gone"
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def evaluate(self, expression: str) -> object:
        """Value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def open(self, path: Path) -> None:
        """Go to a file and wait until it and its pictures are there, and half a second more."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=path.as_uri())
        while self.evaluate("document.readyState") != "complete":
            time.sleep(0.05)
        time.sleep(0.5)
        self.evaluate("1")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._write)
        os.close(self._read)
