"""Clients' API keys: make one, tell a typo from a key, hash it for the store."""

import hashlib
import hmac
import re
import secrets
import string
import zlib

PREFIX = "sk-"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase

# 27 hidden characters carry 160.7 random bits; six more are shown in lists.
SHOWN_LENGTH = 6
RANDOM_LENGTH = SHOWN_LENGTH + 27
CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32

SHAPE = re.compile(rf"sk-[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")


def make_key() -> str:
    """A new key: `sk-`, 33 random base62 characters, 6 characters of checksum."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return PREFIX + random + _checksum(PREFIX + random)


def is_well_formed(key: str) -> bool:
    """Whether this can be a key at all; says nothing about whether it is valid.

    A mistyped or invented key is told apart without asking the database, and a
    scanner for leaked secrets raises no false alarm.
    """
    if SHAPE.fullmatch(key) is None:
        return False
    return _checksum(key[:-CHECKSUM_LENGTH]) == key[-CHECKSUM_LENGTH:]


def hash_key(key: str, pepper: bytes) -> bytes:
    """What the store keeps in place of a key: 32 bytes, useless without the pepper.

    A key is random enough that a fast hash is safe, and equal keys have equal hashes,
    so that a client is found by an index. Raises ValueError when the pepper is empty.
    """
    if not pepper:
        raise ValueError("the pepper of API keys is empty")
    return hmac.digest(pepper, key.encode("utf-8", "replace"), hashlib.sha256)


def display_prefix(key: str) -> str:
    """The first characters of a key, enough to recognise it in a list."""
    return key[: len(PREFIX) + SHOWN_LENGTH]


def _checksum(text: str) -> str:
    """CRC-32 of the text as six base62 digits."""
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
