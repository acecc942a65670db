#!/usr/bin/env python3
"""Opens many idle subscriptions to `annals serve`, and measures its memory.

    idle.py PATH-OF-THE-COMMAND-ANNALS [--subscriptions 10000]

Fails unless each subscription gets an event that is appended then. Says that it is skipped where a process may not have
that many open files.
"""

import argparse
import json
import os
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

REQUEST = b"GET /v1/subscribe?from=end HTTP/1.1\r\nHost: localhost\r\n\r\n"


def memory(process):
    """Returns the resident memory of a process, in KiB."""
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as response:
        return json.loads(response.read())


def wait_for(what, check):
    deadline = time.monotonic() + 120
    while not check():
        if time.monotonic() > deadline:
            sys.exit(f"FAULT: {what} within 120 s")
        time.sleep(0.1)


def is_listening(process, port):
    if process.poll() is not None:
        sys.exit(f"FAULT: the server ended with {process.returncode}")
    try:
        get(port, "/v1/head")
        return True
    except OSError:
        return False


def receive(connections, word):
    """Reads until each connection has sent this word."""
    waiting = selectors.DefaultSelector()
    for connection in connections:
        waiting.register(connection, selectors.EVENT_READ, bytearray())
    deadline, left = time.monotonic() + 120, len(connections)
    while left:
        if time.monotonic() > deadline:
            sys.exit(f"FAULT: {left} subscriptions did not get {word!r} within 120 s")
        for key, _ in waiting.select(1):
            key.data.extend(key.fileobj.recv(4096))
            if word in key.data:
                waiting.unregister(key.fileobj)
                left -= 1


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("annals")
    options.add_argument("--subscriptions", type=int, default=10_000)
    options = options.parse_args()
    wanted = options.subscriptions + 200
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < wanted:
        print(f"skipped: a process may have only {hard} open files")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        store = os.path.join(directory, "idle.store")
        process = subprocess.Popen([
            os.path.abspath(options.annals), "--quiet", "serve", store,
            "--listen", f"127.0.0.1:{port}",
            "--max-connections", str(wanted), "--max-subscriptions", str(options.subscriptions),
        ], stdin=subprocess.DEVNULL)
        try:
            measure(process, port, options.subscriptions)
        finally:
            process.kill()
            process.wait()


def measure(process, port, count):
    wait_for("the server does not listen", lambda: is_listening(process, port))
    before = memory(process)
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.sendall(REQUEST)
        connections.append(connection)
    receive(connections, b"event: caught-up")
    wait_for("not all subscriptions are listed", lambda: len(get(port, "/v1/stats")["subscriptions"]) == count)
    used = memory(process) - before
    body = json.dumps({"events": [{"type": "woken"}]}).encode()
    begin = time.monotonic()
    headers = {"Content-Type": "application/json"}
    append = urllib.request.Request(f"http://127.0.0.1:{port}/v1/events", body, headers)
    urllib.request.urlopen(append, timeout=60).read()
    receive(connections, b'"woken"')
    print(f"{count:,} idle subscriptions take {used / 1024:,.0f} MiB, {used / count:,.1f} KiB each;")
    print(f"all of them had the next event {(time.monotonic() - begin) * 1000:,.0f} ms after its append began")


if __name__ == "__main__":
    main()
