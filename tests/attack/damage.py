"""What becomes of files that are copied, mailed, edited by hand and kept on failing disks: strategies of hypothesis.

Each takes the bytes of a valid file and draws a `Damage`. None of them knows a reader.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.attack.strange import TARGET, Damage, hostile_nodes


class Edit(NamedTuple):
    """How a file's content is read as plain values, and how values are written as such a file again."""

    load: Callable[[bytes], Any]
    dump: Callable[[Any], bytes]


WORDS = (
    "", " ", "nan", "inf", "-inf", "1e999", "-1", "0", "-0.0", "0.5", "3.0", "99999999999999999999", "1e308", "-1e30",
    "0x10", "1_0", "١٢", "1,5", "None", "true", "=1+1", "é", "a b", '"', "..", "../../x", "/etc/passwd", "\t",
    "9" * 5000, "x" * 100_000,
)  # fmt: skip
VALUES = (
    None, True, False, "", "x", "nan", "é", "../../x", "x" * 100_000, 0, -1, 7, 0.5, -0.0, 10**30, -(10**30), 10**5000,
    1e308, float("nan"), float("inf"), float("-inf"), [], {}, [[]], {"x": 1}, [1, 2, 3],
)  # fmt: skip
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def damaged(valid: bytes, strange: Sequence[Damage], edit: Edit | None, canary: Path) -> SearchStrategy[Damage]:
    """Any damage to the file `valid`.

    Args:
        strange: what may come to lie under its name instead.
        edit: for a file of values; None leaves its values alone.
        canary: the file that hostile values try to create.
    """
    kinds = [flipped(valid), cut_off(valid), zeroed(valid), inserted(valid), repeated(valid)]
    if is_text(valid):
        kinds += [lines_moved(valid), fields_changed(valid), columns_swapped(valid), encoded(valid)]
    if edit:
        kinds += [values_changed(valid, edit), values_changed(valid, edit), structure_changed(valid, edit)]
        if targets_of(edit.load(valid)):
            kinds.append(target_exchanged(valid, edit, canary))
    if strange:
        kinds.append(st.sampled_from(strange))
    return st.one_of(kinds)


def is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


@st.composite
def flipped(draw: Callable, valid: bytes) -> Damage:
    """One bit or up to sixteen."""
    content = bytearray(valid)
    for bit in draw(st.lists(st.integers(0, 8 * len(valid) - 1), min_size=1, max_size=16, unique=True)):
        content[bit // 8] ^= 1 << bit % 8
    return Damage("bits flipped", bytes(content))


def cut_off(valid: bytes) -> SearchStrategy[Damage]:
    return st.integers(0, len(valid) - 1).map(lambda end: Damage("cut off", valid[:end]))


@st.composite
def zeroed(draw: Callable, valid: bytes) -> Damage:
    """A range of zeros, as of a sector that was never written; up to the whole file."""
    start = draw(st.integers(0, len(valid) - 1))
    length = draw(st.integers(1, len(valid) - start))
    return Damage("zeroed", valid[:start] + bytes(length) + valid[start + length :])


@st.composite
def inserted(draw: Callable, valid: bytes) -> Damage:
    start = draw(st.integers(0, len(valid)))
    return Damage("bytes inserted", valid[:start] + draw(st.binary(min_size=1, max_size=64)) + valid[start:])


@st.composite
def repeated(draw: Callable, valid: bytes) -> Damage:
    start = draw(st.integers(0, len(valid) - 1))
    end = draw(st.integers(start + 1, len(valid)))
    return Damage("bytes repeated", valid[:end] + valid[start:])


@st.composite
def lines_moved(draw: Callable, valid: bytes) -> Damage:
    lines = valid.decode().splitlines(keepends=True)
    first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    how = draw(st.sampled_from(["doubled", "removed", "exchanged"]))
    if how == "doubled":
        lines.insert(second, lines[first])
    elif how == "removed":
        del lines[min(first, second) : max(first, second) + 1]
    else:
        lines[first], lines[second] = lines[second], lines[first]
    return Damage(f"lines {how}", "".join(lines).encode())


@st.composite
def fields_changed(draw: Callable, valid: bytes) -> Damage:
    """One number or cell: another word, gone, twice."""
    text = valid.decode()
    found = list(NUMBER.finditer(text)) + [m for m in re.finditer(r"[^\s,;<>\"'=]+", text) if m]
    assume(found)
    start, end = draw(st.sampled_from(found)).span()
    word = draw(st.one_of(st.sampled_from(WORDS), st.just(f"{text[start:end]},{text[start:end]}"), st.text(max_size=8)))
    return Damage("field changed", (text[:start] + word + text[end:]).encode(errors="surrogatepass"))


@st.composite
def columns_swapped(draw: Callable, valid: bytes) -> Damage:
    """Two columns change places in every line from one on."""
    rows = [re.split(r"([,;\t])", line) for line in valid.decode().splitlines(keepends=True)]
    width = min(len(row) for row in rows)
    assume(width >= 3)
    first, second = (2 * draw(st.integers(0, (width - 1) // 2)) for _ in range(2))
    for row in rows[draw(st.integers(0, len(rows) - 1)) :]:
        cells = [row[first].strip("\r\n"), row[second].strip("\r\n")]
        ends = [row[position][len(cell) :] for position, cell in zip((first, second), cells, strict=True)]
        row[first], row[second] = cells[1] + ends[0], cells[0] + ends[1]
    return Damage("columns swapped", "".join("".join(row) for row in rows).encode())


@st.composite
def encoded(draw: Callable, valid: bytes) -> Damage:
    """The text of another program: its encoding, its ends of lines, a strange letter."""
    text = valid.decode()
    letter = draw(st.sampled_from(["", "é", "日", "\u2028", "\ufeff"]))
    position = draw(st.integers(0, len(text)))
    text = text[:position] + letter + text[position:]
    text = draw(st.sampled_from([text, text.replace("\n", "\r\n"), text.replace("\n", "\r")]))
    name = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1", "cp1252", "gb18030", "utf-7"]))
    return Damage("encoding", text.encode(name, errors="replace"))


def paths_in(tree: Any, path: tuple = ()) -> list[tuple]:
    """The place of every value below a tree of dictionaries and lists."""
    if isinstance(tree, Mapping):
        inside = [(key, tree[key]) for key in tree]
    elif isinstance(tree, list | tuple):
        inside = list(enumerate(tree))
    else:
        return []
    return [place for key, value in inside for place in ((*path, key), *paths_in(value, (*path, key)))]


def exchanged(tree: Any, path: Sequence[Any], change: Callable[[Any, Any], Any]) -> Any:
    """A copy of the tree in which `change(container, key)` gives the container of the value at `path`."""
    if len(path) == 1:
        return change(dict(tree) if isinstance(tree, Mapping) else list(tree), path[0])
    copy = dict(tree) if isinstance(tree, Mapping) else list(tree)
    copy[path[0]] = exchanged(copy[path[0]], path[1:], change)
    return tuple(copy) if isinstance(tree, tuple) else copy


def written(kind: str, edit: Edit, tree: Any) -> Damage:
    """Values that the form cannot hold are not drawn."""
    try:
        return Damage(kind, edit.dump(tree))
    except Exception:
        assume(False)
        raise


@st.composite
def values_changed(draw: Callable, valid: bytes, edit: Edit) -> Damage:
    tree = edit.load(valid)
    path = draw(st.sampled_from(paths_in(tree)))
    value = draw(st.one_of(st.sampled_from(VALUES), st.integers(), st.floats(), st.text(max_size=8)))

    def change(container: Any, key: Any) -> Any:
        container[key] = value
        return container

    return written("value changed", edit, exchanged(tree, path, change))


@st.composite
def structure_changed(draw: Callable, valid: bytes, edit: Edit) -> Damage:
    """A value gone, doubled, or two of a container exchanged."""
    tree = edit.load(valid)
    path = draw(st.sampled_from(paths_in(tree)))
    how = draw(st.sampled_from(["removed", "doubled", "exchanged"]))

    def change(container: Any, key: Any) -> Any:
        other = next(iter(container)) if isinstance(container, dict) else 0
        if how == "removed":
            del container[key]
        elif how == "exchanged":
            container[key], container[other] = container[other], container[key]
        elif isinstance(container, dict):
            container[f"{key} "] = container[key]
        else:
            container.insert(key, container[key])
        return container

    return written(f"value {how}", edit, exchanged(tree, path, change))


def targets_of(tree: Any) -> list[tuple]:
    return [path for path in paths_in(tree) if path[-1] == TARGET]


@st.composite
def target_exchanged(draw: Callable, valid: bytes, edit: Edit, canary: Path) -> Damage:
    """Code named where a class of ours is named; Hydra would call it with what stands beside it."""
    tree = edit.load(valid)
    path = draw(st.sampled_from(targets_of(tree)))
    node = draw(st.sampled_from(hostile_nodes(canary)))

    def change(container: Any, key: Any) -> Any:  # noqa: ARG001
        return dict(node) if draw(st.booleans()) else container | node

    return written("names code", edit, exchanged(tree, path, change))
