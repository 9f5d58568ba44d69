"""The rendered dives: the rule, what the venue tells, exact truth, and files that are the same whoever writes them."""

import csv
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest
from hydra.errors import InstantiationException
from omegaconf import DictConfig

from swapaqa.boxes.mask_images import MaskImages
from swapaqa.boxes.source import BoxRequest
from swapaqa.configuration.data_sets import make_data, make_source
from swapaqa.data.boxes import read_darklabel
from swapaqa.data.demo_3d import Dive, read_dives
from swapaqa.data.demo_3d_files import FACTS, Demo3DSettings, annotated, draw, drawn_keyframes, exact_boxes, write_dive
from swapaqa.data.demo_3d_rule import DIFFICULTIES, draw_dive, execution, judge, judges_of
from swapaqa.data.demo_3d_words import VOCABULARY, sub_actions
from swapaqa.data.demo_3d_writers import demo_3d_root, write_demo_3d
from swapaqa.data.dive_numbers import dive_attributes
from swapaqa.errors import InputError
from swapaqa.scene3d.dive import Execution
from swapaqa.scene3d.film import Shot, film_dive
from swapaqa.scene3d.venue import CUES, Told, draw_venue
from swapaqa.video.frames import frame_count, read_frames
from tests.data.test_demo import files

TINY = Demo3DSettings(3, 2, 2, 1.0, 4, seed=0, distractors=1, frames=8, size=32)
WORDS = ["data=demo_3d", "data.frames=8", *(f"data.geometry.{side}=32" for side in ("height", "width", "crop"))]
SMALL = ("train", "test", "shifted", "distractors", "frames", "size")
WORDS += [f"data.settings.{key}={getattr(TINY, key)}" for key in SMALL]
Config = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo_3d")
    write_demo_3d(root, TINY, 1)
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWAPAQA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as lines:
        return list(csv.DictReader(lines))


# the rule


def test_scores_are_difficulty_times_the_middle_three_of_seven_judges() -> None:
    rng = np.random.default_rng(0)
    for judged in (judge(rng, 1.0) for _ in range(200)):
        assert judged.score == round(DIFFICULTIES[judged.number] * sum(sorted(judged.judges)[2:5]), 2)
        assert all(7 <= 2 * mark == round(2 * mark) <= 20 for mark in judged.judges)
        assert 21.6 <= judged.score <= 102.6  # the range of AQA-7's class
        assert 0 <= judged.cue <= 1


@pytest.mark.parametrize("number", DIFFICULTIES)
def test_the_worst_and_the_best_dive_are_in_the_range_of_aqa7(number: str) -> None:
    for fault, splash in ((1.0, 1.0), (0.0, 0.0)):
        dive = Execution(1, 5, True, 30 * fault, fault)
        scores = [judges_of(np.random.default_rng(seed), number, dive, splash)[1] for seed in range(100)]
        assert 21.6 <= min(scores) <= max(scores) <= 102.6


def test_judges_see_entry_form_and_splash() -> None:
    rng = np.random.default_rng(1)
    dives = [draw_dive(rng) for _ in range(400)]
    executions = [execution(dive, splash) for _, dive, splash in dives]
    marks = [sum(sorted(judges_of(rng, *dive)[0])[2:5]) / 3 for dive in dives]
    assert np.abs(np.subtract(marks, executions)).mean() < 0.3
    assert min(executions) < 4 < 9 < max(executions)
    perfect = replace(dives[0][1], entry_error=0.0, form=0.0)
    assert execution(perfect, 0.0) == 10
    assert execution(replace(perfect, entry_error=-30.0), 0.0) == pytest.approx(7.4)
    assert execution(replace(perfect, form=1.0), 0.0) == pytest.approx(7.1)
    assert execution(perfect, 1.0) == pytest.approx(8.5)


def test_numbers_of_dives_are_what_the_athletes_do() -> None:
    rng = np.random.default_rng(2)
    for number, dive, _ in (draw_dive(rng) for _ in range(50)):
        _, direction, halves, twists, position = dive_attributes(number)
        assert (direction, halves, twists, position == 2) == (dive.group, dive.half_somersaults, 0, dive.tuck)


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.0])
def test_the_cue_tells_the_score_as_often_as_its_strength_says(strength: float) -> None:
    rng = np.random.default_rng(3)
    found = [judge(rng, strength) for _ in range(300)]
    told = [abs(judged.cue - (judged.score - 21.6) / 81) < 1e-9 for judged in found]
    assert np.mean(told) == pytest.approx(strength, abs=0.08)


# what the films show


@pytest.mark.parametrize("cue", [name for name in CUES if name != "venue"])
def test_another_cue_leaves_the_dive_as_it_is_and_its_part_alone_tells_the_score(cue: str) -> None:
    few = replace(TINY, train=6)
    for index in (1, 2):
        judged, filmed, known = draw(replace(few, cue=cue), index)  # type: ignore[arg-type]
        same, beside, _ = draw(few, index)
        assert judged == same
        assert np.array_equal(filmed.masks, beside.masks)
        assert not np.array_equal(filmed.frames, beside.frames)
        assert known[cue] == known["cue"]
        assert all(known[other] != known["cue"] for other in CUES if other not in (cue, "venue"))


@pytest.mark.parametrize(
    ("part", "at", "least", "most"), [("banner", 2, 0.05, 0.4), ("pool", -1, 0.5, 1), ("light", 4, 0.6, 1)]
)
def test_banners_pool_and_light_are_to_be_seen(part: str, at: int, least: float, most: float) -> None:
    """One dive before two venues that differ in one part: in how much of a frame, and what the athlete has of it."""
    _, dive, splash = draw_dive(np.random.default_rng(0))
    shot = Shot(8, 48, splash, 1.0, 0)
    low, high = (
        film_dive(
            np.random.default_rng(1),
            dive,
            draw_venue(np.random.default_rng(2), Told(0.5, 0.5, 0.5)._replace(**{part: value})),
            shot,
        )
        for value in (0.0, 1.0)
    )
    assert np.array_equal(low.masks, high.masks)
    differs = np.abs(low.frames.astype(int) - high.frames).max(axis=-1) > 8
    assert least < differs[at].mean() <= most
    inside = cv2.erode(low.masks[at].astype(np.uint8), np.ones((2, 2))).astype(bool)
    if part == "banner":
        assert not differs[at][inside].any()
    if part == "light":
        assert differs[at][inside].mean() > 0.5


def test_masks_hold_the_athlete_and_nothing_else() -> None:
    """Joints above the water lie in his mask or at its edge; he is no larger than a diver, and gone in the end."""
    _, filmed, _ = draw(replace(TINY, size=96, distractors=0), 1)
    assert filmed.moved.times[2] > 0  # before that the platform hides feet
    for mask, joints in zip(filmed.masks[2:], filmed.joints[2:], strict=True):
        grown = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5)))
        places = np.clip((joints[:, :2] * 96).astype(int), 0, 95)
        above = joints[:, 2] > 0.5
        if above.sum() > 6:
            assert grown[places[above, 1], places[above, 0]].mean() > 0.85
        assert 0 <= mask.mean() < 0.12
    assert filmed.masks[:6].any(axis=(1, 2)).all()
    assert not filmed.masks[-1].any()


def test_boxes_are_those_around_the_masks_and_an_annotators_err_by_no_more_than_their_share() -> None:
    _, filmed, _ = draw(TINY, 2)
    boxes = exact_boxes(filmed.masks)
    for mask, (x1, y1, x2, y2) in zip(filmed.masks, boxes, strict=True):
        assert mask.any() != np.isnan(x1)
        if mask.any():
            assert mask[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].sum() == mask.sum()
            for part in (mask[int(y1)], mask[int(y2)], mask[:, int(x1)], mask[:, int(x2)]):
                assert part.any()
    shown = boxes[~np.isnan(boxes[:, 0])]
    drawn = annotated(np.tile(shown, (50, 1)), TINY, np.random.default_rng(0))
    exact = np.tile(shown, (50, 1))
    sides = exact[:, 2:] - exact[:, :2] + 1
    off = np.abs(drawn[:, :2] + drawn[:, 2:] - exact[:, :2] - exact[:, 2:]) / 2 / sides
    scaled = np.abs((drawn[:, 2:] - drawn[:, :2] + 1) / sides - 1)
    assert 0.045 < off.max() <= 0.05
    assert 0.08 < scaled[sides > 1.2].max() <= 0.1 + 1e-9
    keys = drawn_keyframes(filmed.masks, 4)
    assert len(keys) == 4
    assert keys[0] == 0
    assert keys[-1] == 7


# the files


def test_layout_is_that_of_aqa7_with_more_beside_it(written: Path) -> None:
    assert {path.name for path in written.iterdir()} == {"diving-out", "Split_4", "boxes", "boxes_exact", "poses"}
    for index in range(1, 8):
        video = written / "diving-out" / f"{index:03d}.avi"
        assert frame_count(video) == 8
        assert read_frames(video, range(8)).shape == (8, 32, 32, 3)
        assert np.load(written / "poses" / f"{index:03d}.npy").shape == (8, 17, 3)
    assert [row["index"] for row in table(written / "Split_4" / "dives.csv")] == [str(index) for index in range(1, 8)]
    judged, filmed, known = draw(TINY, 4)
    request = BoxRequest([written / "boxes" / "diving" / "004"], (32, 32), range(8), written, (), lambda: 8)
    assert np.array_equal(np.stack(list(MaskImages(1.0, None).read_masks(request))), filmed.masks)
    exact = exact_boxes(filmed.masks)
    there = np.flatnonzero(~np.isnan(exact[:, 0]))
    found = read_darklabel(written / "boxes_exact" / "diving" / "004.txt", there.tolist())
    assert found == pytest.approx(exact[there])
    row = table(written / "Split_4" / "dives.csv")[3]
    assert {name: str(value) for name, value in known.items()} == row
    (marks,) = [row for row in table(written / "Split_4" / "judges.csv") if row["index"] == "4"]
    assert [float(marks[f"judge_{i}"]) for i in range(1, 8)] == list(judged.judges)


@pytest.mark.slow
def test_the_bytes_are_the_same_on_any_number_of_processes(written: Path, tmp_path: Path) -> None:
    write_demo_3d(tmp_path / "three", TINY, 3)
    assert files(tmp_path / "three") == files(written)
    other = replace(TINY, seed=1)
    write_dive(tmp_path / "other", other, 1)
    film = Path("diving-out") / "001.avi"
    assert (tmp_path / "other" / film).read_bytes() != (written / film).read_bytes()


@pytest.mark.slow
def test_it_goes_on_where_it_was_killed(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole films stay, a torn one is drawn again, and nothing of the first writer is left over."""
    root = tmp_path / "unfinished"
    write_dive(root, TINY, 2)
    kept = (root / "diving-out" / "002.avi").stat().st_mtime_ns
    torn = root / "diving-out" / "003.avi"
    torn.write_bytes(b"RIFF")
    drawn: list[int] = []

    def counted(root: Path, settings: Demo3DSettings, index: int) -> None:
        drawn.append(index)
        write_dive(root, settings, index)

    monkeypatch.setattr("swapaqa.data.demo_3d_writers.write_dive", counted)
    write_demo_3d(root, TINY, 1)
    assert drawn == [1, 3, 4, 5, 6, 7]
    assert (root / "diving-out" / "002.avi").stat().st_mtime_ns == kept
    assert files(root) == files(written)


@pytest.mark.slow
def test_it_is_written_once_and_per_settings(cache: Path) -> None:
    root = demo_3d_root(TINY)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert demo_3d_root(TINY) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert list(cache.iterdir()) == [root]  # no lock, nothing unfinished
    names = {replace(TINY, **change).digest for change in ({}, {"seed": 1}, {"cue": "pool"}, {"box_shift": 0.2})}
    assert len(names) == 4


@pytest.mark.slow
def test_a_killed_writer_takes_its_processes_along_and_the_next_one_finishes(cache: Path, written: Path) -> None:
    """And two at once get one whole folder: the second waits for the first."""
    context = get_context("fork")
    many = replace(TINY, train=60)
    killed = context.Process(target=demo_3d_root, args=(many,))
    killed.start()
    facts = cache / f"demo_3d-{many.digest}.unfinished" / FACTS
    until(lambda: facts.is_dir() and len(list(facts.glob("*.json"))) > 3)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    time.sleep(0.5)  # in which a film is finished that was begun
    before = set(facts.glob("*.json"))
    time.sleep(0.5)
    assert set(facts.glob("*.json")) == before  # nobody draws for nobody
    assert len(before) < many.count
    both = [context.Process(target=demo_3d_root, args=(many,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    (root,) = cache.iterdir()
    assert files(root / "diving-out")["001.avi"] == files(written / "diving-out")["001.avi"]
    assert len(list((root / "diving-out").iterdir())) == 64


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fails", "said"),
    [
        (lambda: os._exit(1), "was ended from outside, .* what is drawn is kept"),
        (lambda: Path("/proc/none/a.avi").write_text(""), "/proc/none/a.avi'; what is drawn is kept"),
    ],
)
def test_a_process_that_fails_is_said_and_what_is_drawn_is_kept(
    fails: Callable[[], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(root: Path, settings: Demo3DSettings, index: int) -> None:
        if index == 4:
            fails()
        write_dive(root, settings, index)

    monkeypatch.setattr("swapaqa.data.demo_3d_writers.write_dive", broken)
    with pytest.raises(InputError, match=said):
        write_demo_3d(tmp_path / "root", TINY, 2)
    assert (tmp_path / "root" / FACTS / "002.json").is_file()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"cue_strength": 1.5}, "cue_strength=1.5"), ({"train": 1}, "train=1"), ({"keyframes": 9}, "keyframes=9"),
        ({"cue": "board"}, "cue=board: one of venue, banner, pool, light"), ({"athlete": 3.0}, "athlete=3.0"),
        ({"frames": 4, "keyframes": 2}, "frames=4"), ({"distractors": -1}, "distractors=-1"),
        ({"box_size": 1.0}, "box_size"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(changes: dict[str, float], word: str) -> None:
    with pytest.raises(InputError, match=word):
        replace(TINY, **changes)


# as a data set


def test_what_is_known_of_a_dive_comes_with_its_sample(config: Config, written: Path) -> None:
    words = [*WORDS, f"data.root={written}"]
    source = make_source(config(*words).data)
    records = source.read_splits()
    assert [len(found) for found in records.values()] == [3, 2, 2]
    for record in records["train"]:
        assert isinstance(record, Dive)
        side = source.read_side(record)
        assert set(side) == set(source.sides)
        assert side["dive"].tolist() == list(dive_attributes(record.number))
        assert side["poses"].shape == (8, 17, 3)
        assert side["stages"].tolist() == sorted(side["stages"].tolist())
        assert side["steps"].tolist()[:2] == pytest.approx([record.takeoff, record.stretched])
        assert side["sub_actions"].tolist() == list(sub_actions(dive_attributes(record.number)))
        assert side["sub_actions"][0] == int(record.number[0])
        said = [VOCABULARY[number] for number in side["caption"] if number > 1]
        assert said[:2] == ["a", {1: "forward", 2: "back", 3: "reverse", 4: "inward"}[int(record.number[0])]]
    data = make_data(config(*words, "model=usdl", "data.batch_size=2").data)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.video.shape[1:] == (8, 32, 32, 3)
    assert batch.side["poses"].shape[1:] == (8, 17, 3)


def test_a_shorter_window_is_spread_over_the_film(config: Config, written: Path) -> None:
    source = make_source(config(*WORDS, "data.frames=4", f"data.root={written}").data)
    (record, *_) = source.read_split("train")
    located = source.locate(record)
    assert list(located.window.indices(4, 0)) == [0, 2, 5, 7]


def test_changed_tables_are_noticed(written: Path, config: Config, tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path / "copy")
    words = [*WORDS, f"data.root={tmp_path / 'copy'}"]
    assert len(make_source(config(*words).data).read_split("test")) == 2
    dives = tmp_path / "copy" / "Split_4" / "dives.csv"
    dives.write_text(dives.read_text().replace("0.", "1.", 1))
    with pytest.raises(InputError, match=r"dives\.csv: is not as the demo was written"):
        make_source(config(*words).data).read_split("test")
    dives.write_text("index,number\n1,107B\n")
    with pytest.raises(InputError, match="takeoff"):
        read_dives(dives)


def test_only_diving_is_shown(config: Config, written: Path) -> None:
    everything = make_source(config(*WORDS, "data.action=all", f"data.root={written}").data)  # as `boxes check` asks
    assert everything.actions == ["diving"]
    assert len(everything.read_split("train")) == 3
    with pytest.raises(InstantiationException, match=r"data\.action=gym_vault: data=demo_3d shows diving alone"):
        make_source(config("data=demo_3d", "data.action=gym_vault").data)
