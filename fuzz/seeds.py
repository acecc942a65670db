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
    corpus = os.path.join(HERE, "corpus")
    for target in os.listdir(corpus):
        # The seeds of proofs are signed, and not written here.
        if target != "proofs":
            shutil.rmtree(os.path.join(corpus, target))
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
    requests()
    messages()
    pages()


def requests():
    """What the server's HTTP face and its files take."""
    lease = "0.6c84fb9012c411e1840d7b25c5ee775a.17"
    event = {"type": "seat-sold", "tags": ["seat:12A"], "id": "x", "metadata": {"user": "a"}, "data": {"n": 1.50}}
    bodies = (
        {"events": [event, {"type": "b", "data_base64": "/wA="}], "conditions": [{"fail_if": [{}], "after": 3}]},
        {"items": [{"types": ["a"], "tags": ["b", "c"]}, {}], "from": 1, "to": 9, "reverse": True, "limit": 2},
        {"query": {"items": [{"types": ["a"]}]}, "key": "seat:", "from": "end", "deadline_ms": 1000, "park_key": True},
        {"worker": "mail-1", "max": 10, "wait_ms": 20000, "deadline_ms": 60000},
        {"leases": [lease], "action": "park", "reason": "why"},
        {"leases": [lease], "deadline_ms": 1000},
        {"leases": [lease]},
        {"offsets": [1, 2]},
        {"all": True},
        {"offset": 7},
    )
    for number, body in enumerate(bodies):
        seed("requests", f"body-{number}", json.dumps(body).encode())
    texts = (
        json.dumps(event) + "\n\n" + json.dumps({"type": "b"}) + "\n",
        "from=1&to=9&type=a&type=b&tag=c%20d&reverse=true&limit=3",
        "18446744073709551615",
        "bytes=1-99",
        lease,
        "# tokens\nbilling " + "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" + " read,append\n",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "[::1]:50051",
    )
    for number, text in enumerate(texts):
        seed("requests", f"text-{number}", text.encode())
    # The fields of a certificate up to the common name of its subject.
    name = der(0x30, der(0x31, der(0x30, der(0x06, b"\x55\x04\x03") + der(0x0C, b"billing"))))
    fields = der(0xA0, b"\x02\x01\x02") + der(2, b"\x01") + der(0x30, b"") + der(0x30, b"") + der(0x30, b"") + name
    seed("requests", "certificate", der(0x30, der(0x30, fields)))


def der(tag, content):
    return bytes([tag, len(content)]) + content


def messages():
    """Requests of the gRPC face. A field is written with its number; all here are shorter than 128 bytes."""

    def field(number, content):
        if isinstance(content, int):
            return bytes([number << 3, content])
        content = content.encode() if isinstance(content, str) else content
        return bytes([number << 3 | 2, len(content)]) + content

    entry = field(1, "b") + field(2, "1")
    other = field(1, "a") + field(2, "2")
    event = field(1, "a") + field(2, "t") + field(3, b"\xff{}") + field(5, entry) + field(5, other)
    uuid = field(4, "6c84fb90-12c4-11e1-840d-7b25c5ee775a")
    query = field(1, field(1, "a") + field(2, "t"))
    tracking = field(1, "source") + field(2, 9)
    seed("messages", "append", field(1, event) + field(2, field(1, query) + field(2, 7)))
    seed("messages", "append-tracked", field(1, event + uuid) + field(1, event) + field(3, tracking))
    seed("messages", "read", field(1, query) + field(2, 3) + field(3, 1) + field(4, 9) + field(6, 100))
    seed("messages", "subscribe", field(1, query) + field(2, 3) + field(3, 10))
    seed("messages", "tracking", field(1, "source"))


def pages():
    """What a browser sends to the inspector, and data that it shows. The data of several events are lines."""
    condition = json.dumps({"conditions": [{"fail_if": [{"types": ["a"]}, {"tags": ["b"]}], "after": 7}]})
    inputs = (
        "type=a&type=b&tag=c%20d&or=&tag=e&from=1&to=2026-01-05&order=oldest&text=+x+",
        "json=" + condition.replace('"', "%22"),
        '{"a":{"b":1,"c":[2,{"d":null}]},"e":"<\\u202e\u202e"}\n{"a":{"b":null,"f":{}}}\n{"a":[1.50]}\n[]\nnull',
        "[" * 30 + '{"a":{}}' + "]" * 30,
    )
    for number, text in enumerate(inputs):
        seed("pages", str(number), text.encode())


main()
