"""Which split a document belongs to, when its records do not say."""

import hashlib
from typing import Literal, get_args

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def assign_split(document: str) -> Split:
    """80 % train, 10 % validation, 10 % test, by a hash of the document's or scenario's name.

    A document always lands in the same split, so adding files moves nothing that stood there.
    """
    share = int.from_bytes(hashlib.sha256(document.encode()).digest()[:8]) / 2**64
    if share < 0.8:
        return "train"
    return "validation" if share < 0.9 else "test"
