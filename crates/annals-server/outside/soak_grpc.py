"""The clients of the soak that use gRPC: they append, read and subscribe with UmaDB's client for Python."""

import random
import time

import umadb


def is_down(error):
    """Returns whether a call failed because the server is down. The client has no class for some of these errors."""
    words = ("transport error", "reading a body", "h2 protocol error", "connection", "shutting down")
    return isinstance(error, (umadb.TransportError, OSError)) or any(word in str(error).lower() for word in words)


class Down(Exception):
    """The server is down."""


class Fault(Exception):
    """What must not happen."""


class Client:
    """A client, which connects again after a failure."""

    def __init__(self, world):
        self.world, self.client = world, None

    def call(self, use):
        """Calls `use` with a connected client."""
        try:
            if self.client is None:
                self.client = umadb.Client(f"http://127.0.0.1:{self.world.port}")
            return use(self.client)
        except Exception as error:
            self.client = None
            if is_down(error):
                raise Down from error
            raise

    def insist(self, use):
        """Repeats a call until the server answers it."""
        while True:
            try:
                return self.call(use)
            except Down:
                self.world.count("gRPC calls that failed")
            time.sleep(0.02)


def identified(sequenced):
    """Returns the offset and the id of an event."""
    return {"offset": sequenced.position - 1, "id": sequenced.event.metadata.get("$id")}


def appender(world, name):
    client, chance, number = Client(world), random.Random(name), 0
    while world.appending:
        ids, events = [], []
        for _ in range(chance.randint(1, 5)):
            tags = [f"client:{name}", f"key:{chance.randrange(world.keys)}"]
            # With the id, a repeated append adds nothing.
            ids.append(f"{name}-{number}")
            events.append(umadb.Event("soaked", str(number).encode(), tags, None, {"$id": ids[-1]}))
            number += 1
        last = client.insist(lambda connected: connected.append(events))
        world.acknowledge(last - len(ids), ids)
        world.count("events appended by gRPC", len(ids))
        world.wait_for_workers()


def reader(world, name):
    client, chance = Client(world), random.Random(name)
    while world.reading:
        highest = world.highest
        start = chance.randint(0, max(highest, 0))
        events = client.insist(lambda connected: list(connected.read(start=start + 1, limit=200)))
        events = [identified(event) for event in events]
        if [event["offset"] for event in events] != list(range(start, start + len(events))):
            raise Fault(f"a read from {start} has a gap")
        if highest >= start and len(events) < min(200, highest + 1 - start):
            raise Fault(f"a read from {start} ends before {highest}, which was acknowledged")
        world.check_ids(events)
        world.count("reads by gRPC")
        time.sleep(0.02)


def subscriber(world, name):
    """Follows the log to its last head. Each subscription begins behind the last event of the one before."""
    client, wanted = Client(world), 0
    while world.running:
        try:
            events = client.call(lambda connected: connected.subscribe(after=wanted))
            world.count("subscriptions by gRPC")
            while sequenced := client.call(lambda _: next(events, None)):
                event = identified(sequenced)
                if event["offset"] != wanted:
                    raise Fault(f"a subscription has {event['offset']} in the place of {wanted}")
                world.check_ids([event])
                wanted += 1
                if world.head is not None and wanted >= world.head:
                    world.count("events received by subscribers, by gRPC", wanted)
                    return
        except Down:
            pass
        time.sleep(0.02)
    if not world.faults:
        raise Fault(f"a subscription reached {wanted} of {world.head}")
