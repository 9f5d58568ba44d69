"""From the rows of a box file to one box in every frame: objects told apart, their stays, union or join.

An object is there from its first to its last row, but for the time from a row that says it has left to its next one.
"""

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from swapaqa.boxes.source import BoxRow
from swapaqa.errors import InputError

Several = Literal["error", "union", "join"]
LAST_FRAME = 2**31  # a frame's number beyond is damage, and NumPy's integers end


class Stay(NamedTuple):
    """A time in which an object is there: its rows by frame, and the last frame."""

    rows: dict[int, BoxRow]  # ascending
    last: int

    @property
    def first(self) -> int:
        return next(iter(self.rows))


def boxes_of(
    rows: Sequence[BoxRow], frames: Sequence[int], several: Several, frame_start: int, gone: Sequence[BoxRow] = ()
) -> np.ndarray:
    """One box a frame, (T, 4), from rows in any order. `frames` count as the file does.

    Objects are told apart by id, or by label in a format without ids. Each is interpolated between its rows and holds
    the nearest one outside. `union`: in every frame the box around the objects that are there, and where none is, the
    one that is nearest in time is held, also where its object comes back elsewhere. `join`: objects of which no two are
    there at once are one, that was lost and found.

    Args:
        gone: rows that say that their object is not there from their frame on; their boxes are not read.

    Raises:
        InputError: several objects with `error`, two at once with `join`, an object twice in one frame, a frame
            before the first.
    """
    objects = stays_of(rows, several, frame_start, gone)
    if len(objects) > 1 and several == "error":
        raise _which_one(objects)
    if several == "join":
        objects = {"joined": _joined(objects)}
    there = np.stack([while_there(stays, frames) for stays in objects.values()])  # (objects, T)
    asked = there if several == "union" else np.broadcast_to(frames, there.shape)
    tracks = np.stack(list(map(_interpolated, objects.values(), asked)))  # (objects, T, 4)
    away = np.abs(there - np.asarray(frames))
    nearest = away == away.min(axis=0)
    chosen = (nearest & (there == np.where(nearest, there, LAST_FRAME).min(axis=0)))[..., None]
    low = np.where(chosen, tracks[..., :2], np.inf).min(axis=0)
    high = np.where(chosen, tracks[..., 2:], -np.inf).max(axis=0)
    return np.concatenate([low, high], axis=1)


def stays_of(
    rows: Sequence[BoxRow], several: Several, frame_start: int, gone: Sequence[BoxRow] = ()
) -> dict[str, list[Stay]]:
    """Every object's stays in the order of time."""
    objects: dict[str, dict[int, BoxRow]] = {}
    for row in rows:
        if not frame_start <= row.frame < LAST_FRAME:
            raise InputError(
                f"{row.place}: frame {row.frame}, but boxes.frame_start={frame_start}; correct one of them"
            )
        found = objects.setdefault(object_name(row), {})
        first = found.setdefault(row.frame, row)
        if several == "union":  # without ids they cannot be told apart: the box around those of each frame
            found[row.frame] = _around(first, row)
        elif first is not row:
            raise InputError(
                f"{row.place}: a second box of the same object in frame {row.frame} (the first: {first.place}); choose "
                "with boxes.ids= or boxes.labels=, take the box around all with boxes.several=union, or delete one"
            )
    leaves: dict[str, set[int]] = {}
    for row in gone:
        leaves.setdefault(object_name(row), set()).add(row.frame)
    return {name: _stays(found, leaves.get(name, set())) for name, found in objects.items()}


def object_name(row: BoxRow) -> str:
    """What an object is told apart by."""
    return row.label if row.object_id is None else row.object_id


def _stays(found: dict[int, BoxRow], leaves: set[int]) -> list[Stay]:
    """The rows of one object cut where a frame of `leaves` lies between two of them; the last ends before one."""
    ends = sorted(leaves - found.keys())
    stays: list[Stay] = []
    for frame in sorted(found):
        end = _end(stays[-1], ends) if stays else None
        if not stays or (end is not None and end < frame):
            stays[-1:] = [stays[-1]._replace(last=end - 1)] if stays and end is not None else []
            stays.append(Stay({}, frame))
        stays[-1].rows[frame] = found[frame]
        stays[-1] = stays[-1]._replace(last=frame)
    end = _end(stays[-1], ends)
    return stays if end is None else [*stays[:-1], stays[-1]._replace(last=end - 1)]


def _end(stay: Stay, ends: Sequence[int]) -> int | None:
    """The first of `ends` behind the stay's last row."""
    position = bisect.bisect_right(ends, stay.last)
    return ends[position] if position < len(ends) else None


def _interpolated(stays: Sequence[Stay], frames: Sequence[int] | np.ndarray) -> np.ndarray:
    """(T, 4): between an object's rows; its last box of a stay is held until that ends."""
    boxes = {frame: row.box for stay in stays for frame, row in stay.rows.items()}
    boxes |= {stay.last: stay.rows[max(stay.rows)].box for stay in stays}
    keyframes = sorted(boxes)
    return interpolate_keyframes(np.array(keyframes), np.array([boxes[frame] for frame in keyframes]), frames)


def interpolate_keyframes(keyframes: np.ndarray, boxes: np.ndarray, frames: Sequence[int] | np.ndarray) -> np.ndarray:
    """Linear interpolation between keyframes, the nearest one held outside: (T, 4) for `frames`.

    `keyframes` (K,) ascending frame indices, `boxes` (K, 4).
    """
    return np.stack([np.interp(frames, keyframes, boxes[:, side]) for side in range(4)], axis=1)


def while_there(stays: Sequence[Stay], frames: Sequence[int]) -> np.ndarray:
    """For each of `frames` the nearest one in which the object is there, of two the earlier: (T,)."""
    inside = np.array([np.clip(frames, stay.first, stay.last) for stay in stays])  # (stays, T)
    nearest = np.abs(inside - np.asarray(frames)).argmin(axis=0)
    found: np.ndarray = inside[nearest, np.arange(len(frames))]
    return found


def overlapping(objects: dict[str, list[Stay]]) -> tuple[BoxRow, BoxRow] | None:
    """The rows with which two objects begin to be there at once; None where no two ever are."""
    order = sorted((stay for stays in objects.values() for stay in stays), key=lambda stay: stay.first)
    for before, after in itertools.pairwise(order):
        if after.first <= before.last:
            return before.rows[before.first], after.rows[after.first]
    return None


def _joined(objects: dict[str, list[Stay]]) -> list[Stay]:
    pair = overlapping(objects)
    if pair:
        raise InputError(
            f"{pair[1].place}: with boxes.several=join two objects are there at once ({pair[0].place}), so they are "
            "not one athlete; choose with boxes.ids= or boxes.labels=, or say boxes.several=union"
        )
    return sorted((stay for stays in objects.values() for stay in stays), key=lambda stay: stay.first)


def _which_one(objects: dict[str, list[Stay]]) -> InputError:
    """The question that a file of several objects asks."""
    first, second = (next(iter(stays[0].rows.values())) for stays in list(objects.values())[:2])
    join = "" if overlapping(objects) else (
        ", or, since they are never there at once, say with boxes.several=join that they are one athlete"
    )  # fmt: skip
    return InputError(
        f"{second.place}: frame {second.frame} has another object than {first.place}; objects of this video: "
        f"{names(objects)}; choose with boxes.ids= or boxes.labels=, take the box around those that are there with "
        f"boxes.several=union{join}"
    )


def _around(first: BoxRow, second: BoxRow) -> BoxRow:
    a, b = first.box, second.box
    return second._replace(box=(min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])))


def names(values: Iterable[object]) -> str:
    """Values in the order of their spelling, each once and the first twenty, for a message."""
    found = sorted({" ".join(str(value).split())[:30] for value in values})
    return ", ".join(found[:20]) + (f" and {len(found) - 20} more" if len(found) > 20 else "")
