#!/usr/bin/env python3
"""A soak of `annals serve`: clients append, read, subscribe and work in a group while the server is killed.

    soak.py PATH-OF-THE-COMMAND-ANNALS [--seconds 60] [--kills 20] [--clients 64] [--life 5] [--seed N]

Fails if anything that the server acknowledged is lost: an append, its offset, or the answer to a delivery; if a read or
a subscription has a gap or a repetition; or if a group delivers the events of a key out of order. If the Python package
umadb is there, every other client that appends, reads or subscribes uses gRPC.

The server is killed for the given seconds, and at least the given number of times. Then one server works for half as
long without an end. Its memory, without the files that it maps and without the index of the last segment, which grows
with the log, must be flat: the most in the last third at most 1.5 times the most in the second third, or 1.5 times 4
MiB. The first third is its warm-up.
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

try:
    import soak_grpc
except ImportError:
    soak_grpc = None

GROUP = "/v1/groups/work"
KEYS = 40
# The most events that are appended ahead of the workers.
AHEAD = 5_000
# How much more memory a server may take in the last third of its time than in the second.
GROWTH = 1.5
# The memory in bytes and the open files below which growth does not count: a buffer or a thread more is a part of it.
LITTLE = (4 << 20, 64)
# The least number of measurements from which growth is judged.
MEASUREMENTS = 9
# What a request may raise while the server is down.
DOWN = (OSError, http.client.HTTPException)


class Fault(Exception):
    """What must not happen."""


class World:
    """What the clients know, and the server that they use."""

    def __init__(self, annals, directory, seed):
        self.annals, self.store = annals, os.path.join(directory, "soak.store")
        self.log = os.path.join(directory, "log")
        self.random = random.Random(seed)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.lock = threading.Lock()
        self.appending, self.reading, self.running = True, True, True
        self.faults = []
        self.ids = {}  # offset -> the id of an acknowledged append
        self.highest = -1  # the highest offset in `ids`
        self.done = set()  # offsets whose answer to a delivery the server confirmed
        self.received = {}  # key -> offsets, in the order in which workers first got them
        self.seen = set()  # offsets that a worker got
        self.counts = {}
        self.head = None  # the last head, once all appends are over
        self.process = None
        self.keys = KEYS
        self.sizes = []  # of each server before its end: what `measured` returns

    def measured(self):
        """Returns the memory of the server in bytes, without the files that it maps and without the index of its last
        segment, and its number of open files; None if that cannot be found out."""
        process = f"/proc/{self.process.pid}"
        try:
            index = json.loads(Client(self).send("GET", "/v1/stats")[1])["memory_bytes"]
            with open(f"{process}/status") as status:
                memory = next(line for line in status if line.startswith("RssAnon:")).split()[1]
            return int(memory) * 1024 - index, len(os.listdir(f"{process}/fd"))
        except (*DOWN, StopIteration, KeyError, ValueError):
            return None  # Not Linux, or the server is ending.

    def measure(self):
        """Notes the memory and the open files of the server."""
        size = self.measured()
        if size is not None:
            self.sizes.append(size)

    def acknowledge(self, first, ids):
        """Notes the events of an append that the server acknowledged."""
        with self.lock:
            for offset, name in enumerate(ids, first):
                known = self.ids.setdefault(offset, name)
                if known != name:
                    raise Fault(f"the offset {offset} was given to {known} and to {name}")
            self.highest = max(self.highest, first + len(ids) - 1)

    def wait_for_workers(self):
        while self.appending and self.highest - len(self.done) > AHEAD:
            time.sleep(0.05)

    def check_ids(self, events):
        with self.lock:
            for event in events:
                known = self.ids.get(event["offset"])
                if known not in (None, event["id"]):
                    raise Fault(f"offset {event['offset']} was acknowledged as {known} and is {event['id']}")

    def count(self, what, number=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def start(self):
        command = [self.annals, "--quiet", "serve", self.store, "--wait=30s", "--listen", f"127.0.0.1:{self.port}"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)

    def ready(self):
        client = Client(self)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Fault(f"the server ended with {self.process.returncode}")
            try:
                if client.send("GET", "/health/ready")[0] == 200:
                    return
            except DOWN:
                pass
            time.sleep(0.05)
        raise Fault("the server was not ready within 60 s")


class Client:
    """A connection, which is opened again after a failure."""

    def __init__(self, world):
        self.world, self.connection = world, None

    def send(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.world.port, timeout=60)
        headers = {"Content-Type": "application/json"}
        try:
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = self.connection.getresponse()
            return response.status, response.read()
        except DOWN:
            self.connection.close()
            self.connection = None
            raise

    def insist(self, method, path, body=None):
        """Sends until there is an answer other than one that asks for a repetition."""
        while True:
            try:
                status, text = self.send(method, path, body)
                if status not in (429, 503):
                    return status, text
            except DOWN:
                self.world.count("requests that failed")
            time.sleep(0.02)


def appender(world, name):
    client, chance, number = Client(world), random.Random(name), 0
    while world.appending:
        events = []
        for _ in range(chance.randint(1, 5)):
            tags = [f"client:{name}", f"key:{chance.randrange(KEYS)}"]
            events.append({"type": "soaked", "id": f"{name}-{number}", "tags": tags, "data": number})
            number += 1
        status, text = client.insist("POST", "/v1/events", {"events": events})
        if status != 200:
            raise Fault(f"an append was refused: {text}")
        world.acknowledge(json.loads(text)["first"], [event["id"] for event in events])
        world.count("events appended", len(events))
        world.wait_for_workers()


def reader(world, name):
    client, chance = Client(world), random.Random(name)
    while world.reading:
        highest = world.highest
        start = chance.randint(0, max(highest, 0))
        status, text = client.insist("GET", f"/v1/events?from={start}&limit=200")
        if status != 200:
            raise Fault(f"a read was refused: {text}")
        events = [json.loads(line) for line in text.splitlines()]
        if [event["offset"] for event in events] != list(range(start, start + len(events))):
            raise Fault(f"a read from {start} has a gap")
        if highest >= start and len(events) < min(200, highest + 1 - start):
            raise Fault(f"a read from {start} ends before {highest}, which was acknowledged")
        world.check_ids(events)
        world.count("reads")
        time.sleep(0.02)


def subscriber(world, name):
    """Follows the log to its last head. Each connection resumes behind the last event."""
    wanted = 0
    while world.running:
        connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=5)
        try:
            headers = {"Last-Event-ID": str(wanted - 1)} if wanted else {}
            connection.request("GET", "/v1/subscribe", None, headers)
            response = connection.getresponse()
            if response.status != 200:
                response.read()
                time.sleep(0.05)
                continue
            world.count("subscriptions")
            while line := response.readline():
                if line.startswith(b"data: {\"offset\""):
                    if not line.endswith(b"\n"):
                        break  # The connection ended within the line.
                    event = json.loads(line[6:])
                    if event["offset"] != wanted:
                        raise Fault(f"a subscription has {event['offset']} in the place of {wanted}")
                    world.check_ids([event])
                    wanted += 1
                if world.head is not None and wanted >= world.head:
                    world.count("events received by subscribers", wanted)
                    return
        except DOWN:
            time.sleep(0.02)
        except ValueError:
            pass  # A line that was cut off.
        finally:
            connection.close()
        if world.head is not None and wanted >= world.head:
            world.count("events received by subscribers", wanted)
            return
    if not world.faults:
        raise Fault(f"a subscription reached {wanted} of {world.head}")


def worker(world, name):
    client, chance = Client(world), random.Random(name)
    while world.running:
        with world.lock:
            done = set(world.done)
        body = {"worker": name, "max": chance.randint(1, 8), "wait_ms": 1000, "deadline_ms": 3000}
        status, text = client.insist("POST", f"{GROUP}/pull", body)
        if status != 200:
            raise Fault(f"a pull was refused: {text}")
        deliveries = json.loads(text)["deliveries"]
        for delivery in deliveries:
            event, offset = delivery["event"], delivery["event"]["offset"]
            if offset in done:
                raise Fault(f"offset {offset} was delivered again after its answer was confirmed")
            with world.lock:
                if offset not in world.seen:
                    world.seen.add(offset)
                    for key in (tag for tag in event.get("tags", []) if tag.startswith("key:")):
                        before = world.received.setdefault(key, [])
                        if before and before[-1] > offset:
                            raise Fault(f"offset {offset} of {key} came behind {before[-1]}")
                        before.append(offset)
        world.count("deliveries", len(deliveries))
        world.count("repeated deliveries", sum(delivery["attempt"] > 1 for delivery in deliveries))
        for delivery in deliveries:
            leases = {"leases": [delivery["lease"]]}
            if chance.random() < 0.02:
                client.insist("POST", f"{GROUP}/nack", dict(leases, action="retry", reason="chance"))
                continue
            if chance.random() < 0.01:
                continue  # As if the worker was killed: the lease runs out.
            status, text = client.insist("POST", f"{GROUP}/ack", leases)
            if status == 200:
                with world.lock:
                    world.done.add(delivery["event"]["offset"])
            elif status == 409:
                world.count("lost leases")
            else:
                raise Fault(f"an ack was refused: {text}")


def run(world, client, name):
    try:
        client(world, name)
    except Fault as fault:
        world.faults.append(f"{name}: {fault}")
    except Exception as error:  # A client that fails in another way fails the soak, too.
        world.faults.append(f"{name}: {error!r}")


def soak(world, seconds, kills, clients, life):
    world.start()
    world.ready()
    settings = {"key": "key:", "max_attempts": 1_000_000, "first_pause_ms": 20, "max_pause_ms": 100}
    status, text = Client(world).insist("PUT", GROUP, settings)
    if status not in (200, 201):
        raise Fault(f"the group was refused: {text}")
    kinds = [appender] * 6 + [worker] * 4 + [reader] * 3 + [subscriber] * 3
    by_grpc = {}
    if soak_grpc:
        names = ("appender", "reader", "subscriber")
        by_grpc = {globals()[name]: getattr(soak_grpc, name) for name in names}
    threads = []
    for number in range(clients):
        kind = kinds[number % len(kinds)]
        kind = by_grpc.get(kind, kind) if number % 2 else kind
        name = f"{kind.__name__}-{number}"
        threads.append((kind, threading.Thread(target=run, args=(world, kind, name), daemon=True)))
    for _, thread in threads:
        thread.start()
    begin, ended = time.monotonic(), 0
    while (time.monotonic() < begin + seconds or ended < kills) and not world.faults:
        if time.monotonic() > begin + 10 * seconds:
            raise Fault(f"the server ended {ended} times, and not {kills} times, in ten times the time")
        time.sleep(world.random.uniform(1, life))
        world.measure()
        world.process.send_signal(signal.SIGTERM if world.random.random() < 0.2 else signal.SIGKILL)
        # A new server waits for the lock of one that is ending.
        old = world.process
        world.start()
        ended += 1
        world.count("ends of the server")
        old.wait()
    world.ready()
    steady(world, seconds / 2)
    world.appending = world.reading = False
    join(world, threads, "appender")
    if world.faults:
        return
    finish(world, threads)


def steady(world, seconds):
    """Lets one server work without an end, and judges its memory and its open files."""
    sizes, end = [], time.monotonic() + seconds
    while time.monotonic() < end and not world.faults:
        time.sleep(min(1, seconds / MEASUREMENTS / 2))
        size = world.measured()
        if size is not None:
            sizes.append(size)
    third = len(sizes) // 3
    if len(sizes) < MEASUREMENTS:
        print(f"  the memory is not judged: {len(sizes)} measurements are too few", flush=True)
        return
    before, after = ([max(values) for values in zip(*part)] for part in (sizes[third : 2 * third], sizes[2 * third :]))
    print(f"  {before[0] >> 10:>9,} KiB of memory at most in the second third of a server, {after[0] >> 10:,} in the last")
    for what, early, late, little in zip(("bytes of memory", "open files"), before, after, LITTLE):
        if late > GROWTH * max(early, little):
            raise Fault(f"a server has {late:,} {what}, {late / early:.1f} times those of before")


def join(world, threads, kind):
    for one, thread in threads:
        while one.__name__ == kind and thread.is_alive() and not world.faults:
            thread.join(1)


def finish(world, threads):
    """Lets the group and the subscriptions come to the head, and then compares everything."""
    client = Client(world)
    world.head = json.loads(client.insist("GET", "/v1/head")[1])["head"]
    # One more event, so that a subscription that is caught up gets a line and looks at the head.
    client.insist("POST", "/v1/events", {"events": [{"type": "last", "id": "last", "tags": []}]})
    handled, since = len(world.done), time.monotonic()
    while not world.faults:
        group = json.loads(client.insist("GET", GROUP)[1])
        if group["position"] >= world.head:
            break
        if len(world.done) > handled:
            handled, since = len(world.done), time.monotonic()
        if time.monotonic() > since + 60:
            raise Fault(f"the group stands still: {group}")
        time.sleep(0.1)
    join(world, threads, "subscriber")
    world.running = False
    join(world, threads, "worker")
    join(world, threads, "reader")
    compare(world, client)


def compare(world, client):
    if world.faults:
        return
    lines = client.insist("GET", "/v1/events")[1].splitlines()
    events = [json.loads(line) for line in lines]
    if [event["offset"] for event in events] != list(range(len(events))):
        raise Fault("the log has a gap")
    world.check_ids(events)
    if len({event["id"] for event in events}) != len(events):
        raise Fault("the log has an id twice")
    missing = set(world.ids) - {event["offset"] for event in events}
    if missing:
        raise Fault(f"{len(missing)} acknowledged events are lost")
    unhandled = set(range(world.head)) - world.seen
    if unhandled:
        raise Fault(f"{len(unhandled)} events were never delivered, the first at {min(unhandled)}")
    if json.loads(client.insist("GET", GROUP)[1])["parked"]:
        raise Fault("events were parked")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("annals")
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--kills", type=int, default=20, help="the least number of ends of the server")
    options.add_argument("--clients", type=int, default=64)
    options.add_argument("--life", type=float, default=5, help="the longest time until the server is killed, in s")
    options.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = options.parse_args()
    faces = "HTTP and gRPC" if soak_grpc else "HTTP only: the Python package umadb is not there"
    print(f"{options.seconds} s, {options.clients} clients, {faces}, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        world = World(os.path.abspath(options.annals), directory, options.seed)
        try:
            soak(world, options.seconds, options.kills, options.clients, options.life)
        except Fault as fault:
            world.faults.append(str(fault))
        finally:
            world.running = world.reading = world.appending = False
            world.process.kill()
            world.process.wait()
        for what, number in sorted(world.counts.items()):
            print(f"  {number:>9,} {what}")
        half = len(world.sizes) // 2
        for name, part in (("first", world.sizes[:half]), ("second", world.sizes[half:])):
            if part:
                memory, files = (max(values) for values in zip(*part))
                print(f"  {memory >> 20:>9,} MiB of memory and {files} open files at most, in the {name} half")
        for fault in world.faults:
            print(f"FAULT: {fault}", file=sys.stderr)
        if world.faults:
            with open(world.log) as log:
                sys.stderr.writelines(log.readlines()[-20:])
        return 1 if world.faults else 0


if __name__ == "__main__":
    sys.exit(main())
