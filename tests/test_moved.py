"""Names that stay, and files of older versions that name a class as it was called then."""

import importlib

import pytest
from hydra.utils import get_object

from swapaqa.configuration.moved import MOVED
from swapaqa.running.jobs import identity
from swapaqa.running.registry import admit, registry

STABLE = {  # DESIGN.md
    "swapaqa.data.boxes": ("fixed_boxes", "read_darklabel", "interpolate_keyframes", "track_boxes"),
    "swapaqa.data.aqa7": ("read_records",),
    "swapaqa.data.mtl_aqa": ("read_records",),
}
OF_THE_FIRST_VERSION = (  # of conf/boxes, of which checkpoints, results and run folders are full
    "swapaqa.data.boxes.DarkLabelBoxes", "swapaqa.data.boxes.FixedBoxes", "swapaqa.data.boxes.NoBoxes",
    "swapaqa.data.boxes.TrackerBoxes", "swapaqa.data.boxes.TrackerResults", "swapaqa.data.cvat.CVATBoxes",
    "swapaqa.data.cvat.MOTBoxes", "swapaqa.data.mask_images.MaskImages",
)  # fmt: skip


@pytest.mark.parametrize("module", STABLE)
def test_stable_names_are_where_they_were(module: str) -> None:
    assert all(callable(getattr(importlib.import_module(module), name)) for name in STABLE[module])


@pytest.mark.parametrize("name", OF_THE_FIRST_VERSION)
def test_a_file_may_name_a_box_source_as_ever(name: str) -> None:
    config = {"data": {"_target_": "swapaqa.data.aqa7.AQA7", "boxes": {"_target_": name, "ratio": 2.0}}}
    found = admit(config, "old.ckpt")["data"]["boxes"]["_target_"]
    assert found in registry().admitted["boxes"]
    assert get_object(found).__name__ == name.rpartition(".")[2]


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_a_run_under_an_old_name_is_the_same_run(old: str, new: str) -> None:
    """So a sweep that began with the version before goes on, and a report does not take it for two settings."""
    before, now = ({"boxes": {"_target_": name}, "data": {"boxes": [{"_target_": name}]}} for name in (old, new))
    assert identity(before) == identity(now) == now
    assert identity({"aug": {"note": old}}) == {"aug": {"note": old}}  # a value is no name of a class
