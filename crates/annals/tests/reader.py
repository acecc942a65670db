#!/usr/bin/env python3
"""Reads a store, knowing nothing but docs/FORMAT.md; with the standard library only.

    reader.py STORE                  every event, as a JSON line each
    reader.py STORE --tag seat:12A   the events with this tag (or --type, or --id): in sealed segments found
                                     through their indexes, in the active one by reading it

Every checksum of what is read is looked at; without --tag, --type or --id that is all there are, and the indexes
are held against the events. Exits with 1 and a message on damage.
"""

import argparse
import base64
import json
import os
import re
import struct
import sys
import uuid

SEGMENT_HEAD, FRAME_HEAD, RECORD_HEAD, INDEX_HEAD = 64, 48, 16, 112
TYPES, TAGS, IDS = 1, 2, 3  # the index's sections; 0 are the positions


class Damage(Exception):
    """What is there is not what the format says."""


# --- CRC-32C -------------------------------------------------------------------------------------------------------


def crc_tables():
    """The register after 8 bits, for each value of its lowest byte; and after 16, two bytes at a time."""
    byte_table = []
    for value in range(1 << 8):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        byte_table.append(value)
    once = [(value >> 8) ^ byte_table[value & 0xFF] for value in range(1 << 16)]
    return byte_table, [(value >> 8) ^ byte_table[value & 0xFF] for value in once]


BYTE_TABLE, PAIR_TABLE = crc_tables()


def crc32c(data, crc=0):
    """CRC-32C of `data`, or going on from the CRC of what came before it."""
    table, register = PAIR_TABLE, crc ^ 0xFFFFFFFF
    even = len(data) & ~1
    for (pair,) in struct.iter_unpack("<H", data[:even]):
        register = table[(register ^ pair) & 0xFFFF] ^ (register >> 16)
    for byte in data[even:]:
        register = BYTE_TABLE[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register ^ 0xFFFFFFFF


# --- SipHash-1-3 ---------------------------------------------------------------------------------------------------


def siphash13(key, data):
    mask = 0xFFFFFFFFFFFFFFFF
    k0, k1 = struct.unpack("<QQ", key)
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def rounds(count):
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0 = (v0 + v1) & mask
            v1 = ((v1 << 13 | v1 >> 51) & mask) ^ v0
            v0 = (v0 << 32 | v0 >> 32) & mask
            v2 = (v2 + v3) & mask
            v3 = ((v3 << 16 | v3 >> 48) & mask) ^ v2
            v0 = (v0 + v3) & mask
            v3 = ((v3 << 21 | v3 >> 43) & mask) ^ v0
            v2 = (v2 + v1) & mask
            v1 = ((v1 << 17 | v1 >> 47) & mask) ^ v2
            v2 = (v2 << 32 | v2 >> 32) & mask

    whole = len(data) & ~7
    last = data[whole:].ljust(7, b"\0") + bytes([len(data) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", data[:whole] + last):
        v3 ^= word
        rounds(1)
        v0 ^= word
    v2 ^= 0xFF
    rounds(3)
    return v0 ^ v1 ^ v2 ^ v3


# --- Events --------------------------------------------------------------------------------------------------------


def u32(data, at):
    return int.from_bytes(data[at : at + 4], "little")


def u64(data, at):
    return int.from_bytes(data[at : at + 8], "little")


def parse_body(body):
    """The parts of an event's body."""
    if len(body) < 8 or body[7] != 0 or body[4] == 0:
        raise Damage("a body with a bad head")
    metadata_size, type_size, tag_count, id_size = u32(body, 0), body[4], body[5], body[6]
    tag_sizes = body[8 : 8 + tag_count]
    at = 8 + tag_count

    def take(size):
        nonlocal at
        at += size
        if at > len(body):
            raise Damage("a body whose parts are longer than the whole")
        return body[at - size : at]

    try:
        event_type = take(type_size).decode()
        tags = [take(size).decode() for size in tag_sizes]
        event_id = take(id_size).decode() or None
        entries, metadata, place = take(metadata_size), {}, 0
        while place < len(entries):
            if place + 3 > len(entries):
                raise Damage("metadata that is not whole")
            name_size, value_size = entries[place], int.from_bytes(entries[place + 1 : place + 3], "little")
            middle, end = place + 3 + name_size, place + 3 + name_size + value_size
            if end > len(entries) or name_size == 0:
                raise Damage("metadata that is not whole")
            metadata[entries[place + 3 : middle].decode()] = entries[middle:end].decode()
            place = end
    except UnicodeDecodeError as error:
        raise Damage(f"text that is no UTF-8: {error}") from None
    if len(tag_sizes) != tag_count or "" in tags:
        raise Damage("a body with an empty tag")
    return {"type": event_type, "tags": tags, "id": event_id, "metadata": metadata, "data": body[at:]}


# --- Segments ------------------------------------------------------------------------------------------------------


class Segment:
    """One .log file: from `first` up to `end`, or, the active one, up to where it ends."""

    def __init__(self, directory, store_id, first, end):
        self.name = f"{first:020}.log"
        self.first, self.end, self.store_id = first, end, store_id
        with open(os.path.join(directory, self.name), "rb") as file:
            self.data = file.read()
        head = self.data[:SEGMENT_HEAD]
        if len(head) < SEGMENT_HEAD or head[:8] != b"annals.l" or u32(head, 8) != 1:
            raise Damage(f"{self.name}: no segment of format 1")
        if u32(head, 12) != crc32c(head[16:]):
            raise Damage(f"{self.name}: a wrong checksum of its head")
        if head[16:32] != store_id or u64(head, 32) != first:
            raise Damage(f"{self.name}: a segment of another store or place")
        self.crc_before, self.frames_crc = u32(head, 48), 0
        self.seed = crc32c(struct.pack("<Q", first), crc32c(store_id))

    def frame_head(self, at):
        """The head of the frame at `at`: checksum of the record heads, size, count, first offset, time, durable."""
        head = self.data[at : at + FRAME_HEAD]
        if len(head) < FRAME_HEAD or head[:4] != b"ANfr":
            raise Damage(f"{self.name}: no frame at byte {at}")
        if u32(head, 4) != crc32c(head[8:], self.seed):
            raise Damage(f"{self.name}: a wrong checksum of the frame's head at byte {at}")
        return struct.unpack("<III4xQQQ", head[8:])

    def record(self, at, offset):
        """The body of the record at `at`, which is that of `offset`."""
        checksum, size, place, _ = struct.unpack("<IIII", self.data[at : at + RECORD_HEAD].ljust(16, b"\0"))
        if size <= RECORD_HEAD or at + size > len(self.data):
            raise Damage(f"{self.name}: a record of a wrong size at byte {at}")
        if self.first + place != offset:
            raise Damage(f"{self.name}: not the record of offset {offset} at byte {at}")
        body = self.data[at + RECORD_HEAD : at + size]
        if checksum != crc32c(body):
            raise Damage(f"{self.name}: a wrong checksum of the record at byte {at}")
        return body

    def frame(self, start):
        """All of the frame at `start`: its head, its end, and (position, offset, body) of its records."""
        heads_crc, records_size, count, first, _, _ = head = self.frame_head(start)
        end = start + FRAME_HEAD + records_size
        if end > len(self.data) or count == 0:
            raise Damage(f"{self.name}: the frame at byte {start} is not whole")
        records, at, computed = [], start + FRAME_HEAD, 0
        for offset in range(first, first + count):
            if at + RECORD_HEAD > end:
                raise Damage(f"{self.name}: fewer records than there should be in the frame at byte {start}")
            body = self.record(at, offset)
            if u32(self.data, at + 12) != at - start:
                raise Damage(f"{self.name}: a record with a wrong distance at byte {at}")
            computed = crc32c(self.data[at : at + RECORD_HEAD], computed)
            records.append((at, offset, body))
            behind = at + RECORD_HEAD + len(body)
            at = (behind + 7) & ~7
            if at > end or any(self.data[behind:at]):
                raise Damage(f"{self.name}: bad padding at byte {behind}")
        if computed != heads_crc:
            raise Damage(f"{self.name}: a wrong checksum of the record heads of the frame at byte {start}")
        if at != end:
            raise Damage(f"{self.name}: other records than there should be in the frame at byte {start}")
        return head, end, records

    def events(self):
        """(position, event) of all events, every checksum looked at. The active segment's end is set."""
        at, offset = SEGMENT_HEAD, self.first
        while offset != self.end:
            try:
                head, end, records = self.frame(at)
                if head[3] != offset:
                    raise Damage(f"{self.name}: not the frame of offset {offset} at byte {at}")
            except Damage as damage:
                self.check_end(at, offset, damage)
                return
            self.frames_crc = crc32c(self.data[at + 8 : at + FRAME_HEAD], self.frames_crc)
            for position, offset, body in records:
                yield position, {"offset": offset, "time_ms": head[4], **parse_body(body)}
            at, offset = end, offset + 1

    def check_end(self, at, offset, damage):
        """No whole frame at `at`: the log's end, a commit that a crash cut off, or damage."""
        if self.end is not None:
            raise damage
        self.end = offset
        rest = self.data[at:].rstrip(b"\0")
        for later in range(at + 8, at + len(rest), 8):
            if self.data[later : later + 4] == b"ANfr":
                try:
                    durable = self.frame(later)[0][5]
                except Damage:
                    continue
                if durable > offset:
                    raise damage
        if rest:
            print(f"{self.name}: {len(rest)} bytes from byte {at} on are no whole commit: {damage}", file=sys.stderr)

    def read(self, at, offset):
        """The event at `offset`, whose record is at `at`: without looking at any other."""
        body = self.record(at, offset)
        _, _, count, first, time_ms, _ = self.frame_head(at - u32(self.data, at + 12))
        if not first <= offset < first + count:
            raise Damage(f"{self.name}: the record at byte {at} is of another frame")
        return {"offset": offset, "time_ms": time_ms, **parse_body(body)}


# --- Indexes -------------------------------------------------------------------------------------------------------


class Index:
    """The .idx file of a sealed segment."""

    def __init__(self, directory, segment):
        self.name, self.segment = segment.name[:-4] + ".idx", segment
        with open(os.path.join(directory, self.name), "rb") as file:
            data = file.read()
        head = data[:INDEX_HEAD]
        if len(head) < INDEX_HEAD or head[:8] != b"annals.i" or u32(head, 8) != 1:
            raise Damage(f"{self.name}: no index of format 1")
        if u32(head, 12) != crc32c(head[16:]):
            raise Damage(f"{self.name}: a wrong checksum of its head")
        count = segment.end - segment.first
        if head[16:32] != segment.store_id or (u64(head, 32), u64(head, 40)) != (segment.first, count):
            raise Damage(f"{self.name}: not the index of its segment")
        self.frames_crc, self.sections = u32(head, 60), []
        for at in range(48, INDEX_HEAD, 16):
            start, size, checksum, _ = struct.unpack("<IIII", head[at : at + 16])
            section = data[start : start + size]
            if len(section) != size or crc32c(section) != checksum:
                raise Damage(f"{self.name}: a wrong checksum of section {(at - 48) // 16}")
            self.sections.append(section)
        size = u32(head, 76)
        self.filter = data[len(data) - size :] if size else b""
        if len(self.filter) != size or size % 64 or crc32c(self.filter) != u32(head, 92):
            raise Damage(f"{self.name}: a wrong filter")
        self.check_blocks(data, u32(head, 108))

    def check_blocks(self, data, end):
        """The checksums of blocks, which start at `end`; a file of an older annals has none."""
        if end == 0:
            return
        checksums = checksums_of_blocks(data[:end]) + checksums_of_blocks(self.filter)
        if end % 64 or data[end:] != checksums + self.filter:
            raise Damage(f"{self.name}: a wrong checksum of a block")

    def position(self, place):
        return u32(self.sections[0], place * 4)

    def entry(self, table, number):
        """An entry's part of the hash, name, and places."""
        at = 8 + u32(table, 4) * 4 + number * 16
        upper, name, start, count = struct.unpack("<IIII", table[at : at + 16])
        places = [u32(table, start + 4 * place) for place in range(count)]
        return upper, table[name + 1 : name + 1 + table[name]], places

    def find(self, section, name):
        """The places of the events with this name: through the hash table."""
        table, name = self.sections[section], name.encode()
        slots, hashed = u32(table, 4), siphash13(self.segment.store_id, name)
        if not all(self.filter[bit // 8] >> bit % 8 & 1 for bit in filter_bits(hashed, len(self.filter))):
            return []
        for step in range(slots):
            slot = (hashed + step) % slots
            number = u32(table, 8 + slot * 4)
            if number == 0:
                return []
            upper, found, places = self.entry(table, number - 1)
            if (upper, found) == (hashed >> 32, name):
                return places
        return []

    def check(self, events):
        """Holds everything in the index against the segment's events, which are (position, event)."""
        names = {TYPES: {}, TAGS: {}, IDS: {}}
        for place, (position, event) in enumerate(events):
            if self.position(place) != position:
                raise Damage(f"{self.name}: a wrong position of event {place}")
            for section, section_names in names_of(event):
                for name in dict.fromkeys(section_names):
                    names[section].setdefault(name, []).append(place)
        hashes = [siphash13(self.segment.store_id, name.encode()) for table in names.values() for name in table]
        if self.filter != filter_of(hashes, len(self.filter)):
            raise Damage(f"{self.name}: a filter of other names than its segment has")
        for section, expected in names.items():
            table = self.sections[section]
            entries = [self.entry(table, number) for number in range(u32(table, 0))]
            if {name.decode(): places for _, name, places in entries} != expected:
                raise Damage(f"{self.name}: section {section} has other names or events than its segment")
            for name, places in expected.items():
                if self.find(section, name) != places:
                    raise Damage(f"{self.name}: {name!r} is not found in section {section}")


def checksums_of_blocks(data):
    """The checksums of the blocks of 1024 bytes, with zeroes up to a multiple of 64."""
    blocks = [data[at : at + 1024] for at in range(0, len(data), 1024)]
    checksums = b"".join(struct.pack("<I", crc32c(block)) for block in blocks)
    return checksums + bytes(-len(checksums) % 64)


def filter_bits(hashed, size):
    """The bits of a name in a filter of so many bytes; none if there is no filter."""
    if size == 0:
        return []
    block = (hashed % (1 << 28)) * (size // 64) >> 28
    return [block * 512 + (hashed >> shift) % 512 for shift in (28, 37, 46, 55)]


def filter_of(hashes, size):
    """The filter of the names with these hashes, of so many bytes."""
    blocks = bytearray(size)
    for hashed in hashes:
        for bit in filter_bits(hashed, size):
            blocks[bit // 8] |= 1 << bit % 8
    return bytes(blocks)


def names_of(event):
    ids = [event["id"]] if event["id"] else []
    return (TYPES, [event["type"]]), (TAGS, event["tags"]), (IDS, ids)


# --- The store -----------------------------------------------------------------------------------------------------


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_store(directory, section, name):
    """Yields all events, or those with `name` in `section`."""
    store = read_json(os.path.join(directory, "store.json"))
    if store["format"] != 1:
        raise Damage(f"format {store['format']}, of which this reader knows nothing")
    store_id = uuid.UUID(store["store_id"]).bytes
    files = os.listdir(directory)
    firsts = sorted(int(file[:20]) for file in files if re.fullmatch(r"[0-9]{20}\.log", file))
    if not firsts or firsts[0] != 0:
        raise Damage("no first segment")
    if any(re.fullmatch(r"[0-9]{20}\.idx", file) and int(file[:20]) >= firsts[-1] for file in files):
        raise Damage("no segment after one that was sealed")
    before = None
    for first, end in zip(firsts, firsts[1:] + [None]):
        segment = Segment(directory, store_id, first, end)
        index = None
        if f"{first:020}.idx" in files and end is not None:
            index = Index(directory, segment)
        if section is not None and index is not None:
            for place in index.find(section, name):
                yield segment.read(index.position(place), first + place)
        elif section is not None:
            found = (event for _, event in segment.events() if name in dict(names_of(event))[section])
            yield from found
        else:
            events = list(segment.events())
            if index is not None:
                index.check(events)
                if index.frames_crc not in (0, segment.frames_crc):
                    raise Damage(f"{index.name}: the index of other frames")
            if before is not None and segment.crc_before not in (0, before.frames_crc):
                raise Damage(f"{before.name}: not the frames that {segment.name} was begun after")
            before = segment
            yield from (event for _, event in events)
    closed = os.path.join(directory, "closed.json")
    head = read_json(closed)["head"] if os.path.exists(closed) else 0
    if head > segment.end:
        raise Damage(f"the log ends at offset {segment.end}, and at {head} when the store was last closed")


def main():
    parser = argparse.ArgumentParser(description="Prints the events of a store as JSON lines.")
    parser.add_argument("store")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--type")
    which.add_argument("--tag")
    which.add_argument("--id")
    given = parser.parse_args()
    asked = [(TYPES, given.type), (TAGS, given.tag), (IDS, given.id)]
    section, name = next((pair for pair in asked if pair[1] is not None), (None, None))
    try:
        for event in read_store(given.store, section, name):
            event["data"] = base64.b64encode(event["data"]).decode()
            print(json.dumps(event))
    except (Damage, OSError, ValueError, KeyError, IndexError, struct.error) as problem:
        sys.exit(f"{given.store}: {problem}")


if __name__ == "__main__":
    assert crc32c(b"123456789") == 0xE3069283
    main()
