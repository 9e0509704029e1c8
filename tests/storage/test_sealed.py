"""Files that carry a hash of themselves."""

from __future__ import annotations

import hashlib
import json

import pytest

from raydistill.storage.sealed import SealError, seal, unseal

TEXT = '{\n  "gap": 0.5,\n  "name": "é"\n}\n'


def test_the_last_key_is_the_hash_of_the_rest() -> None:
    sealed = json.loads(seal(TEXT))
    assert sealed == {"gap": 0.5, "name": "é", "file_sha256": hashlib.sha256(TEXT.encode()).hexdigest()}
    assert list(sealed)[-1] == "file_sha256"


def test_a_sealed_file_is_read_as_it_was() -> None:
    assert unseal(seal(TEXT).encode()) == TEXT.encode()


def test_a_file_of_an_older_version_is_read_as_it_is() -> None:
    assert unseal(TEXT.encode()) == TEXT.encode()


@pytest.mark.parametrize("place", range(len(seal(TEXT).encode())))
@pytest.mark.parametrize("bit", [0, 3])
def test_one_flipped_bit_anywhere_is_noticed(place: int, bit: int) -> None:
    """By the seal, or, in the name of its key, because no file has such a key."""
    damaged = bytearray(seal(TEXT).encode())
    damaged[place] ^= 1 << bit
    assert read(bytes(damaged)) in ("not this file", "another key")


def read(data: bytes) -> str:
    """What a reader that knows the two keys makes of a file."""
    try:
        values = json.loads(unseal(data))
    except ValueError:
        return "not this file"
    return "the file" if set(values) == {"gap", "name"} else "another key"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_part_of_a_file_is_noticed(share: float) -> None:
    sealed = seal(TEXT).encode()
    assert read(sealed) == "the file"
    assert read(sealed[: int(share * len(sealed))]) == "not this file"


def test_a_hash_that_does_not_stand_last_is_refused() -> None:
    moved = json.dumps({"file_sha256": "0" * 64, "gap": 0.5}, indent=2) + "\n"
    with pytest.raises(SealError, match="file_sha256 is not its last line"):
        unseal(moved.encode())
