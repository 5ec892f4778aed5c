"""A headless Chromium, told what to do over a pipe: pages are opened from disk and clicked on."""

import json
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader"),
    *("--enable-unsafe-swiftshader", "--disable-background-networking", "--remote-debugging-pipe"),
    *("--no-first-run", "--hide-scrollbars", "--disable-dev-shm-usage", "--disable-extensions"),
)

_LONGEST_SECONDS = 20


def chromium() -> str | None:
    """Path of the browser; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page in one Chromium, as a context.

    Attributes:
        complaints: Errors and warnings of the console, exceptions nobody caught, in order.
        requests: Addresses that were asked for, that of the page itself included.
    """

    def __init__(self, folder: Path, width: int = 1280, height: int = 900) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._folder, self._size = folder, (width, height)
        self._number = 0

    def __enter__(self) -> "Browser":
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()
        program = chromium()
        assert program
        size = ",".join(map(str, self._size))
        flags = [*FLAGS, f"--user-data-dir={self._folder}", f"--window-size={size}", "about:blank"]
        # Chromium reads from descriptor 3 and writes to 4.
        wiring = f'exec "$0" "$@" 3<&{to_child} 4>&{from_child}'
        self._process = subprocess.Popen(
            ["bash", "-c", wiring, program, *flags],
            pass_fds=(to_child, from_child),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        self._rest = b""
        self._session: str | None = None
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(found["targetId"] for found in targets if found["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._write)
        os.close(self._read)
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._receive()
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]
            self._note(found)

    def open(self, path: Path) -> None:
        """Open a file."""
        self.send("Page.navigate", url=path.as_uri())

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression, which may be a promise."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 300) -> None:
        """Wait until a JavaScript expression is true; drawing without a GPU may be slow."""
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"{condition}: not within {seconds} s; {self.complaints}"
            time.sleep(0.05)

    def picture(self, selector: str) -> list[int]:
        """Return a canvas of a 3-D scene in 80 columns and rows of grey, once it is drawn."""
        return self.run(
            f"""new Promise(done => requestAnimationFrame(() => setTimeout(() => {{
            const from = document.querySelector({json.dumps(selector)});
            const copy = document.createElement("canvas");
            [copy.width, copy.height] = [80, 80];
            const context = copy.getContext("2d", {{ willReadFrequently: true }});
            context.fillStyle = "white";
            context.fillRect(0, 0, 80, 80);
            context.drawImage(from, 0, 0, 80, 80);
            const pixels = context.getImageData(0, 0, 80, 80).data;
            done(Array.from(pixels).filter((_, n) => n % 4 === 1));
            }}, 300)))"""
        )

    def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of an element."""
        before, place = None, self._middle(selector)
        while place != before:  # the page may still be scrolling smoothly
            time.sleep(0.05)
            before, place = place, self._middle(selector)
        self.drag(place, place)

    def _middle(self, selector: str) -> tuple[float, float]:
        """Scroll to an element; return the place of its middle in the window."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return x, y

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place and release it at another."""
        self._mouse("mousePressed", *start)
        if end != start:
            for share in (0.25, 0.5, 0.75, 1.0):
                place = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
                self._mouse("mouseMoved", *place)
        self._mouse("mouseReleased", *end)

    def key(self, name: str, shift: bool = False) -> None:
        """Press and release a key, such as ``ArrowLeft``, with the shift key or without."""
        arrows = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        code = ({"Tab": 9, "Enter": 13, " ": 32} | arrows)[name]
        text = {"Enter": {"text": "\r"}, " ": {"text": " "}}.get(name, {})
        pressed = {"key": name, "windowsVirtualKeyCode": code, "modifiers": 8 * shift}
        for kind, typed in (("keyDown", text), ("keyUp", {})):
            self.send("Input.dispatchKeyEvent", type=kind, **pressed, **typed)

    def _mouse(self, kind: str, x: float, y: float) -> None:
        self.send(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
        )

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            readable, _, _ = select.select([self._read], [], [], _LONGEST_SECONDS)
            assert readable, f"no answer within {_LONGEST_SECONDS} s; {self.complaints}"
            more = os.read(self._read, 1 << 20)
            assert more, "the browser has gone"
            self._rest += more
        message, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"])[:600])
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(parameters["args"])[:600])
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.complaints.append(parameters["entry"]["text"][:600])
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
