"""JSON files that carry a hash of themselves as their last key, so that a change after writing is noticed.

It is a checksum, not a signature: it shows what a disk, a copy or an editor changed, not forgery. Files of older versions have
none and are read as they are.
"""

from __future__ import annotations

import hashlib
import re

KEY = "file_sha256"
"""Name of the last key: the hash of the file without the line of that key."""
SEAL = re.compile(rb',\n  "file_sha256": "([0-9a-f]{64})"\n}\n\Z')


LENGTH = 100
"""More bytes than a seal has."""


class SealError(ValueError):
    """A file was changed after it was written."""


def seal(text: str) -> str:
    """A JSON object, indented by two spaces and not empty, with its hash as the last key."""
    body = text.rstrip() + "\n"
    digest = hashlib.sha256(body.encode()).hexdigest()
    return body.removesuffix("\n}\n") + f',\n  "{KEY}": "{digest}"\n}}\n'


def unseal(data: bytes) -> bytes:
    """The JSON of a file as it was before `seal`; a file without a seal is given back as it is.

    Raises:
        SealError: the file's hash is not the one in it, or stands elsewhere than at its end.
    """
    found = SEAL.search(data, max(0, len(data) - LENGTH))
    if found is None:
        if KEY.encode() in data:
            raise SealError(f"{KEY} is not its last line, so it was changed after it was written")
        return data
    body = data[: found.start()] + b"\n}\n"
    digest = hashlib.sha256(body).hexdigest()
    if digest != found[1].decode():
        raise SealError(f"its hash is {digest[:12]}, {KEY} says {found[1].decode()[:12]}: it was changed after it was written")
    return body
