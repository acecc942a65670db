#!/usr/bin/env python3
"""Writes the seed corpus, fuzz/corpus/, from the golden store. Run it when that, or what a target takes, has changed."""

import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(HERE, "../crates/annals/tests")
GOLDEN = os.path.join(TESTS, "golden/format-1")
sys.dont_write_bytecode = True
sys.path.insert(0, TESTS)

import reader  # noqa: E402  (found through the path above)


def seed(target, name, content):
    directory = os.path.join(HERE, "corpus", target)
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name), "wb") as file:
        file.write(content)


def with_filter(content, index, with_blocks):
    """An index file of the golden store, which has no filter and no checksums of blocks, with both or with a filter."""
    tables = index.sections[1:]
    names = [index.entry(table, number)[1] for table in tables for number in range(reader.u32(table, 0))]
    hashes = [reader.siphash13(index.segment.store_id, name) for name in names]
    blocks = reader.filter_of(hashes, (len(hashes) + 31) // 32 * 64)
    content = bytearray(content + bytes(-len(content) % 64))
    end = len(content)
    if with_blocks:
        content[108:112] = end.to_bytes(4, "little")
    content[76:80] = len(blocks).to_bytes(4, "little")
    content[92:96] = reader.crc32c(blocks).to_bytes(4, "little")
    content[12:16] = reader.crc32c(content[16:112]).to_bytes(4, "little")
    if with_blocks:
        content += reader.checksums_of_blocks(bytes(content)) + reader.checksums_of_blocks(blocks)
    return bytes(content + blocks)


def main():
    shutil.rmtree(os.path.join(HERE, "corpus"), ignore_errors=True)
    store_id = reader.uuid.UUID(reader.read_json(os.path.join(GOLDEN, "store.json"))["store_id"]).bytes
    names = sorted(os.listdir(GOLDEN))
    firsts = [int(name[:20]) for name in names if name.endswith(".log")]
    for number, first in enumerate(firsts):
        segment = reader.Segment(GOLDEN, store_id, first, None)
        for flags in (0, 7):
            seed("frames", f"{first}-{flags}", bytes([flags]) + segment.data)
        for position, event in segment.events():
            # Alike ones teach nothing.
            if event["offset"] < 10:
                seed("bodies", str(event["offset"]), segment.record(position, event["offset"]))
        if first != firsts[-1]:
            index = reader.Index(GOLDEN, segment)
            with open(os.path.join(GOLDEN, index.name), "rb") as file:
                content = file.read()
            for flags in (number, number + 2):
                seed("indexes", f"{first}-{flags}", bytes([flags]) + content)
                for name, blocks in [("filter", False), ("blocks", True)]:
                    seed("indexes", f"{first}-{flags}-{name}", bytes([flags]) + with_filter(content, index, blocks))
    for number, name in enumerate(names):
        for deed in range(4):
            seed("stores", f"{name}-{deed}", bytes([number, deed, 200, 0]) + b"ANfr\0")
    lines = (
        {"type": "seat-sold", "tags": ["seat:12A", "show:7"], "id": "0x1", "data": {"price": 90}},
        {"type": "ping"},
        {"type": "\u540d\u524d", "metadata": {"actor": "J\u00f6rg", "": ""}, "data": [1.5e3, None, True, "\U0001f39f"]},
        {"offset": 0, "time": "2026-01-05T09:30:00.000Z", "type": "a", "data_base64": "AAEC/w=="},
        {"type": "a", "data": {"a": [[[{"b": "\\u00e4\u0000"}]]]}},
    )
    for number, line in enumerate(lines):
        seed("lines", str(number), json.dumps(line, ensure_ascii=number % 2 == 0).encode())
    entries = []
    with open(os.path.join(HERE, "../crates/annals-replicated/tests/golden/record-1.txt"), encoding="utf-8") as golden:
        for line in golden:
            entries += [bytes.fromhex(entry) for entry in line.split()[2:]]
    sized = [len(entry).to_bytes(2, "little") + entry for entry in entries]
    for count in range(1, len(sized) + 1):
        for flags in (0, 1):
            seed("records", f"{count}-{flags}", bytes([flags]) + b"".join(sized[:count]))


main()
