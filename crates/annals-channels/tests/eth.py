"""Checks a statement of keys with eth_account, and signs its text with another key: eth.py < {"statement":…,"signature":…}

Prints the account that the signature recovers to, the EIP-191 hash of the text, and the other key's signature.
"""
import json
import sys

from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_defunct

file = json.load(sys.stdin)
message = encode_defunct(text=file["statement"])
print(Account.recover_message(message, signature=file["signature"]))
print(_hash_eip191_message(message).hex())
print("0x" + Account.from_key(b"\x22" * 32).sign_message(message).signature.hex())
