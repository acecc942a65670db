"""A small client of WebDriver, with nothing but Python's own library: it drives Chromium through chromedriver."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, condition, seconds=60):
    """Waits until a condition holds. The limit only ends a test that failed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain: {what}")


class Browser:
    """A headless Chromium."""

    @staticmethod
    def is_there():
        return bool(shutil.which("chromedriver") and (shutil.which("chromium") or shutil.which("google-chrome")))

    def __init__(self, directory):
        port = free_port()
        self.log = open(f"{directory}/chromedriver.log", "wb")
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=self.log, stderr=self.log)
        self.base = f"http://127.0.0.1:{port}"
        wait_for("chromedriver", self._is_ready)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        arguments.append(f"--user-data-dir={directory}/profile")
        options = {"args": arguments, "binary": shutil.which("chromium") or shutil.which("google-chrome")}
        always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._send("POST", "/session", {"capabilities": {"alwaysMatch": always}})
        self.base += f"/session/{session['sessionId']}"

    def _is_ready(self):
        try:
            return self._send("GET", "/status")["ready"]
        except OSError:
            return False

    def _send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def end(self):
        try:
            self._send("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.log.close()

    def devtools(self, command, **parameters):
        return self._send("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _size(self, width, height):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)

    def window(self, width, height=900, dark=False):
        self._size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def scripts(self, on):
        self.devtools("Emulation.setScriptExecutionDisabled", value=not on)

    def open(self, url):
        self._send("POST", "/url", {"url": url})

    def url(self):
        return self._send("GET", "/url")

    def find_all(self, css):
        return self._send("POST", "/elements", {"using": "css selector", "value": css})

    def find(self, css):
        return self._send("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def text(self, css="body"):
        try:
            return self._send("GET", f"/element/{self.find(css)}/text")
        except AssertionError as error:
            # The page was replaced between the two calls: the caller looks again.
            if "stale element" in str(error):
                return ""
            raise

    def click(self, css):
        self._send("POST", f"/element/{self.find(css)}/click", {})

    def type(self, css, text):
        self._send("POST", f"/element/{self.find(css)}/value", {"text": text})

    def keys(self, *keys):
        """Presses keys, wherever the focus is."""
        pressed = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": pressed}]})

    def script(self, code, *arguments):
        return self._send("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    def problems(self):
        """Returns the errors that the browser logged since the last call, such as a script that the policy refused."""
        entries = self._send("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def screenshot(self, path, whole=False):
        if whole:
            page = "document.documentElement"
            width, height = self.script(f"return [{page}.clientWidth, {page}.scrollHeight]")
            self._size(width, min(height, 4000))
        with open(path, "wb") as file:
            file.write(base64.b64decode(self._send("GET", "/screenshot")))
