"""Detectors: every layout is decoded, a network of ours finds the demo's athlete, detections become his track."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from swapaqa.annotate import make
from swapaqa.annotate.box_file import read_rows
from swapaqa.annotate.follow import Settings
from swapaqa.annotate.known import VARIANTS, Known, known_video
from swapaqa.annotate.make import Job, make_boxes
from swapaqa.boxes.detected import Detecting, athlete_mask, film_detected
from swapaqa.boxes.detector import (
    Detections,
    HogDetector,
    OnnxDetector,
    fit_picture,
    input_size,
    laid_back,
    suppressed,
    within,
)  # fmt: skip
from swapaqa.boxes.detector_outputs import MASK_VALUES, STRIDES, decode_masks, decode_outputs, recognise_layout
from swapaqa.boxes.joining import Track, choose_athletes, distance_cost, join_detections
from swapaqa.boxes.tracker import overlap
from swapaqa.data.boxes import BoxRequest, MaskImages, TrackerBoxes
from swapaqa.errors import InputError
from tests.boxes.tiny_detector import TinySegmenter, write_detector, write_network

SIZE = (96, 128)  # of a network's input
CELLS = sum((SIZE[0] // s) * (SIZE[1] // s) for s in STRIDES)
BOX, CLASS, CLASSES = np.array([40.0, 20, 72, 84]), 3, 5  # corners of the one box that is there
MIDDLE = np.array([56.0, 52, 32, 64])


def rows(count: int, box: np.ndarray, at: int) -> np.ndarray:
    """`count` boxes of which one is `box`."""
    made = np.tile([5.0, 5, 4, 4], (count, 1))
    made[at] = box
    return made


def scores(count: int, at: int, classes: int = CLASSES) -> np.ndarray:
    made = np.full((count, classes), 0.01)
    made[at, CLASS] = 0.9
    return made


def yolox() -> list[np.ndarray]:
    """The cell of stride 16 in column 3, row 3, which the box's middle lies half a cell and a quarter behind."""
    at = (SIZE[0] // 8) * (SIZE[1] // 8) + 3 * (SIZE[1] // 16) + 3
    raw = np.zeros((CELLS, 4))
    raw[at] = [0.5, 0.25, np.log(2), np.log(4)]
    return [np.concatenate([raw, np.ones((CELLS, 1)), scores(CELLS, at)], axis=1)]


def yolov5() -> list[np.ndarray]:
    count = 3 * CELLS
    return [np.concatenate([rows(count, MIDDLE, 7), np.ones((count, 1)), scores(count, 7)], axis=1)]


def yolov8() -> list[np.ndarray]:
    return [np.concatenate([rows(CELLS, MIDDLE, 7), scores(CELLS, 7)], axis=1).T]


def yolov8_with_masks() -> list[np.ndarray]:
    values = np.concatenate([rows(CELLS, MIDDLE, 7), scores(CELLS, 7), np.full((CELLS, MASK_VALUES), 5.0)], axis=1)
    return [values.T, np.zeros((MASK_VALUES, 24, 32))]


def end_to_end() -> list[np.ndarray]:
    made = np.zeros((300, 6))
    made[4] = [*BOX, 0.9, CLASS]
    return [made]


SHARES = MIDDLE / np.array([SIZE[1], SIZE[0]] * 2)


def rtdetr() -> list[np.ndarray]:
    return [np.concatenate([rows(300, SHARES, 7), scores(300, 7)], axis=1)]


def detr() -> list[np.ndarray]:
    return [np.log(scores(300, 7) / (1 - scores(300, 7))), rows(300, SHARES, 7)]


def named() -> list[np.ndarray]:
    return [np.full(300, CLASS), rows(300, BOX, 7), scores(300, 7)[:, CLASS]]


@pytest.mark.parametrize(
    ("made", "layout"),
    [(yolox, "yolox"), (yolov5, "yolov5"), (yolov8, "yolov8"), (yolov8_with_masks, "yolov8"),
     (end_to_end, "end_to_end"), (rtdetr, "rtdetr"), (detr, "detr"), (named, "named")],
)  # fmt: skip
def test_every_layout_is_recognised_and_decoded(made: Callable[[], list[np.ndarray]], layout: str) -> None:
    outputs = [output[None].astype(np.float32) for output in made()]
    assert recognise_layout([output.shape for output in outputs], SIZE) == layout
    found = decode_outputs(outputs, layout, SIZE)  # type: ignore[arg-type]
    best = int(found.scores.argmax())
    assert found.boxes[best] == pytest.approx(BOX, abs=1e-3)
    assert found.scores[best] == pytest.approx(0.9, abs=1e-5)
    assert found.classes[best] == CLASS
    assert (np.delete(found.scores, best) < 0.1).all()


def test_a_yolox_that_was_exported_decoded_is_not_decoded_again() -> None:
    (values,) = yolox()
    values[:, :4] = rows(CELLS, MIDDLE, 100)
    values[:, 5:] = scores(CELLS, 100)
    found = decode_outputs([values[None]], "yolox", SIZE)
    assert found.boxes[found.scores.argmax()] == pytest.approx(BOX)


def test_labels_and_scores_are_told_apart_in_any_order() -> None:
    labels, boxes, values = (output[None] for output in named())
    for order in ([labels, boxes, values], [values, boxes, labels], [np.zeros_like(labels), boxes, values]):
        found = decode_outputs(order, "named", SIZE)
        assert found.scores.max() == pytest.approx(0.9)


@pytest.mark.parametrize("shapes", [[(1, 1000)], [(1, 3, 64, 64)], [(1, CELLS, 4)], [(2, CELLS, 85)], []])
def test_a_network_that_is_no_detector_is_refused(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(InputError, match="no known detector"):
        recognise_layout(shapes, SIZE)


def test_a_frame_keeps_its_shape_or_is_stretched() -> None:
    frame = np.full((50, 100, 3), 200, np.uint8)
    around = fit_picture(frame, (80, 80), stretch=False, centred=True)
    assert around.scale == (0.8, 0.8)
    assert around.moved == (0, 20)
    assert (around.picture[:20] == 114).all()
    assert (around.picture[20:60] == 200).all()
    assert fit_picture(frame, (80, 80), stretch=False, centred=False).moved == (0, 0)
    stretched = fit_picture(frame, (80, 80), stretch=True, centred=True)
    assert stretched.scale == (0.8, 1.6)
    assert (stretched.picture == 200).all()


def test_the_size_is_read_from_the_network() -> None:
    assert input_size('inputs: [\n "images" // <Input> CV_32FC1 [1 x 3 x 416 x 320]\n') == (416, 320)
    assert input_size('"images" // <Input> CV_32FC1 [1 x 3 x H x W]') == (640, 640)


def test_files_that_are_no_detector_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.onnx: no such file"):
        OnnxDetector(tmp_path / "none.onnx", [0])
    (tmp_path / "net.onnx").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"net\.onnx: OpenCV cannot run it"):
        OnnxDetector(tmp_path / "net.onnx", [0])
    flat = nn.Sequential(nn.Flatten(), nn.Linear(48, 7)).eval()
    with pytest.raises(InputError, match=r"flat\.onnx: its outputs \(1, 7\) are of no known detector"):
        OnnxDetector(write_network(tmp_path / "flat.onnx", flat, torch.zeros(1, 3, 4, 4)), [0])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("network") / "tiny.onnx")


def test_the_network_finds_the_athlete_where_he_is_in_frames_of_any_shape(network: Path) -> None:
    video, detector = known_video(1, VARIANTS["still"]), OnnxDetector(network, [0])
    assert detector.layout == "yolov8"
    found = detector(video.frames[5])
    assert overlap(found.boxes[:1], video.boxes[5:6])[0] > 0.4
    grey = np.full((64, 128, 3), 114, np.uint8)
    grey[:, 40:104] = video.frames[5]
    moved = detector(np.kron(grey, np.ones((2, 2, 1), np.uint8)))  # 128x256 pixels, of which the network sees a quarter
    true = (video.boxes[5:6] + [40, 0, 40, 0] + 0.5) * 2 - 0.5
    assert np.abs(moved.boxes[0, :2] + moved.boxes[0, 2:] - true[0, :2] - true[0, 2:]).max() / 2 < 10
    assert len(OnnxDetector(network, [1])(video.frames[5]).boxes) == 0  # of another class


def test_of_boxes_on_each_other_the_best_stays() -> None:
    boxes = np.array([[0.0, 0, 9, 9], [1, 0, 10, 9], [30, 0, 39, 9], [50, 0, 59, 9]])
    found = suppressed(Detections(boxes, np.array([0.5, 0.9, 0.8, 0.05])))
    assert found.boxes[:, 0].tolist() == [1, 30]
    assert found.scores.tolist() == [0.9, 0.8]


def detection(*lefts: float, score: float = 0.9) -> Detections:
    boxes = np.array([[left, 0, left + 9, 19] for left in lefts], float).reshape(-1, 4)
    return Detections(boxes, np.full(len(boxes), score))


STILL = np.eye(3)


def test_detections_are_joined_through_crossings_gaps_and_doubt() -> None:
    found = [detection(8.0 * t, 72 - 8.0 * t) for t in range(10)]  # two who pass each other
    found[3] = Detections(found[3].boxes, np.array([0.2, 0.9]))  # a doubtful one goes on with his track
    found[6] = detection(24)  # one is not seen
    tracks = join_detections(range(10), found, [STILL] * 10)
    assert sorted(track.boxes[0, 0] for track in tracks) == [0, 72]
    assert {track.frames[-1] for track in tracks} == {9}
    left = next(track for track in tracks if track.boxes[0, 0] == 0)
    assert left.boxes[-1, 0] == 72
    assert 3 in left.frames
    assert join_detections(range(4), [detection(5, score=0.3)] * 4, [STILL] * 4) == []  # nobody is sure


def test_the_cameras_motion_is_taken_out_before_tracks_go_on() -> None:
    """Under a camera that jumps by 60 pixels a track would go on at another person, who stands there now."""
    camera = np.array([[1.0, 0, -60], [0, 1, 0], [0, 0, 1]])
    found = [detection(70, 130), detection(71, 130), detection(12, 70), detection(13, 70)]
    tracks = join_detections(range(4), found, [STILL, STILL, camera, STILL])
    assert sorted(track.boxes[:, 0].tolist() for track in tracks) == [[70, 71, 12, 13], [130, 130, 70, 70]]


def test_a_match_costs_more_the_further_it_is() -> None:
    box = np.array([0.0, 0, 9, 9])
    costs = distance_cost(box, np.array([[0.0, 0, 9, 9], [5, 0, 14, 9], [10, 0, 19, 9], [500, 0, 509, 9]]))
    assert costs[0] == 0
    assert costs[1] == pytest.approx(1 - 50 / 150 + 25 / (15**2 + 10**2))
    assert 1 < costs[2] < 1.5 < costs[3] < 2


def test_the_athlete_is_who_moves_for_long_near_the_middle_and_the_second_is_there_with_him() -> None:
    wall = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 120, (100, 200, 3), dtype=np.uint8), (0, 0), 2)
    frames = np.repeat(wall[None], 10, axis=0)
    for t in range(10):
        frames[t, 40:60, 60 + 6 * t : 80 + 6 * t] = 250
        frames[t, 70:90, 60 + 6 * t : 80 + 6 * t] = 240
        frames[t, 5:15, 2:12] = 200
    times = list(range(10))
    mover, second = (
        Track(times, np.array([[60.0 + 6 * t, top, 79 + 6 * t, top + 19] for t in times])) for top in (40, 70)
    )
    standing = Track(times, np.tile([2.0, 5, 11, 14], (10, 1)))
    short = Track([8, 9], mover.boxes[8:] + 1)
    assert choose_athletes([standing, short, second, mover], frames, 1) == [mover]
    assert choose_athletes([standing, short, second, mover], frames, 2) == [mover, second]
    part = Track(times, mover.boxes - np.array([0.0, 0, 6, 6]))  # twice the same person
    assert choose_athletes([mover, part, second], frames, 2) == [mover, second]
    assert choose_athletes([], frames, 1) == []


def detected(video: Known, network: Path, athletes: int = 1) -> list[np.ndarray]:
    detecting = Detecting((str(network),), 3, (0,), athletes)
    return [film.boxes for film in film_detected(video.frames, detecting, "kcf", 0.4)]


@pytest.mark.parametrize("variant", ["still", "people", "broadcast"])
def test_the_demos_athlete_is_followed_by_what_the_network_finds(network: Path, variant: str) -> None:
    found = []
    for index in (1, 2):
        video = known_video(index, VARIANTS[variant])
        (boxes,) = detected(video, network)
        found.append(overlap(boxes, np.nan_to_num(video.boxes))[video.shown].mean())
    assert np.mean(found) > 0.5


def test_two_athletes_are_found_and_nobody_is_told(network: Path, tmp_path: Path) -> None:
    first, second = known_video(1, VARIANTS["still"]), known_video(2, VARIANTS["still"])
    both = np.concatenate([first.frames, second.frames], axis=2)  # side by side, 64x128
    video = Known("both", both, first.boxes, first.keys)
    with pytest.raises(InputError, match="the detector finds nobody"):
        film_detected(first.frames, Detecting((str(network),), 3, (1,), 1), "kcf", 0.4)
    wider = write_detector(tmp_path / "wider.onnx", 128)
    found = sorted(detected(video, wider, athletes=2), key=lambda boxes: boxes[0, 0])
    assert found[0][:, 2].max() < 64 < found[1][:, 0].min() + 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWAPAQA_CACHE", str(tmp_path / "cache"))
    made = tmp_path / "007"
    made.mkdir()
    for number, frame in enumerate(known_video(1, VARIANTS["demo"]).frames):
        cv2.imwrite(str(made / f"{number:05d}.png"), frame[..., ::-1])
    return made


def test_a_detector_is_a_first_box_of_training_and_of_make(network: Path, folder: Path, tmp_path: Path) -> None:
    source = TrackerBoxes(2.0, None, "kcf", [str(network)], "detector", 0.4, 0.5)
    request = BoxRequest([tmp_path / "boxes"], (64, 64), range(16), folder, range(16), lambda: 16)
    true = known_video(1, VARIANTS["demo"]).boxes
    assert overlap(source.read(request), true).mean() > 0.5
    (kept,) = (tmp_path / "cache" / "boxes").glob("*.txt")
    assert {row.label for row in read_rows(kept)} == {"detector"}
    detecting = Detecting((str(network),), 2, (0,), 1)
    job = Job(
        "007", folder, range(16), tmp_path / "007.txt", Settings("kcf", [], 0.4, 0.5, detecting), "detector", True
    )
    assert make_boxes(job).problem == ""
    assert {row.label for row in read_rows(tmp_path / "007.txt")} == {"detector"}
    (tmp_path / "007.txt").write_text("0,0,30,30,9,9,hand\n")  # who is drawn is followed, whatever else is found
    assert make_boxes(job).problem == ""
    assert {row.label for row in read_rows(tmp_path / "007.txt")} == {"hand", "kcf"}


def test_what_does_not_go_together_is_refused(network: Path) -> None:
    def source(method: str, weights: list[str], first_box: str, **changes: int) -> TrackerBoxes:
        return TrackerBoxes(2.0, None, method, weights, first_box, 0.4, 0.5, **changes)  # type: ignore[arg-type]

    with pytest.raises(InputError, match=r"boxes\.method is csrt or kcf"):
        source("nano", [str(network)], "detector")
    with pytest.raises(InputError, match="takes one ONNX file"):
        source("kcf", [str(network)] * 2, "detector")
    with pytest.raises(InputError, match=r"boxes\.first_box=detector alone"):
        source("kcf", [], "motion", athletes=2)
    with pytest.raises(InputError, match=r"boxes\.every=0"):
        source("kcf", [], "detector", every=0)
    with pytest.raises(InputError, match=r"none\.onnx: no such file"):
        source("kcf", ["none.onnx"], "detector")


def test_without_weights_hog_looks_for_people_and_finds_none_on_a_wall() -> None:
    assert HogDetector()(np.full((128, 96, 3), 90, np.uint8)).boxes.shape == (0, 4)


def test_masks_are_weighted_sums_of_the_networks_pictures() -> None:
    pictures = np.zeros((1, MASK_VALUES, 4, 6), np.float32)
    pictures[0, 0], pictures[0, 1, :, :3] = -1, 2
    mixture = np.zeros((2, MASK_VALUES))
    mixture[0, 0], mixture[0, 1], mixture[1, 0] = 1, 1, -1
    masks = decode_masks([np.zeros((1, 38, 9)), pictures], mixture, (4, 6))
    assert masks[0].tolist() == [[True] * 3 + [False] * 3] * 4
    assert masks[1].all()
    assert decode_masks([pictures], mixture[:0], (4, 6)).shape == (0, 4, 6)


def test_a_mask_is_laid_back_on_the_frame_that_was_fitted() -> None:
    frame = np.zeros((40, 80, 3), np.uint8)
    frame[10:30, 20:40] = 255
    for centred in (True, False):
        fitted = fit_picture(frame, (64, 64), stretch=False, centred=centred)
        back = laid_back(fitted.picture[..., 0] > 150, fitted, (40, 80))
        assert (back != (frame[..., 0] > 0)).mean() < 0.03
    assert within(np.ones((40, 80), bool), np.array([-5, 3, 10.4, 50])).sum() == 11 * 37


@pytest.fixture
def segmenting(tmp_path: Path) -> Path:
    return write_network(tmp_path / "tiny-seg.onnx", TinySegmenter(64).eval(), torch.zeros(1, 3, 64, 64))


def test_make_writes_the_masks_of_a_segmenting_network_as_the_loader_reads_them(
    segmenting: Path, folder: Path, tmp_path: Path
) -> None:
    settings = Settings("kcf", [], 0.4, 0.5, Detecting((str(segmenting),), 1, (0,), 1))
    job = Job("007", folder, range(16), tmp_path / "out" / "007.txt", settings, "detector", True, masks=True)
    assert make_boxes(job).problem == ""
    request = BoxRequest([tmp_path / "out" / "007"], (64, 64), range(16), folder, range(16), lambda: 16)
    masks = np.stack(list(MaskImages(1.0, None).read_masks(request)))
    video = known_video(1, VARIANTS["demo"])
    channels = video.frames.astype(int)
    red = (channels[..., 0] - channels[..., 1]) / 255 > 0.1
    for mask, suit, box in zip(masks, red, video.boxes, strict=True):
        near = within(np.ones((64, 64), bool), box)
        assert (mask & suit).sum() > 0.7 * (suit & near).sum()  # the athlete's suit
        assert (mask & ~suit).sum() == 0  # and nothing that is not red
    assert "is there already" in make_boxes(job._replace(path=tmp_path / "out" / "007.txt")).problem


@pytest.mark.parametrize("drawn", [False, True])
def test_make_with_masks_follows_once_and_takes_the_mask_where_somebody_drew(
    drawn: bool, segmenting: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("follow_detected", "follow_athlete"):
        follow = getattr(make, name)
        monkeypatch.setattr(make, name, lambda *words, name=name, follow=follow: asked.append(name) or follow(*words))
    settings = Settings("kcf", [], 0.4, 1.0, Detecting((str(segmenting),), 3, (0,), 1))
    job = Job("007", folder, range(16), tmp_path / "out" / "007.txt", settings, "detector", True, masks=True)
    (tmp_path / "out").mkdir()
    if drawn:
        job.path.write_text("0,0,1,50,9,9,hand\n15,0,1,50,9,9,hand\n")  # in the water, where nobody is
    assert make_boxes(job).problem == ""
    assert asked == ["follow_athlete" if drawn else "follow_detected"]
    request = BoxRequest([tmp_path / "out" / "007"], (64, 64), range(16), folder, range(16), lambda: 16)
    first = next(MaskImages(1.0, None).read_masks(request))
    true = within(np.ones((64, 64), bool), known_video(1, VARIANTS["demo"]).boxes[0])
    assert bool((first & true).any()) is not drawn
    assert not drawn or first.sum() == 81  # his box


def test_a_network_without_masks_gives_none(network: Path, folder: Path, tmp_path: Path) -> None:
    for weights, words in (((str(network),), "gives no masks"), ((), "--masks: say boxes.first_box=detector")):
        settings = Settings("kcf", [], 0.4, 1.0, Detecting(weights, 1, (0,), 1) if weights else None)
        path = tmp_path / f"{len(weights)}.txt"
        job = Job("007", folder, range(16), path, settings, "detector" if weights else "motion", True, masks=True)
        assert words in make_boxes(job).problem
        assert not path.exists()


def test_where_nobody_is_detected_the_box_is_the_mask() -> None:
    box, size = np.array([10.0, 10, 19, 19]), (40, 40)
    own, other = within(np.ones(size, bool), np.array([12, 12, 17, 17])), np.ones(size, bool)
    found = Detections(np.array([[11.0, 11, 20, 20], [30, 30, 39, 39]]), np.array([0.6, 0.9]), np.stack([own, other]))
    assert (athlete_mask(found, box, size) == own).all()
    assert athlete_mask(found, box + 10, size).sum() == 100
    assert athlete_mask(Detections(np.empty((0, 4)), np.empty(0), np.zeros((0, *size), bool)), box, size).sum() == 100
