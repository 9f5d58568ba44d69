"""Classes that changed their names: what a file of an older version names is read as today's.

A file's configuration is plain values; names are compared as strings and nothing is imported. A class whose name in
configurations stays, wherever its file went, is not here: the box sources of `swapaqa.data.boxes`.
"""

from typing import Any

TARGET = "_target_"
MOVED = {
    "swapaqa.data.cvat.CVATBoxes": "swapaqa.data.boxes.CVATBoxes",
    "swapaqa.data.cvat.MOTBoxes": "swapaqa.data.boxes.MOTBoxes",
    "swapaqa.data.mask_images.MaskImages": "swapaqa.data.boxes.MaskImages",
}


def todays_name(name: str) -> str:
    """What a class is called today; the same name where it did not move."""
    return MOVED.get(name, name)


def in_todays_names(node: Any) -> Any:
    """A copy of plain values whose `_target_`s are those of today."""
    if isinstance(node, list):
        return [in_todays_names(value) for value in node]
    if not isinstance(node, dict):
        return node
    named = {key: in_todays_names(value) for key, value in node.items()}
    return named | {TARGET: todays_name(named[TARGET])} if isinstance(named.get(TARGET), str) else named
