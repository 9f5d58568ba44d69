"""Names of box sources that stay, whatever becomes of the room `swapaqa.boxes`: nothing else is here.

Configurations name the sources so, and those of checkpoints, results and run folders do for ever; so do programs of
others (`from swapaqa.data.boxes import read_darklabel, track_boxes`).
"""

from swapaqa.boxes.cvat import CVATBoxes, MOTBoxes
from swapaqa.boxes.darklabel import DarkLabelBoxes, read_darklabel
from swapaqa.boxes.fixed import FixedBoxes, NoBoxes, fixed_boxes
from swapaqa.boxes.mask_images import MaskImages
from swapaqa.boxes.objects import interpolate_keyframes
from swapaqa.boxes.source import BoxRequest, BoxSource
from swapaqa.boxes.tracker import track_boxes
from swapaqa.boxes.tracker_boxes import TrackerBoxes
from swapaqa.boxes.tracker_results import TrackerResults

__all__ = [
    "BoxRequest",
    "BoxSource",
    "CVATBoxes",
    "DarkLabelBoxes",
    "FixedBoxes",
    "MOTBoxes",
    "MaskImages",
    "NoBoxes",
    "TrackerBoxes",
    "TrackerResults",
    "fixed_boxes",
    "interpolate_keyframes",
    "read_darklabel",
    "track_boxes",
]
