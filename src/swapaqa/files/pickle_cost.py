"""What a pickle costs to load, from its opcodes alone: a few bytes can ask for gigabytes, or for years of hashing.

The opcodes of a pickle are followed with weights in the place of values: how many bytes and elements a value would have
if nothing in it were shared. Whatever is hashed, copied or written out costs at most its weight.
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

FREE, PER_BYTE = 2**20, 24  # a pickle of n bytes may cost FREE + PER_BYTE * n; annotations cost 13 a byte at most
DEEPEST = 64  # levels of values within values; annotations have four
CHANGES = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}  # opcodes whose first operand stays
PUTS, GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
NAMED = {"GLOBAL", "STACK_GLOBAL"}
OPCODES = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}


@dataclass(eq=False, slots=True)
class _Value:
    """A value on the stack."""

    weight: int
    is_name: bool = False  # a function or class of the reader's, not the pickle's own


MARK = _Value(0)


def check_cost(content: bytes, start: int = 0, refused: Callable[[str], bool] | None = None) -> int:
    """Refuse a pickle that costs much more than its size; returns where it ends.

    Args:
        content: what holds the pickle.
        start: where it begins.
        refused: whether a name, `module name`, may not be in it.

    Raises:
        UnpicklingError: too costly, it names what is refused, or it changes a function or class of its reader.
        ValueError, LookupError, EOFError: no whole pickle.
    """
    stack: list[_Value] = []
    memo: dict[int, _Value] = {}
    left = FREE + PER_BYTE * (len(content) - start)
    file = io.BytesIO(content)
    file.seek(start)
    for steps, (opcode, argument) in enumerate(_opcodes(file)):
        name = opcode.name
        if name in PUTS:
            if argument > steps:
                raise pickle.UnpicklingError("it keeps values at places that it has no values for")
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in GETS:
            stack.append(memo[argument])
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "GLOBAL" and refused is not None and refused(argument):
            raise pickle.UnpicklingError(f"it names {argument.replace(' ', '.')}")
        elif not opcode.stack_before and opcode.stack_after and name != "MARK":  # the most frequent: a constant
            stack.append(_Value(_size(argument), name in NAMED))
        else:
            left -= _step(opcode, argument, stack)
            if left < 0:
                raise pickle.UnpicklingError("it is a few bytes that stand for a giant value")
    return file.tell()


def _opcodes(file: io.BytesIO) -> Iterator[tuple[Any, Any]]:
    """As `pickletools.genops`, which takes the strings of Python 2 for ASCII and fails."""
    while code := file.read(1):
        opcode = OPCODES[code]
        if opcode.name == "STRING":
            yield opcode, file.readline()
        else:
            yield opcode, opcode.arg.reader(file) if opcode.arg else None
        if opcode.name == "STOP":
            return
    raise EOFError("it ends too early")


def _step(opcode: Any, argument: Any, stack: list[_Value]) -> int:
    """Do to the stack what the opcode does; returns what that costs: the weight of its operands."""
    taken = _taken(opcode, stack)
    changed = taken.pop(0) if opcode.name in CHANGES else None
    cost = _size(argument) + sum(value.weight for value in taken)
    if changed is not None:
        if opcode.name == "BUILD" and changed.is_name:
            raise pickle.UnpicklingError("it changes a function or class of its reader")
        changed.weight += cost
        stack.append(changed)
    elif opcode.name == "MARK":
        stack.append(MARK)
    else:
        stack.extend(_Value(cost, opcode.name in NAMED) for _ in opcode.stack_after)
    return cost


def _taken(opcode: Any, stack: list[_Value]) -> list[_Value]:
    """The operands of an opcode, off the stack, the lowest first; those above a mark where it takes one."""
    before, taken = opcode.stack_before, list[_Value]()
    if pickletools.markobject in before:
        while (value := stack.pop()) is not MARK:
            taken.append(value)
        before = before[: before.index(pickletools.markobject)]
    taken.extend(stack.pop() for _ in before)
    return taken[::-1]


def _size(argument: Any) -> int:
    if isinstance(argument, str | bytes | bytearray):
        return 1 + len(argument)
    return 1 + (argument.bit_length() // 8 if isinstance(argument, int) else 0)


def check_tree(value: Any, most: int, check_leaf: Callable[[Any], None] | None = None) -> None:
    """Refuse nested lists, tuples, sets and dictionaries that have too many elements, levels, or contain themselves.

    Args:
        value: as a file held it; what is in it twice counts twice, as in every traversal.
        most: elements.
        check_leaf: called with whatever else is in it, and raises where that is wrong.

    Raises:
        ValueError: saying which.
    """
    if _elements(value, DEEPEST, {}, check_leaf) > most:
        raise ValueError("a few values that stand for a giant one")


def _elements(value: Any, levels: int, known: dict[int, int], check_leaf: Callable[[Any], None] | None) -> int:
    if not isinstance(value, dict | list | tuple | set | frozenset):
        if check_leaf is not None:
            check_leaf(value)
        return 1
    if id(value) not in known:
        if not levels:
            raise ValueError(f"values within values, over {DEEPEST} levels or without end")
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_elements(part, levels - 1, known, check_leaf) for part in parts)
    return known[id(value)]
