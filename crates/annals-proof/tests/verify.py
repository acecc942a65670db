"""Verifies annals evidence, with Python's standard library only: verify.py VKEY|ADDRESS [--many] < FILE

It shares no code with annals. It checks the log's signature (Ed25519, RFC 8032), the subset proof (RFC 6962 trees),
contents, whole ranges, earlier checkpoints of the same key, the statement of the log's keys (secp256k1, EIP-191), and
the states: their hashes (keccak256 of the ABI encoding) and their signatures. It convicts a party that signed two
states for one turn. With an Ethereum ADDRESS, the log's key is the one that this account stated in the file.

It does not check the member `state`, which needs the fold of the channel's events, and says so. Other signature lines
are passed over. It exits with 1 if anything does not hold.

With --many, the input has any number of files, each after its size (4 bytes, big-endian). The output has a line for
each: the list of findings in JSON, or `refused: ` and the reason. The exit code is 0.
"""
import base64, functools, hashlib, json, sys

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


def double(p, times):
    for _ in range(times):
        p = add(p, p)
    return p


def public_key(data):
    """Returns the point of a public key, which must not be of a small order."""
    need(len(data) == 32, "a key of another size")
    p = point(data)
    eight = double(p, 3)
    need(eight[0] % P != 0, "a weak key")
    return p


@functools.lru_cache(None)
def signed(key, message, signature):
    need(len(signature) == 64, "a signature of another size")
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    need(s < L, "a signature of another form")
    h = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    base = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    a, b = mul(s, base), add(public_key(r), mul(h, public_key(key)))
    need((a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0, "a bad signature")


def name_is_good(name):
    bad = any(c.isspace() or c == "+" or ord(c) < 32 or 127 <= ord(c) < 160 for c in name)
    return 0 < len(name.encode()) < 256 and not bad


@functools.lru_cache(None)
def parts_of(vkey, kind):
    """Returns the name, id and public key of a vkey: kind 1 signs for a log, kind 4 cosigns."""
    name, key_id, key = vkey.split("+", 2)
    key = b64(key)
    need(name_is_good(name) and key[:1] == bytes([kind]), "a bad vkey")
    need(sha(name.encode() + b"\n" + key)[:4].hex() == key_id, "a bad vkey")
    public_key(key[1:])
    return name, key_id, key[1:]


def checkpoint(note, vkey):
    """Returns (origin, size, root) of a checkpoint that the key signed."""
    name, key_id, key = parts_of(vkey, 1)
    need(isinstance(note, str) and not any(c < " " and c != "\n" for c in note), "a bad note")
    text, lines = note[: note.rindex("\n\n") + 1], note[note.rindex("\n\n") + 2 :]
    need(lines.endswith("\n"), "a note without an end")
    found = False
    for line in lines[:-1].split("\n"):
        dash, signer, signature = line.split(" ", 2)
        signature = b64(signature)
        need(dash == "\u2014" and name_is_good(signer) and len(signature) > 4, "a bad signature line")
        if signer == name and signature[:4].hex() == key_id:
            signed(key, text.encode(), signature[4:])
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
        names.append(content[int.from_bytes(header[:4], "little") :])
    else:
        names.append(None)
    return int.from_bytes(entry[1:9], "little"), sha(b"\0" + entry), names


# Ethereum: keccak256, secp256k1, and the ABI encoding of a state.

Q = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
M64 = 2**64 - 1


def permuted(a):
    constant = 1
    for _ in range(24):
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[x - 1] ^ (c[(x + 1) % 5] << 1 | c[(x + 1) % 5] >> 63) & M64 for x in range(5)]
        a = [lane ^ d[i % 5] for i, lane in enumerate(a)]
        x, y, current = 1, 0, a[1]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            turn = (t + 1) * (t + 2) // 2 % 64
            a[x + 5 * y], current = (current << turn | current >> 64 - turn) & M64, a[x + 5 * y]
        a = [a[i] ^ ~a[i - i % 5 + (i + 1) % 5] & a[i - i % 5 + (i + 2) % 5] & M64 for i in range(25)]
        for j in range(7):
            if constant & 1:
                a[0] ^= 1 << (1 << j) - 1
            constant = constant << 1 ^ (0x171 if constant >> 7 else 0)
    return a


@functools.lru_cache(None)
def keccak(data):
    padded = bytearray(data + b"\1" + bytes(135 - len(data) % 136))
    padded[-1] |= 0x80
    lanes = [0] * 25
    for at in range(0, len(padded), 136):
        for i in range(17):
            lanes[i] ^= int.from_bytes(padded[at + 8 * i : at + 8 * i + 8], "little")
        lanes = permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def plus(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        if (p[1] + q[1]) % Q == 0:
            return None
        slope = 3 * p[0] * p[0] * pow(2 * p[1], -1, Q) % Q
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, Q) % Q
    x = (slope * slope - p[0] - q[0]) % Q
    return x, (slope * (p[0] - x) - p[1]) % Q


def times(k, p):
    q = None
    while k:
        if k & 1:
            q = plus(q, p)
        p, k = plus(p, p), k >> 1
    return q


@functools.lru_cache(None)
def signer_of(message, signature):
    """Returns the account that signed a message as `personal_sign` does (EIP-191)."""
    need(len(signature) == 65 and signature[64] in (27, 28), "a signature of another form")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    need(0 < r < N and 0 < s <= N // 2, "a signature of another form")
    z = int.from_bytes(keccak(b"\x19Ethereum Signed Message:\n%d" % len(message) + message), "big")
    square = (r * r * r + 7) % Q
    y = pow(square, (Q + 1) // 4, Q)
    need(y * y % Q == square, "no key made the signature")
    y = Q - y if y & 1 != signature[64] - 27 else y
    inverse = pow(r, -1, N)
    key = plus(times(-z * inverse % N, G), times(s * inverse % N, (r, y)))
    need(key is not None, "no key made the signature")
    return keccak(key[0].to_bytes(32, "big") + key[1].to_bytes(32, "big"))[12:]


def hexed(text, size=None):
    need(isinstance(text, str) and text[:2] == "0x" and len(text) % 2 == 0, "not 0x and hex digits")
    need(all(c in "0123456789abcdefABCDEF" for c in text[2:]), "not hex digits")
    need(size is None or len(text) == 2 + 2 * size, "a value of another size")
    return bytes.fromhex(text[2:])


def checksummed(address):
    digits = address.hex()
    by = keccak(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(by[i], 16) > 7 else c for i, c in enumerate(digits))


def number(value, bits):
    need(type(value) is int and 0 <= value < 1 << bits, "not a number of this size")
    return value.to_bytes(32, "big")


def encoded(parts):
    """Returns the ABI encoding of a tuple: bytes of 32 stand in it, and bytes in a list after it."""
    head, tail, at = b"", b"", 32 * len(parts)
    for part in parts:
        if isinstance(part, list):
            head += (at + len(tail)).to_bytes(32, "big")
            tail += part[0]
        else:
            head += part
    return head + tail


def blob(data):
    return [len(data).to_bytes(32, "big") + data + bytes(-len(data) % 32)]


def members(value, names):
    need(isinstance(value, dict) and set(value) == set(names.split()), "other members")
    return [value[name] for name in names.split()]


def listed(value, one):
    need(isinstance(value, list), "not a list")
    return [len(value).to_bytes(32, "big") + encoded([[one(item)] for item in value])]


def payment(value):
    destination, amount, kind, metadata = members(value, "destination amount allocation_type metadata")
    need(isinstance(amount, str) and amount.isascii() and amount.isdigit() and str(int(amount)) == amount, "no amount")
    parts = [hexed(destination, 32), number(int(amount), 256), number(kind, 8), blob(hexed(metadata))]
    return encoded(parts)


def exit_of(value):
    asset, kind, metadata, allocations = members(value, "asset asset_type asset_metadata allocations")
    described = [encoded([number(kind, 8), blob(hexed(metadata))])]
    return encoded([bytes(12) + hexed(asset, 20), described, listed(allocations, payment)])


def state_hash(state):
    app_data, channel, is_final, outcome, turn = members(state, "app_data channel_id is_final outcome turn_num")
    need(type(is_final) is bool, "not true or false")
    channel, turn = hexed(channel, 32), number(turn, 64)
    final = bytes(31) + bytes([is_final])
    return keccak(encoded([channel, blob(hexed(app_data)), listed(outcome, exit_of), turn, final]))


def statement_of(key):
    """Checks a statement of keys. Returns the account, the vkey and the origin that it states."""
    text, signature = members(key, "statement signature")
    need(isinstance(text, str) and text.endswith("\n"), "a bad statement")
    lines = text[:-1].split("\n")
    need(len(lines) == 5 and lines[0] == "annals log key v1", "a bad statement")
    names = [line.split(" ", 1)[0] for line in lines[1:]]
    need(names == ["address", "origin", "vkey", "cosigner"], "a bad statement")
    address, origin, vkey, cosigner = [line.split(" ", 1)[1] for line in lines[1:]]
    account = hexed(address, 20)
    need(checksummed(account) == address, "an address without its checksum")
    need(parts_of(vkey, 1)[0] == origin and parts_of(cosigner, 4), "a key of another log")
    need(signer_of(text.encode(), hexed(signature, 65)) == account, "another account signed the statement")
    return account, vkey, origin


def signature_in(kind, data):
    """Returns (state hash, signer) of a signature that an event shows; None if it shows no valid one."""
    if data is None or kind not in ("state-signed", "state-received"):
        return None
    try:
        payload = json.loads(data.decode(), object_pairs_hook=once)
        signed_hash, signer = hexed(payload["state_hash"], 32), hexed(payload["signer"], 20)
        return (signed_hash, signer) if signer_of(signed_hash, hexed(payload["signature"], 65)) == signer else None
    except (ValueError, KeyError, TypeError):
        return None


def states_of(states, events):
    need(isinstance(states, list) and len(states) <= 4096, "not a list of states")
    shown = {}
    for state in states:
        hash = state_hash(state)
        need(hash not in shown, "a state that is there twice")
        shown[hash] = (state, [])
    for offset, _, names in events:
        found = signature_in(names[0], names[-1])
        if found and found[0] in shown:
            shown[found[0]][1].append((found[1], offset))
    first, convicted = {}, {}
    for hash, (state, signatures) in shown.items():
        need(signatures, "a state that nobody signed")
        turn, channel = state["turn_num"], state["channel_id"].lower()
        yield " ".join(["state", "0x" + hash.hex(), "turn", str(turn), *(f"{s.hex()}@{at}" for s, at in signatures)])
        for signer, _ in signatures:
            if first.setdefault((channel, turn, signer), hash) != hash:
                convicted[channel, turn, signer] = True
    for channel, turn, signer in sorted(convicted):
        yield f"CONVICTED {checksummed(signer)} turn {turn} channel {channel}"


def once(pairs):
    need(len(pairs) == len(dict(pairs)), "a duplicate member")
    return dict(pairs)


def refuse(text):
    raise ValueError(f"{text} is not a number of JSON")


def whole_number(text):
    need(text != "-0", "-0 is not a whole number")
    return int(text)


def verify(text, trusted):
    """Returns what a file proves, a line for each finding."""
    file = json.loads(text, object_pairs_hook=once, parse_constant=refuse, parse_int=whole_number)
    known = {"annals_evidence", "checkpoint", "hashes", "events", "whole", "earlier", "key", "states", "state"}
    need(isinstance(file, dict) and set(file) <= known, "an unknown member")
    need(type(file["annals_evidence"]) is int and file["annals_evidence"] == 1, "another version")
    stated = statement_of(file["key"]) if "key" in file else None
    vkey = trusted
    if trusted.startswith("0x"):
        need(stated and stated[0] == hexed(trusted, 20), "no statement of this account")
        vkey = stated[1]
    need(stated is None or stated[1] == vkey, "a statement of another key")
    origin, size, root = checkpoint(file["checkpoint"], vkey)
    found = [f"log {origin} at size {size}"]
    if stated:
        found.append(f"owner {checksummed(stated[0])} of {stated[2]}")
    events = [event(shown) for shown in file["events"]]
    offsets = [offset for offset, _, _ in events]
    need(offsets and offsets == sorted(set(offsets)) and offsets[-1] < size, "offsets out of order")
    hashes = [b64(hash) for hash in file["hashes"]]
    need(all(len(hash) == 32 for hash in hashes), "a bad hash")
    need(subset_root([e[:2] for e in events], 0, size, hashes) == root and not hashes, "the events are not in the log")
    for offset, _, names in events:
        found.append(" ".join(["event", str(offset), names[0], *names[1:-2]]))
    end = 0
    for start, stop in file.get("whole", []):
        need(type(start) is int and type(stop) is int and end <= start < stop <= size, "a bad range")
        need(sum(start <= offset < stop for offset in offsets) == stop - start, "not whole")
        found.append(f"whole [{start}, {stop})")
        end = stop
    for earlier in file.get("earlier", []):
        need(set(earlier) == {"checkpoint", "proof"}, "an unknown member")
        other, old, old_root = checkpoint(earlier["checkpoint"], vkey)
        proof = [b64(hash) for hash in earlier["proof"]]
        need(all(len(hash) == 32 for hash in proof), "a bad hash")
        if old == 0:
            need(old_root == sha(b"") and not proof, "another empty log")
        else:
            roots = continues((old, old_root), size, proof) if old <= size else None
            need(roots == (old_root, root) and not proof, "not continued")
        found.append(f"continues size {old}")
    found.extend(states_of(file.get("states", []), events))
    if "state" in file:
        found.append("not checked: state")
    return found


REFUSED = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)


def many(data, trusted):
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        try:
            print(json.dumps(verify(data[at + 4 : at + 4 + size].decode(), trusted)))
        except REFUSED as problem:
            print("refused:", repr(problem))
        at += 4 + size


if "--many" in sys.argv:
    many(sys.stdin.buffer.read(), sys.argv[1])
else:
    try:
        print("\n".join(verify(sys.stdin.buffer.read().decode(), sys.argv[1])))
    except REFUSED as problem:
        print("refused:", problem)
        sys.exit(1)
