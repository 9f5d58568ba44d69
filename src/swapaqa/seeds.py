"""Random generators keyed by what they are for, never by worker, rank or order of calls.

A draw is replayed by its key alone: `keyed_generator(seed, "crop", epoch, "18_067")` gives the same numbers in
any process, so a resumed run, or one on another number of processes, draws the same.
"""

import hashlib

import torch


def keyed_generator(seed: int, *key: str | int) -> torch.Generator:
    """A CPU generator whose state depends on `seed` and every part of `key`, order and types included."""
    text = repr((seed, *key)).encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)  # manual_seed takes 63 bits
