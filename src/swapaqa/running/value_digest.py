"""A digest of plain values and tensors: whether a file of ours holds what was written into it."""

import hashlib
from typing import Any

import torch
from torch import Tensor

DIGEST_KEY = "swapaqa_digest"


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a file with the digest of it."""
    return content | {DIGEST_KEY: value_digest(content)}


def is_sealed(content: dict[str, Any]) -> bool:
    """Whether the content of a file is what `sealed` gave."""
    rest = {key: value for key, value in content.items() if key != DIGEST_KEY}
    return content.get(DIGEST_KEY) == value_digest(rest)


def value_digest(value: Any) -> str:
    """SHA-256 of nested dictionaries, lists, tuples, tensors and what Python writes out in full, with their types."""
    digest = hashlib.sha256()
    _add(value, digest)
    return digest.hexdigest()


def _add(value: Any, digest: Any) -> None:
    if isinstance(value, Tensor):
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, dict | list | tuple):
        parts = [part for item in value.items() for part in item] if isinstance(value, dict) else value
        digest.update(f"{'dict' if isinstance(value, dict) else type(value).__name__}{len(value)}".encode())
        for part in parts:
            _add(part, digest)
    else:
        digest.update(f"{type(value).__name__}{value!r}\n".encode())
