#!/usr/bin/env python3
"""Writes the golden entries of a record, or with the argument `tail` the golden file `record.tail` of a replica that has
these commits, from docs/RECORD.md and docs/FORMAT.md alone.

Each line of the entries is: a name, the hash of the commit, and its entries, all in hex. Each line of the file is: a
position and the bytes there in hex. All other bytes of the file are zero.
"""

import hashlib
import struct
import sys

STORE = bytes.fromhex("4d8e6469f0174b469d4f7128d3fd4ec6")
WRITER = bytes.fromhex("0a0b0c0d0e0f40018002030405060708")
NONE = bytes(32)
KINDS = {"genesis": 0, "events": 1, "barrier": 2, "epoch": 3}
TIME = 1_700_000_000_000


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def header(kind, number, previous, first, events, batches, body, part=(0, 0, 0, 0)):
    head = b"ANcm" + struct.pack("<HH", 1, 256) + bytes(4) + struct.pack("<HHII", *part)
    head += struct.pack("<B7xQ", KINDS[kind], number) + previous + STORE + WRITER
    head += struct.pack("<QIII", first, events, batches, len(body))
    return head + bytes(256 - len(head))


def commit(kind, number, previous, first, events, batches, body, entry_bytes=1 << 20):
    """Returns the hash of a commit and its entries."""
    fields = (kind, number, previous, first, events, batches, body)
    room = entry_bytes - 256
    count = max(1, -(-len(body) // room))
    entries = []
    for index in range(count):
        part = body[index * room:(index + 1) * room]
        entry = header(*fields, (index, count, index * room, len(part))) + part
        entries.append(entry[:8] + struct.pack("<I", crc32c(entry[:8] + entry[12:])) + entry[12:])
    return hashlib.sha256(header(*fields) + body).digest(), entries


def event(event_type, tags, event_id, data):
    names = [name.encode() for name in (event_type, *tags, event_id)]
    sizes = bytes([len(names[0]), len(tags), len(names[-1]), 0] + [len(tag) for tag in names[1:-1]])
    return bytes(4) + sizes + b"".join(names) + data


def batch(time, bodies):
    records = b""
    for body in bodies:
        records += struct.pack("<IIQ", crc32c(body), 16 + len(body), 0) + body
        records += bytes(-len(records) % 8)
    return struct.pack("<QII", time, len(bodies), len(records)) + records


def tail(commits):
    """Prints the parts of the file `record.tail`."""
    print(0, (b"ANtail2\0" + STORE).hex())
    ring, places, slot, head, time = b"", [], 0, 0, 0
    for number, (name, (digest, entries)) in enumerate(commits.items()):
        start = entries[0]
        kind = start[24]
        (events,) = struct.unpack("<I", start[112:116])
        body = b"".join(entry[256:] for entry in entries)
        sizes, at = [], 0
        while kind == KINDS["events"] and at < len(body):
            time, size, length = struct.unpack("<QII", body[at:at + 16])
            sizes.append(size)
            at += 16 + length
        details = body if kind in (KINDS["genesis"], KINDS["epoch"]) else b""
        if len(sizes) > 1:
            details = b"".join(struct.pack("<H", size - 1) for size in sizes)
        slot, head = slot + len(entries), head + events
        place = struct.pack("<HBxQQQQ", len(entries), kind, slot, number, head, time) + digest
        place += WRITER + struct.pack("<QII", len(ring), len(details), events)
        places.append(struct.pack("<I", crc32c(place)) + place)
        ring += details
    print(64, ring.hex())
    print(64 + (1 << 20), b"".join(places).hex())


def main():
    sold = event("seat-sold", ["seat:12Ä", "show:7"], "request-1", b'{"price":90}')
    freed = event("seat-freed", ["seat:12Ä"], "", b"")
    photo = event("photo-taken", [], "", bytes(index % 251 for index in range(5_000)))
    commits = {}

    def add(name, *fields, **options):
        commits[name] = commit(*fields, **options)
        return commits[name][0]

    tip = add("genesis", "genesis", 0, NONE, 0, 0, 0, struct.pack("<Q", TIME) + b"annals 0.2.0")
    first = tip
    body = batch(TIME + 1, [sold, freed]) + batch(TIME + 1, [freed])
    tip = add("events", "events", 1, tip, 0, 3, 2, body)
    tip = add("barrier", "barrier", 2, tip, 3, 0, 0, b"")
    tip = add("in-parts", "events", 3, tip, 3, 1, 1, batch(TIME + 2, [photo]), entry_bytes=2_048)
    cut = struct.pack("<QQ", TIME + 3, 0) + first + "a backup was restored".encode()
    add("epoch", "epoch", 4, tip, 4, 0, 0, cut)
    if sys.argv[1:] == ["tail"]:
        return tail(commits)
    for name, (digest, entries) in commits.items():
        print(name, digest.hex(), *(entry.hex() for entry in entries))


main()
