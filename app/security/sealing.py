"""Secrets at rest: sealed with AES-256-GCM, bound to their row, able to change keys.

A sealed value is `version (1 byte) | key id (4) | nonce (12) | ciphertext and tag`. The
key id says which secret key sealed it, so that a ring of the current and some former
keys opens everything while a rotation is under way.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"\x01"
KEY_ID_LENGTH = 4
NONCE_LENGTH = 12
TAG_LENGTH = 16
HEADER_LENGTH = len(VERSION) + KEY_ID_LENGTH


class SealError(Exception):
    """A sealed value cannot be opened; the text says why and never what is inside."""


@dataclass(frozen=True, eq=False)
class Sealer:
    """Seals with the current key, opens with any key of its ring."""

    current: bytes
    ring: Mapping[bytes, AESGCM] = field(repr=False)

    @classmethod
    def from_secret(cls, secret_key: str, old: Sequence[str] = ()) -> Self:
        """A sealer for the current secret key and the former ones.

        The keys must be random already: HKDF spreads entropy, it does not add any.
        Raises ValueError when one of them is empty.
        """
        ring = {_key_id(each): _cipher(each) for each in (*old, secret_key)}
        return cls(_key_id(secret_key), ring)

    def seal(self, plain: str, aad: str) -> bytes:
        """`plain` sealed for one row; `aad` names the row, such as `channel:7`."""
        header = VERSION + self.current
        nonce = secrets.token_bytes(NONCE_LENGTH)
        cipher = self.ring[self.current]
        return (
            header + nonce + cipher.encrypt(nonce, plain.encode(), _bind(header, aad))
        )

    def unseal(self, sealed: bytes, aad: str) -> str:
        """What was sealed for the row `aad`; raises SealError."""
        if len(sealed) < HEADER_LENGTH + NONCE_LENGTH + TAG_LENGTH:
            raise SealError(
                f"the sealed value of {aad} is damaged: it has only {len(sealed)} bytes"
            )
        if not sealed.startswith(VERSION):
            raise SealError(
                f"the sealed value of {aad} is damaged or from a newer release: "
                f"version {sealed[0]} is unknown"
            )
        header = sealed[:HEADER_LENGTH]
        key_id = header[len(VERSION) :]
        if key_id not in self.ring:
            raise SealError(
                f"{aad} was sealed with the secret key {key_id.hex()}, which is not "
                f"among the known ones ({self._known()}): give the former key, too"
            )
        nonce = sealed[HEADER_LENGTH : HEADER_LENGTH + NONCE_LENGTH]
        ciphertext = sealed[HEADER_LENGTH + NONCE_LENGTH :]
        try:
            plain = self.ring[key_id].decrypt(nonce, ciphertext, _bind(header, aad))
        except InvalidTag as error:
            raise SealError(
                f"the sealed value of {aad} was moved from another row or is damaged"
            ) from error
        return plain.decode()

    def needs_rotation(self, sealed: bytes) -> bool:
        """Whether it was sealed otherwise than `seal` would do it today."""
        return not sealed.startswith(VERSION + self.current)

    def _known(self) -> str:
        return ", ".join(sorted(key_id.hex() for key_id in self.ring))


def derive(secret_key: str, purpose: str) -> bytes:
    """32 bytes for one purpose, such as `api-keys`; they tell nothing of the others."""
    return _expand(secret_key, f"genrelay purpose {purpose}", 32)


def _cipher(secret_key: str) -> AESGCM:
    return AESGCM(_expand(secret_key, "genrelay seal", 32))


def _key_id(secret_key: str) -> bytes:
    return _expand(secret_key, "genrelay seal id", KEY_ID_LENGTH)


def _bind(header: bytes, aad: str) -> bytes:
    return header + aad.encode()


def _expand(secret_key: str, info: str, length: int) -> bytes:
    if not secret_key:
        raise ValueError("the secret key is empty")
    kdf = HKDF(SHA256(), length, salt=None, info=info.encode())
    return kdf.derive(secret_key.encode())
