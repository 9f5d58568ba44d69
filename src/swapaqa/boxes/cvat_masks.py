"""Masks and polygons that were drawn with CVAT as tracks, exported as "CVAT for video 1.1".

A mask is run lengths by rows inside of its box. A shape holds until the next one of its track, as CVAT shows it.
"""

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from swapaqa.boxes.cvat_shapes import whole_at
from swapaqa.boxes.cvat_xml import Choice, read_shapes
from swapaqa.boxes.mask_json import MaskFile, fill_polygons
from swapaqa.boxes.run_lengths import filled
from swapaqa.errors import InputError


def read_cvat_masks(path: Path, size: tuple[int, int], last: int) -> MaskFile:
    """The masks of one video of `size` (H, W) in its frames, to frame `last`.

    Raises:
        InputError: naming the file, track and frame: a track that is drawn as boxes, damaged run lengths, another size,
            or as `read_cvat`.
    """
    own, tracks = read_shapes(path, Choice())
    if own and own != size:
        raise InputError(
            f"{path}: was drawn on frames of {own[1]}x{own[0]} pixels, and the video has {size[1]}x{size[0]}; masks "
            "lie on the video's own pixels"
        )
    found = MaskFile(set(range(last + 1)), {})
    for track, shapes in tracks:
        number = whole_at(track.get("id"), f"{path}, track")
        ends = [*(shape.frame for shape in shapes), last + 1][1:]
        for shape, end in zip(shapes, ends, strict=True):
            if shape.there:
                mask = cvat_mask(shape.element, size, shape.place)
                for frame in range(max(0, shape.frame), min(end, last + 1)):
                    found.objects.setdefault(frame, []).append((number, mask))
    return found


def cvat_mask(shape: Element, size: tuple[int, int], place: str) -> np.ndarray:
    """(H, W) bool of a `<mask>` or `<polygon>`. InputError at `place`."""
    if shape.tag == "polygon":
        points = shape.get("points", "").replace(";", ",").split(",")
        try:
            return fill_polygons([[float(value) for value in points]], size, place)
        except ValueError:
            raise InputError(f"{place}: a polygon of other than numbers; export it again") from None
    if shape.tag != "mask":
        raise InputError(f"{place}: is drawn as <{shape.tag}>, which has no outline; read it with boxes=cvat")
    left, top, width, height = (whole_at(shape.get(name), place) for name in ("left", "top", "width", "height"))
    if min(left, top) < 0 or min(width, height) < 1 or left + width > size[1] or top + height > size[0]:
        raise InputError(f"{place}: its box lies outside of the {size[1]}x{size[0]} frame; export it again")
    mask = np.zeros(size, bool)
    try:
        runs = [int(run) for run in shape.get("rle", "").split(",")]
        mask[top : top + height, left : left + width] = filled(runs, (height, width), by_columns=False)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{place}: damaged run lengths ({error}); export it again") from error
    return mask
