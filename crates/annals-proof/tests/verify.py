"""Verifies an annals evidence file, with Python's standard library only: verify.py VKEY < FILE

It shares no code with annals. It checks the log's signature (Ed25519, RFC 8032), the subset proof (RFC 6962 trees), contents, whole ranges
and earlier checkpoints of the same key. Other signature lines are passed over. Exits with 1 if anything does not hold.
"""
import base64, hashlib, json, sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def sha(data):
    return hashlib.sha256(data).digest()


def need(condition, problem):
    if not condition:
        raise ValueError(problem)


def b64(text):
    need(isinstance(text, str), "not a text")
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "not the one form of base64")
    return data


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def mul(s, p):
    q = (0, 1, 1, 0)
    while s:
        if s & 1:
            q = add(q, p)
        p, s = add(p, p), s >> 1
    return q


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    need(y < P, "not a point")
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    need((x * x - x2) % P == 0 and not (x == 0 and sign), "not a point")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def signed(key, message, signature):
    need(len(signature) == 64, "a signature of another size")
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    need(s < L, "a signature of another form")
    h = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    base = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    a, b = mul(s, base), add(point(r), mul(h, point(key)))
    need((a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0, "a bad signature")


def name_is_good(name):
    return 0 < len(name.encode()) < 256 and not any(c.isspace() or c == "+" or ord(c) < 32 or 127 <= ord(c) < 160 for c in name)


def checkpoint(note, vkey):
    """Returns (origin, size, root) of a checkpoint that the key signed."""
    name, key_id, key = vkey.split("+", 2)
    key = b64(key)
    need(sha(name.encode() + b"\n" + key)[:4].hex() == key_id and key[0] == 1, "a bad vkey")
    need(isinstance(note, str) and not any(c < " " and c != "\n" for c in note), "a bad note")
    text, lines = note[: note.rindex("\n\n") + 1], note[note.rindex("\n\n") + 2 :]
    need(lines.endswith("\n"), "a note without an end")
    found = False
    for line in lines[:-1].split("\n"):
        dash, signer, signature = line.split(" ", 2)
        signature = b64(signature)
        need(dash == "\u2014" and name_is_good(signer) and len(signature) > 4, "a bad signature line")
        if signer == name and signature[:4].hex() == key_id:
            signed(key[1:], text.encode(), signature[4:])
            found = True
    origin, size, root, end = text.split("\n")
    need(found and origin == name and end == "", "not signed by the key")
    need(size.isascii() and size.isdigit() and str(int(size)) == size and int(size) <= 2**63, "a bad size")
    root = b64(root)
    need(len(root) == 32, "a bad root")
    return origin, int(size), root


def split(count):
    return 1 << (count - 1).bit_length() - 1


def subset_root(leaves, low, high, hashes):
    if not leaves:
        need(hashes, "too few hashes")
        return hashes.pop(0)
    if high - low == 1:
        return leaves[0][1]
    middle = low + split(high - low)
    left = subset_root([leaf for leaf in leaves if leaf[0] < middle], low, middle, hashes)
    right = subset_root([leaf for leaf in leaves if leaf[0] >= middle], middle, high, hashes)
    return sha(b"\1" + left + right)


def continues(old, size, proof):
    """Returns the roots at the two sizes to which a consistency proof leads; the old root is `old[1]`."""
    old, old_root = old

    def walk(old, size, whole):
        if old == size:
            hash = old_root if whole else proof.pop(0)
            return hash, hash
        middle = split(size)
        if old <= middle:
            a, b = walk(old, middle, whole)
            return a, sha(b"\1" + b + proof.pop(0))
        a, b = walk(old - middle, size - middle, False)
        left = proof.pop(0)
        return sha(b"\1" + left + a), sha(b"\1" + left + b)

    return walk(old, size, True)


def event(shown):
    need(set(shown) <= {"entry", "content"}, "an unknown member")
    entry = b64(shown["entry"])
    need(len(entry) >= 57 and entry[0] == 1, "a bad entry")
    header = entry[49:]
    need(header[4] > 0 and header[5] <= 64 and header[7] == 0, "bad sizes")
    sizes = [header[4], *header[8 : 8 + header[5]], header[6]]
    need(len(header) == 8 + header[5] + sum(sizes), "sizes that do not fill the entry")
    at, names = 8 + header[5], []
    for index, size in enumerate(sizes):
        name = header[at : at + size].decode()
        need(size > 0 or index == len(sizes) - 1, "an empty name")
        need(not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name), "a control character")
        names.append(name)
        at += size
    if "content" in shown:
        content = b64(shown["content"])
        need(sha(content) == entry[17:49] and int.from_bytes(header[:4], "little") <= len(content), "another content")
    return int.from_bytes(entry[1:9], "little"), sha(b"\0" + entry), names


def once(pairs):
    need(len(pairs) == len(dict(pairs)), "a duplicate member")
    return dict(pairs)


def verify(text, vkey):
    file = json.loads(text, object_pairs_hook=once)
    known = {"annals_evidence", "checkpoint", "hashes", "events", "whole", "earlier", "key", "states", "state"}
    need(isinstance(file, dict) and set(file) <= known, "an unknown member")
    need(type(file["annals_evidence"]) is int and file["annals_evidence"] == 1, "another version")
    origin, size, root = checkpoint(file["checkpoint"], vkey)
    print(f"log {origin} at size {size}")
    events = [event(shown) for shown in file["events"]]
    offsets = [offset for offset, _, _ in events]
    need(offsets and offsets == sorted(set(offsets)) and offsets[-1] < size, "offsets out of order")
    hashes = [b64(hash) for hash in file["hashes"]]
    need(all(len(hash) == 32 for hash in hashes), "a bad hash")
    need(subset_root([e[:2] for e in events], 0, size, hashes) == root and not hashes, "the events are not in the log")
    for offset, _, names in events:
        print("event", offset, names[0], *names[1:-1])
    end = 0
    for start, stop in file.get("whole", []):
        need(type(start) is int and type(stop) is int and end <= start < stop <= size, "a bad range")
        need(sum(start <= offset < stop for offset in offsets) == stop - start, "not whole")
        print(f"whole [{start}, {stop})")
        end = stop
    for earlier in file.get("earlier", []):
        need(set(earlier) == {"checkpoint", "proof"}, "an unknown member")
        other, old, old_root = checkpoint(earlier["checkpoint"], vkey)
        proof = [b64(hash) for hash in earlier["proof"]]
        need(all(len(hash) == 32 for hash in proof), "a bad hash")
        if old == 0:
            need(old_root == sha(b"") and not proof, "another empty log")
        else:
            need(old <= size and continues((old, old_root), size, proof) == (old_root, root) and not proof, "not continued")
        print(f"continues size {old}")


try:
    verify(sys.stdin.buffer.read().decode(), sys.argv[1])
except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as problem:
    print("refused:", problem)
    sys.exit(1)
