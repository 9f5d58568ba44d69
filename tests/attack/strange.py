"""What comes to lie under a file's name instead of it: other files, hostile ones, and what is no file at all."""

import io
import os
import pickle
import socket
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

PLACES = (
    "missing", "empty folder", "FIFO", "socket", "link to nothing", "link to itself", "link to /dev/zero", "unreadable",
)  # fmt: skip
HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a2146" * 8 + b"\nsize 12345\n"
TARGET = "_target_"


class Damage(NamedTuple):
    """What lies under a file's name afterwards. `content`: its bytes; None where `place` says what is there instead."""

    kind: str
    content: bytes | None
    place: str = ""

    def __repr__(self) -> str:  # hypothesis prints what it draws
        return f"{self.kind}: {'' if self.content is None else len(self.content)}"


def exchanged_files(strange: Mapping[str, bytes]) -> list[Damage]:
    """Something else under the file's name: a strange file, or what is no file."""
    return [Damage(*item) for item in strange.items()] + [Damage(place, None, place) for place in PLACES]


def hostile_nodes(canary: Path) -> list[dict[str, Any]]:
    command = f"touch {canary}"
    return [
        {TARGET: "os.system", "command": command},
        {TARGET: "torch.utils.collect_env.run", "command": command},
        {TARGET: "swapaqa.running.processes.os.system", "command": command},
        {TARGET: "subprocess.run", "args": ["touch", str(canary)]},
        {TARGET: "builtins.exec", "_args_": [f"open({str(canary)!r}, 'w')"]},
        {TARGET: "pathlib.Path.touch", "_args_": [str(canary)]},
        {TARGET: "hydra.utils.instantiate", "config": {TARGET: "os.system", "command": command}},
        {TARGET: "swapaqa.files.whole_file.write_whole", "path": {TARGET: "pathlib.Path", "_args_": [str(canary)]}},
        {TARGET: "torch.save", "obj": 1, "f": str(canary)},
    ]


class Touching:
    """Its pickle creates the canary when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.canary}",)


def archive(members: Mapping[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file.getvalue()


@cache
def bombs() -> dict[str, bytes]:
    """Kilobytes that unpack to 64 MiB, of which every four bytes are an object."""
    many = 2**24
    return {
        "bomb: zip of XML": archive({"annotations.xml": b"<a>" + b"<a/>" * many + b"</a>"}),
        "bomb: zip of lines": archive({"gt/gt.txt": b"1,1\n" * many}),
        "bomb: zip in a zip": archive({"annotations.xml": archive({"annotations.xml": bytes(2**26)})}),
    }


def strangers(canary: Path, others: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files that nobody meant: of downloads that failed, of other programs, of enemies. By kind."""
    doubled: Any = "x"
    for _ in range(40):
        doubled = [doubled, doubled]
    names = "abcdefghi"
    laugh = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    laugh += [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in pairwise(names)]
    expanded = ["x" * 10] + [f"&e{n};" * 10 for n in range(9)]
    entities = "".join(f"<!ENTITY e{n} '{text}'>" for n, text in enumerate(expanded))
    return (
        {
            "HTML page": HTML,
            "git-lfs pointer": LFS,
            "empty": b"",
            "zeros": bytes(4096),
            "bomb: nesting": b"[" * 200_000,
            "bomb: YAML aliases": "\n".join(laugh).encode(),
            "bomb: XML entities": f"<!DOCTYPE a [{entities}]><annotations>&e9;</annotations>".encode(),
            "bomb: bytearray": b"\x80\x04cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x80\x00\x85R.",
            "bomb: doubled lists": pickle.dumps(doubled),
            "bomb: long line": b"1," * 5_000_000,
            "runs code: pickle": pickle.dumps(Touching(canary)),
            "runs code: YAML": f"!!python/object/apply:os.system ['touch {canary}']\n".encode(),
        }
        | bombs()
        | {f"another's file: {name}": content for name, content in others.items()}
    )


def lay(damage: Damage, path: Path) -> Callable[[], None]:
    """Put the damage where the valid file lies. Returns what takes a lasting object away again."""
    if damage.place == "unreadable":
        return lambda: None  # its mode changes while it is read
    path.unlink()
    if damage.content is not None:
        path.write_bytes(damage.content)
    elif damage.place == "empty folder":
        path.mkdir()
    elif damage.place == "FIFO":
        os.mkfifo(path)
    elif damage.place == "socket":
        listening = socket.socket(socket.AF_UNIX)
        here = os.open(path.parent, os.O_RDONLY)  # a socket's path has 108 bytes at most
        listening.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
        return listening.close
    elif damage.place.startswith("link"):
        target = {"link to nothing": "nowhere", "link to itself": path.name}.get(damage.place, "/dev/zero")
        path.symlink_to(target)
    return lambda: None
