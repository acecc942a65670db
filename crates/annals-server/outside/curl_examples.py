#!/usr/bin/env python3
"""Runs the examples with curl that the documentation and `annals serve --help` give, against a real server.

    curl_examples.py PATH-OF-THE-COMMAND-ANNALS

The examples of a page run in their order, against one new server. Each request must have the status that the comment
behind it names (`# status 409: …`), and else one of success. If the comment shows a response as JSON, the response must
have the same fields. Says what is skipped where curl or jq is not there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
# The address in the documentation.
ADDRESS = "localhost:50051"
# The least number of requests that the documentation shows: fewer would mean that this script does not find them.
REQUESTS = 8


class Fault(Exception):
    """An example that does not do what the documentation says."""


def pages():
    """Returns the name and the shell blocks of each page that has examples with curl."""
    names = ["README.md"]
    for directory in ("docs", "docs/adr"):
        names += [f"{directory}/{name}" for name in sorted(os.listdir(os.path.join(ROOT, directory)))]
    for crate in sorted(os.listdir(os.path.join(ROOT, "crates"))):
        names.append(f"crates/{crate}/README.md")
    for name in names:
        path = os.path.join(ROOT, name)
        if not name.endswith(".md") or not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as page:
            blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", page.read(), re.M | re.S)
        blocks = [block for block in blocks if re.search(r"\bcurl\b", block)]
        if blocks:
            yield name, blocks


def is_complete(command):
    """Returns whether the shell does not wait for more lines."""
    check = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
    return check.returncode == 0 and not command.endswith("\\")


def commands(block):
    """Returns the commands of a block, each with the comment lines behind it."""
    found, command = [], ""
    for line in block.splitlines():
        if not command and line.lstrip().startswith("#"):
            if found:
                found[-1][1].append(line.lstrip("# "))
            continue
        command = f"{command}\n{line}" if command else line
        if command.strip() and is_complete(command):
            found.append((command, []))
            command = ""
    if command.strip():
        raise Fault(f"a command has no end: {command}")
    return found


def fields(text):
    """Returns the fields of the first line of a response; None if it is not an object in JSON."""
    try:
        value = json.loads(text.strip().splitlines()[0])
    except (ValueError, IndexError):
        return None
    return sorted(value) if isinstance(value, dict) else None


class Shell:
    """Runs commands of one page. Variables that a command sets hold for the later ones."""

    def __init__(self, annals, directory, port):
        self.directory, self.port, self.settings, self.leases = directory, port, [], {}
        self.requests = 0
        self.statuses = os.path.join(directory, "statuses")
        self.prelude = [
            f"annals() {{ {annals!r} \"$@\"; }}",
            f"curl() {{ command curl -sS --max-time 30 \"$@\" -w '%{{stderr}}%{{http_code}}\\n' 2>>{self.statuses!r}; }}",
            "set -o pipefail",
        ]

    def run(self, command, comments):
        command = command.replace(ADDRESS, f"localhost:{self.port}")
        for documented, real in self.leases.items():
            command = command.replace(documented, real)
        if re.fullmatch(r"\w+=\S*|\w+='[^']*'|\w+=\"[^\"]*\"", command.strip()):
            self.settings.append(command)
            return
        if not re.search(r"\bcurl\b", command):
            return
        if re.search(r"\bjq\b", command) and not shutil.which("jq"):
            print(f"  skipped, since jq is not there: {command}")
            return
        open(self.statuses, "w").close()
        script = "\n".join(self.prelude + self.settings + [command])
        done = subprocess.run(["bash", "-c", script], cwd=self.directory, capture_output=True, text=True, check=False)
        with open(self.statuses, encoding="utf-8") as statuses:
            statuses = statuses.read().split()
        said = f"{command}\nprinted {done.stdout!r} {done.stderr!r}, with the status {statuses}"
        if done.returncode or not statuses:
            raise Fault(f"{said}, and ended with {done.returncode}")
        self.requests += len(statuses)
        self.compare(comments, statuses[-1], done.stdout, said)

    def compare(self, comments, status, response, said):
        for comment in comments:
            expected = re.match(r"status (\d+)(?:: (.*))?", comment)
            if expected:
                if status != expected[1]:
                    raise Fault(f"{said}, not {expected[1]}")
                return
        if not status.startswith("2"):
            raise Fault(f"{said}, which is not success")
        for comment in comments:
            for lease, real in zip(re.findall(r'"lease":"([^"]*)"', comment), re.findall(r'"lease":"([^"]*)"', response)):
                self.leases[lease] = real
            shown = fields(comment)
            if shown is not None and shown != fields(response):
                raise Fault(f"{said}; the documentation shows {comment}")


def served(annals, directory, examples):
    """Runs examples against a new server. Returns the number of requests."""
    append = [annals, "--quiet", "append", "other.store", "--type", "noted"]
    subprocess.run(append, cwd=directory, stdout=subprocess.DEVNULL, check=True)
    command = [annals, "serve", "my.store", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        port = None
        for line in server.stderr:
            if "listening on" in line:
                port = line.rsplit(":", 1)[1].strip()
            if "pages for a browser" in line:
                break
        if port is None:
            raise Fault("the server did not start")
        shell = Shell(annals, directory, port)
        for block in examples:
            for example in commands(block):
                shell.run(*example)
        return shell.requests
    finally:
        server.terminate()
        server.communicate()


def help_of(annals):
    """Returns the example with curl of `annals serve --help`."""
    text = subprocess.run([annals, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.lstrip().startswith("curl "))
    example = [lines[start].strip()]
    while example[-1].endswith("\\"):
        start += 1
        example.append(lines[start].strip())
    return "\n".join(example)


def main():
    annals = os.path.abspath(sys.argv[1])
    if not shutil.which("curl"):
        print("skipped: curl is not there")
        return 0
    total = 0
    for name, blocks in [*pages(), ("annals serve --help", [help_of(annals)])]:
        with tempfile.TemporaryDirectory() as directory:
            try:
                requests = served(annals, directory, blocks)
            except Fault as fault:
                print(f"FAULT in {name}: {fault}", file=sys.stderr)
                return 1
        print(f"  {name}: {requests} requests")
        total += requests
    if total < REQUESTS:
        print(f"FAULT: only {total} requests were found", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
