"""Masks from files: run lengths by hand, COCO, YouTube-VIS and CVAT through the source, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swapaqa.boxes.mask_images import MaskImages
from swapaqa.boxes.run_lengths import filled, runs_of, unpacked
from swapaqa.boxes.source import BoxRequest
from swapaqa.errors import InputError

HEIGHT, WIDTH, FRAMES = 4, 6, 3
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[1:4, 1] = MASK[3, 2] = True  # an L: columns 5 off, 3 on, 3 off, 1 on, 12 off
RUNS = [5, 3, 3, 1, 12]


def request(folder: Path) -> BoxRequest:
    return BoxRequest([folder / "007"], (HEIGHT, WIDTH), range(FRAMES), folder, (), lambda: FRAMES)


def masks(folder: Path, **settings: Any) -> np.ndarray:
    return np.stack(list(MaskImages(1.0, None, **settings).read_masks(request(folder))))


@pytest.mark.parametrize(
    ("text", "runs"),
    [("3213", [3, 2, 1, 5]), ("321O", [3, 2, 1, 1]), ("T3", [100]), ("`0", [16]), ("", [])],  # packed by hand
)
def test_packed_runs_are_those_of_cocos_own_code(text: str, runs: list[int]) -> None:
    assert unpacked(text) == runs


def test_runs_fill_columns_or_rows() -> None:
    assert np.array_equal(filled(RUNS, (HEIGHT, WIDTH), by_columns=True), MASK)
    assert runs_of(MASK) == RUNS
    assert [runs_of(np.full((2, 3), value)) for value in (False, True)] == [[6], [0, 6]]
    assert filled([1, 2, 3], (2, 3), by_columns=False).tolist() == [[False, True, True], [False] * 3]
    for runs in ([1, 2], [30, -6], []):
        with pytest.raises(ValueError, match="runs of"):
            filled(runs, (2, 3), by_columns=True)


def coco(segmentations: list[tuple[int, Any]], **changes: Any) -> dict[str, Any]:
    """Three images, and annotations by image."""
    images = [{"id": 10 + t, "file_name": f"img_{t:05d}.jpg"} for t in range(FRAMES)]
    annotations = [
        {"id": number, "image_id": 10 + t, "category_id": 1, "segmentation": segmentation} | changes
        for number, (t, segmentation) in enumerate(segmentations)
    ]
    return {"images": images, "annotations": annotations}


RLE = {"size": [HEIGHT, WIDTH], "counts": RUNS}
SQUARE = [[3.0, 1.0, 5.0, 1.0, 5.0, 3.0, 3.0, 3.0]]  # edges: columns 3 and 4, rows 1 and 2


def test_coco_gives_a_mask_an_image_and_an_empty_one_without_annotation(tmp_path: Path) -> None:
    packed = RLE | {"counts": "533N9"}  # 1 after 3 is -2, 12 after 3 is 9
    assert unpacked("533N9") == RUNS
    (tmp_path / "007.json").write_text(json.dumps(coco([(0, packed), (2, SQUARE)])))
    found = masks(tmp_path)
    assert np.array_equal(found[0], MASK)
    assert not found[1].any()
    assert np.argwhere(found[2]).tolist() == [[y, x] for y in (1, 2) for x in (3, 4)]
    boxes = MaskImages(1.0, None).read(request(tmp_path))
    assert boxes.tolist() == [[1, 1, 2, 3], [2, 1, 3, 2.5], [3, 1, 4, 2]]  # interpolated where nobody is


def test_objects_are_chosen_by_track_or_category_and_several_are_one_mask(tmp_path: Path) -> None:
    both = coco([(t, RLE) for t in range(FRAMES)])
    both["annotations"] += coco([(t, SQUARE) for t in range(FRAMES)], track_id=7)["annotations"]
    (tmp_path / "007.json").write_text(json.dumps(both))
    assert masks(tmp_path).sum() == FRAMES * (4 + 4)
    assert masks(tmp_path, ids=[7]).sum() == FRAMES * 4
    assert np.array_equal(masks(tmp_path, ids=[1])[0], MASK)
    with pytest.raises(InputError, match=r"no object of boxes.ids=\[3\].*they show 1, 7"):
        masks(tmp_path, ids=[3])


def test_youtube_vis_has_a_list_of_masks_an_object(tmp_path: Path) -> None:
    annotations = [{"id": 1, "video_id": 1, "category_id": 2, "segmentations": [RLE, None, RLE]}]
    (tmp_path / "007.json").write_text(json.dumps({"videos": [{"id": 1}], "annotations": annotations}))
    assert [mask.any() for mask in masks(tmp_path)] == [True, False, True]
    content = {"videos": [{"id": 1, "file_names": ["d/1.jpg", "d/2.jpg", "d/3.jpg"]}], "annotations": annotations}
    (tmp_path / "007.json").write_text(json.dumps(content))
    assert [mask.any() for mask in masks(tmp_path, frame_start=1)] == [True, False, True]
    content["videos"] *= 2
    (tmp_path / "007.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="holds 2 videos"):
        masks(tmp_path)


def cvat(shapes: str) -> str:
    size = f"<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>"
    return f'<annotations><meta><task>{size}</task></meta><track id="0" label="diver">{shapes}</track></annotations>'


CVAT_MASK = '<mask frame="0" outside="0" rle="0,1,1,1,1,2" left="1" top="1" width="2" height="3"/>'  # the L by rows


def test_cvats_masks_and_polygons_hold_until_the_next_shape(tmp_path: Path) -> None:
    polygon = '<polygon frame="2" outside="0" points="3.0,1.0;5.0,1.0;5.0,3.0;3.0,3.0"/>'
    (tmp_path / "007.xml").write_text(cvat(CVAT_MASK + polygon))
    found = masks(tmp_path)
    assert np.array_equal(found[0], MASK)
    assert np.array_equal(found[1], MASK)
    assert np.argwhere(found[2]).tolist() == [[y, x] for y in (1, 2) for x in (3, 4)]
    left = CVAT_MASK.replace('frame="0" outside="0"', 'frame="1" outside="1"')
    (tmp_path / "007.xml").write_text(cvat(CVAT_MASK + left + '</track><track id="1" label="nobody">'))
    assert [mask.any() for mask in masks(tmp_path)] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("007.json", json.dumps(coco([(0, RLE | {"counts": [5, 3]})])), r"annotation 0: damaged run lengths"),
        ("007.json", json.dumps(coco([(0, RLE | {"counts": "5!"})])), r"annotation 0: damaged run lengths"),
        ("007.json", json.dumps(coco([(0, RLE | {"counts": "T"})])), r"annotation 0: damaged .*cut off"),
        ("007.json", json.dumps(coco([(0, RLE | {"size": [8, 6]})])), r"a mask of 6x8 pixels, and the video has 6x4"),
        ("007.json", json.dumps(coco([(0, [[1.0, 2.0]])])), "polygon without three corners"),
        ("007.json", json.dumps(coco([(5, RLE)])), r"is of image 15, which the file does not list"),
        ("007.json", json.dumps(coco([(0, RLE)], category_id=None)), "has none of track_id, instance_id, category_id"),
        ("007.json", json.dumps(coco([(0, RLE)], track_id="diver")), r"annotations\.0\.track_id: .*valid integer"),
        ("007.json", json.dumps(coco([(0, RLE | {"size": ["four", 6]})])), r"segmentation\.RunLengths\.size\.0: "),
        ("007.json", json.dumps(coco([(0, RLE | {"counts": [5.5, 18.5]})])), r"RunLengths\.counts"),
        ("007.json", json.dumps(coco([])).replace("00002", "00001"), "two images of number 12 or of frame 1"),
        (
            "007.json",
            json.dumps({"videos": [{}], "annotations": [{"segmentations": [None]}, {"segmentations": []}]}),
            "has masks of 0 frames of 1",
        ),
        ("007.json", "[1, 2]", "is neither COCO's nor YouTube-VIS'"),
        ("007.json", json.dumps({"images": [], "annotations": []}), "says nothing of frame 0"),
        ("007.xml", cvat(CVAT_MASK.replace("0,1,1,1,1,2", "0,1,1")), "frame 0: damaged run lengths"),
        ("007.xml", cvat(CVAT_MASK.replace('left="1"', 'left="5"')), "its box lies outside of the 6x4 frame"),
        ("007.xml", cvat(CVAT_MASK).replace("<width>6", "<width>9"), r"was drawn on frames of 9x4 pixels"),
        ("007.xml", cvat('<box frame="0" outside="0" xtl="1" ytl="1" xbr="2" ybr="2"/>'), "read it with boxes=cvat"),
    ],
)
def test_what_is_wrong_is_one_line(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}.*{words}"):
        masks(tmp_path)


def test_a_folder_of_pictures_goes_before_a_file_and_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"007: no such folder of masks.*\.json, \.xml, \.zip"):
        masks(tmp_path)
    (tmp_path / "007.json").write_text("{}")
    assert MaskImages(1.0, None).find([tmp_path / "007"]) == tmp_path / "007.json"
    (tmp_path / "007").mkdir()
    assert MaskImages(1.0, None).find([tmp_path / "007"]) == tmp_path / "007"
