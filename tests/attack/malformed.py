"""Malformed files from a valid one, as (name, content) and by a seed: what disks, downloads and strangers make."""

import json
import random
from collections.abc import Iterator
from typing import Any

IMPOSTORS = {
    "empty": b"",
    "zeros": b"\0" * 4096,
    "web page": b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in</body></html>",
    "git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n",
    "server's error": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "zip": b"PK\x03\x04\x14\0\0\0\x08\0" + b"x" * 100,
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"x" * 50,
    "text": b"nothing to see here\n" * 20,
    "one byte": b"\x80",
    "no encoding": bytes(range(256)),
}
ODD_VALUES: list[Any] = [
    None, True, 0, -1, 10**30, 1e308, "", "x", "${oc.env:HOME}", "\x1b[31m", "a" * 5000, [], [[]], {},
    {"_target_": "os.system"},
]  # fmt: skip


def damaged(content: bytes, seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Impostors, then `count` copies that are cut off, flipped, zeroed, doubled or mixed up at random places."""
    yield from IMPOSTORS.items()
    rng = random.Random(seed)
    for number in range(count):
        kind = rng.choice(DAMAGES)
        yield f"{kind.__name__.strip('_')} {number}", kind(content, rng)


def _cut_off(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def _flip_bits(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _zero_a_part(content: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(content))
    length = min(rng.choice((1, 8, 64, 512)), len(content) - first)
    return content[:first] + b"\0" * length + content[first + length :]


def _double_a_part(content: bytes, rng: random.Random) -> bytes:
    first, last = sorted(rng.randrange(len(content)) for _ in range(2))
    return content[:last] + content[first:]


def _random_bytes(content: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(content))
    return content[:first] + rng.randbytes(rng.choice((1, 4, 16))) + content[first:]


def _change_digits(content: bytes, rng: random.Random) -> bytes:
    digits = [place for place, byte in enumerate(content) if 48 <= byte < 58]
    changed = bytearray(content)
    for place in rng.sample(digits, min(len(digits), 3)):
        changed[place : place + 1] = rng.choice((b"9" * 30, b"-", b"nan", b"", b"1e400"))
    return bytes(changed)


DAMAGES = (_cut_off, _flip_bits, _zero_a_part, _double_a_part, _random_bytes, _change_digits)


def wrong_values(tree: Any, seed: int, count: int) -> Iterator[tuple[str, Any]]:
    """Copies of a tree of lists and dictionaries in which one value is another, or missing."""
    rng = random.Random(seed)
    for number in range(count):
        copy = json.loads(json.dumps(tree))
        parent, key = rng.choice(list(_places(copy)))
        if rng.random() < 0.3:
            del parent[key]
            yield f"without {key} {number}", copy
        else:
            value = rng.choice(ODD_VALUES)
            parent[key] = value
            yield f"{key}={str(value)[:20]!r} {number}", copy


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield node, key
        yield from _places(value)


def nested(levels: int) -> str:
    """JSON and YAML of lists within lists."""
    return "[" * levels + "]" * levels


def giant_yaml(levels: int = 40) -> bytes:
    """A few lines that stand for 2**levels values."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{number}: &a{number} [*a{number - 1}, *a{number - 1}]" for number in range(1, levels)]
    return "\n".join(lines).encode()


def giant_json() -> bytes:
    """Nested deeper than any parser recurses."""
    return nested(100_000).encode()
