"""The vector of sealed fields, a format that is specified and not built yet: seal.py prints a line for each value.

Python's standard library only. ChaCha20-Poly1305 is RFC 8439, and is checked with that document's own vector first.
"""
import hashlib
import hmac
import struct


def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] ^= s[x]
        s[z] = (s[z] << n | s[z] >> 32 - n) & 0xFFFFFFFF


def block(key, counter, nonce):
    start = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    s = start[:]
    for _ in range(10):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((x + y) & 0xFFFFFFFF for x, y in zip(s, start)))


def seal(key, nonce, plain, associated):
    stream = b"".join(block(key, 1 + i, nonce) for i in range(len(plain) // 64 + 1))
    cipher = bytes(x ^ y for x, y in zip(plain, stream))
    pad = lambda data: data + bytes(-len(data) % 16)
    text = pad(associated) + pad(cipher) + struct.pack("<QQ", len(associated), len(cipher))
    one_time = block(key, 0, nonce)[:32]
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    tag = 0
    for at in range(0, len(text), 16):
        tag = (tag + int.from_bytes(text[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    tag = (tag + int.from_bytes(one_time[16:], "little")) % 2**128
    return cipher + tag.to_bytes(16, "little")


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


# RFC 8439, section 2.8.2.
sun = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
sealed = seal(bytes(range(0x80, 0xA0)), bytes.fromhex("070000004041424344454647"), sun, bytes.fromhex("50515253c0c1c2c3c4c5c6c7"))
assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691", sealed[-16:].hex()

person, name, plain = b"\x55" * 32, bytes(range(16)), b'{"price":90}'
salt = mac(person, b"salt", plain)
field_key = mac(person, b"event", salt)
head = b"annals.e\x01" + name + salt + mac(field_key, b"commit")
field = head + seal(mac(field_key, b"seal"), bytes(12), plain, head)
print("field key", field_key.hex())
print("bytes", len(field))
print("sha256", hashlib.sha256(field).hexdigest())
