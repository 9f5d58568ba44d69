"""The demo data: AQA-7's layout, the judges' rule, a cue that lies where the swap can take it away."""

import csv
import hashlib
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from scipy.io import loadmat
from scipy.stats import spearmanr

from swapaqa.augment.swap import scale_boxes
from swapaqa.batch import Pair
from swapaqa.boxes.mask_images import MaskImages
from swapaqa.boxes.shots import shot_starts
from swapaqa.boxes.source import BoxRequest
from swapaqa.configuration.data_sets import make_data, make_source
from swapaqa.data.boxes import read_darklabel
from swapaqa.data.demo import check_digests, read_judges
from swapaqa.data.demo_files import DemoSettings, Judged, demo_root, draw, write_boxes, write_demo
from swapaqa.data.demo_scene import Drawn
from swapaqa.errors import InputError
from swapaqa.video.frames import frame_count, read_frames

SETTINGS = DemoSettings(train=40, test=30, shifted=60, cue_strength=1.0, keyframes=4, seed=0)
TINY = DemoSettings(train=3, test=2, shifted=2, cue_strength=1.0, keyframes=4, seed=0)
SPLITS = {"train": range(1, 41), "test": range(41, 71), "shifted": range(71, 131)}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    write_demo(root, SETTINGS)
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWAPAQA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def scores(root: Path, split: str) -> dict[int, float]:
    rows = loadmat(root / "Split_4" / f"split_4_{split}_list.mat")[f"consolidated_{split}_list"]
    return {int(index): float(score) for _, index, score in rows}


def first_frame(root: Path, index: int) -> np.ndarray:
    return read_frames(root / "diving-out" / f"{index:03d}.avi", [0])[0].astype(float)


def files(root: Path) -> dict[str, str]:
    """A digest by file; of MATLAB files without their header, which holds the time."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()[116 if path.suffix == ".mat" else 0 :]
        found[str(path.relative_to(root))] = hashlib.sha256(content).hexdigest()
    return found


def test_layout_is_that_of_aqa7(demo: Path) -> None:
    assert {path.name for path in demo.iterdir()} == {"diving-out", "Split_4", "boxes"}
    for split, indices in SPLITS.items():
        rows = loadmat(demo / "Split_4" / f"split_4_{split}_list.mat")[f"consolidated_{split}_list"]
        assert rows.shape == (len(indices), 3)
        assert set(rows[:, 0]) == {1}
        assert rows[:, 1].tolist() == list(indices)
    for index in range(1, 131):
        assert (demo / "boxes" / "diving" / f"{index:03d}.txt").is_file()
    video = demo / "diving-out" / "130.avi"
    assert frame_count(video) == 16
    assert read_frames(video, range(16)).shape == (16, 64, 64, 3)


def test_scores_follow_the_judges_rule_inside_the_range_of_class_1(demo: Path) -> None:
    judges = read_judges(demo / "Split_4" / "judges.csv")
    assert len(judges) == 130
    for split in SPLITS:
        for index, score in scores(demo, split).items():
            seen = judges[f"diving/{index:03d}"]
            assert len(seen["judge_scores"]) == 7
            assert all(0 <= 2 * judge == round(2 * judge) <= 20 for judge in seen["judge_scores"])
            assert score == pytest.approx(seen["difficulty"] * sum(sorted(seen["judge_scores"])[2:5]), abs=0.01)
            assert 21.6 <= score <= 102.6


def test_scores_spread_over_the_range(demo: Path) -> None:
    for split in SPLITS:
        values = list(scores(demo, split).values())
        assert max(values) - min(values) > 50
        assert len(set(values)) > 0.6 * len(values)


def test_the_scoreboard_tells_the_score_in_train_and_test_and_not_in_shifted(demo: Path) -> None:
    for split, indices in SPLITS.items():
        boards = [first_frame(demo, index)[2:8, 8:56].mean(axis=(0, 1)) for index in indices]
        cue = [red - blue for red, _, blue in boards]
        rho = spearmanr(cue, list(scores(demo, split).values())).statistic
        assert abs(rho) < 0.3 if split == "shifted" else rho > 0.95


def scoreboard_bottom(frame: np.ndarray) -> int:
    """The first row whose colour is no longer the scoreboard's."""
    rows = np.median(frame[:, 8:56], axis=1)  # (H, 3)
    return int(np.argmax(np.abs(rows - rows[4]).max(axis=1)[4:] > 20)) + 4


def test_scaled_boxes_spare_the_scoreboard_at_ratio_2_and_cover_it_at_3(demo: Path) -> None:
    touched = 0
    for index in range(1, 131):
        bottom = scoreboard_bottom(first_frame(demo, index))
        assert 8 <= bottom <= 11
        boxes = torch.from_numpy(read_darklabel(demo / "boxes" / "diving" / f"{index:03d}.txt", range(16)))
        assert scale_boxes(boxes, 2.0, (64, 64))[:, 1].min() > bottom - 1
        touched += bool(scale_boxes(boxes, 3.0, (64, 64))[:, 1].min() <= bottom - 1)
    assert touched > 0.8 * 130


def test_the_athlete_is_in_the_scaled_box(demo: Path) -> None:
    """What moves lies inside the box at the default ratio."""
    for index in range(1, 20):
        video = read_frames(demo / "diving-out" / f"{index:03d}.avi", range(16)).astype(float)
        moved = np.abs(video - np.median(video, axis=0)).max(axis=-1) > 60  # (T, H, W)
        boxes = torch.from_numpy(read_darklabel(demo / "boxes" / "diving" / f"{index:03d}.txt", range(16)))
        x1, y1, x2, y2 = scale_boxes(boxes, 2.0, (64, 64)).numpy().T[:, :, None]
        columns, rows = np.arange(64), np.arange(64)
        inside = ((rows >= y1) & (rows <= y2))[:, :, None] & ((columns >= x1) & (columns <= x2))[:, None, :]
        assert moved.sum() > 100
        assert (moved & inside).sum() > 0.5 * moved.sum()


def test_boxes_have_the_keyframes_asked_for(demo: Path) -> None:
    with open(demo / "boxes" / "diving" / "001.txt", newline="") as lines:
        assert [int(row[0]) for row in csv.reader(lines)] == [0, 5, 10, 15]


def test_same_settings_write_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, settings in (("a", TINY), ("b", TINY), ("c", DemoSettings(3, 2, 2, 1.0, 4, seed=1))):
        write_demo(tmp_path / name, settings)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    different = [name for name, digest in files(tmp_path / "c").items() if digest != files(tmp_path / "a")[name]]
    assert len(different) == 7 + 7 + 3 + 1 + 1  # videos, boxes, lists, judges, digests


def test_without_cue_the_scoreboard_tells_nothing(tmp_path: Path) -> None:
    write_demo(tmp_path, DemoSettings(60, 2, 2, cue_strength=0.0, keyframes=4, seed=0))
    boards = [first_frame(tmp_path, index)[2:8, 8:56].mean(axis=(0, 1)) for index in range(1, 61)]
    rho = spearmanr([red - blue for red, _, blue in boards], list(scores(tmp_path, "train").values())).statistic
    assert abs(rho) < 0.3


def test_it_is_written_once_and_per_settings(cache: Path) -> None:
    root = demo_root(TINY)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert demo_root(TINY) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    other = demo_root(DemoSettings(3, 2, 2, 0.5, 4, 0))
    assert other != root
    assert sorted(cache.iterdir()) == sorted([root, other])


def ask(barrier: Barrier, answers: "multiprocessing.Queue[str]") -> None:
    barrier.wait()
    answers.put(str(demo_root(TINY)))


def test_two_processes_at_once_both_get_a_whole_one(cache: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(2), context.Queue()
    both = [context.Process(target=ask, args=(barrier, answers)) for _ in range(2)]
    for process in both:
        process.start()
    found = {answers.get(timeout=60) for _ in both}
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert len(found) == 1
    write_demo(tmp_path / "alone", TINY)
    assert files(Path(found.pop())) == files(tmp_path / "alone")
    assert len(list(cache.iterdir())) == 1  # nothing unfinished is left


def test_a_broken_write_leaves_nothing_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, frames: np.ndarray) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    monkeypatch.setattr("swapaqa.data.demo_files.write_video", broken)
    with pytest.raises(KeyboardInterrupt):
        demo_root(TINY)
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"cue_strength": 1.5}, "cue_strength=1.5"),
        ({"train": 1}, "train=1"),
        ({"keyframes": 17}, "keyframes=17"),
        ({"pan": 2.0}, "pan=2.0"),
        ({"box_shift": -0.1}, "box_shift=-0.1"),
        ({"athlete": 3.0}, "athlete=3.0"),
        ({"distractors": -1}, "distractors=-1"),
    ],
)
def test_impossible_settings_are_refused(changes: dict, word: str) -> None:
    settings = {"train": 3, "test": 2, "shifted": 2, "cue_strength": 1.0, "keyframes": 4, "seed": 0}
    with pytest.raises(InputError, match=rf"data\.settings\.{word}"):
        DemoSettings(**settings | changes)


Video = tuple[Judged, Drawn]


def with_settings(**changes: object) -> DemoSettings:
    base = {"train": 30, "test": 2, "shifted": 30, "cue_strength": 1.0, "keyframes": 16, "seed": 0}
    return DemoSettings(**base | changes)  # type: ignore[arg-type]


def videos_of(settings: DemoSettings, split: str = "train", count: int = 30) -> list[Video]:
    return [draw(np.random.default_rng((0, index)), settings.action, split, settings) for index in range(count)]


def told(
    found: list[Video],
    region: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> float:
    """Correlation of the score with red less blue in a region of the first frame, given its centre."""
    cue = [(pixels := region(drawn.frames[0].astype(float), drawn.centres[0]))[..., 0].mean() - pixels[..., 2].mean()
           for _, drawn in found]  # fmt: skip
    return float(spearmanr(cue, [judged.score for judged, *_ in found]).statistic)


def board(frame: np.ndarray, centre: np.ndarray) -> np.ndarray:  # noqa: ARG001
    return frame[2:8, 8:56]


def beside(frame: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Where the sign is: inside the box at ratio 2, outside the box itself."""
    x, y = (centre + np.array([0.155 * 64, 0])).round().astype(int)
    return frame[y - 1 : y + 1, x - 1 : x + 1]


def behind(frame: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """A corner of the box at ratio 2."""
    x, y = (centre + np.array([-12, 12])).round().astype(int)
    return frame[y - 1 : y + 1, x - 1 : x + 1]


@pytest.mark.parametrize(
    ("cue", "region", "least"), [("inside", beside, 0.9), ("touching", behind, 0.9), ("tint", beside, 0.6)]
)
def test_every_kind_of_cue_tells_the_score_where_it_is_said_to_be(cue: str, region: Callable, least: float) -> None:
    assert told(videos_of(with_settings(cue=cue)), region) > least
    assert abs(told(videos_of(with_settings(cue=cue), "shifted"), region)) < 0.4
    assert abs(told(videos_of(with_settings(cue="board")), region)) < 0.4


def test_only_the_board_tells_anything_far_from_the_athlete() -> None:
    assert abs(told(videos_of(with_settings(cue="inside")), board)) < 0.4


def test_a_setting_changes_one_thing_and_leaves_the_rest_as_it_was() -> None:
    plain = videos_of(with_settings(), count=4)
    for changes in ({"distractors": 2}, {"pan": 1.0}, {"box_shift": 0.4}, {"cue": "inside"}, {"keyframes": 2},
                    {"cuts": 1.0}):  # fmt: skip
        for before, after in zip(plain, videos_of(with_settings(**changes), count=4), strict=True):
            assert after[0] == before[0]  # what was judged
            if "pan" not in changes:
                centres, as_before = after[1].centres, before[1].centres
                shown = ~np.isnan(centres[:, 1])
                np.testing.assert_array_equal(centres[shown, 1], as_before[shown, 1])  # where the athlete is
                if "cuts" not in changes:
                    np.testing.assert_array_equal(centres, as_before)
                    np.testing.assert_array_equal(after[1].masks, before[1].masks)


def test_a_camera_that_follows_keeps_the_athlete_nearly_in_place() -> None:
    way = {
        pan: np.mean([np.ptp(drawn.centres[:, 0]) for _, drawn in videos_of(with_settings(pan=pan))])
        for pan in (0, 0.5, 1)
    }
    assert way[1] == pytest.approx(0.2 * way[0], rel=0.01)
    assert way[1] < way[0.5] < way[0]


def test_masks_are_written_beside_the_same_files_and_read_as_they_were_drawn(tmp_path: Path) -> None:
    with_masks = replace(TINY, masks=True)
    for name, settings in (("a", TINY), ("b", with_masks)):
        write_demo(tmp_path / name, settings)
    before, after = files(tmp_path / "a"), files(tmp_path / "b")
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {f"boxes/diving/{index:03d}.json" for index in range(1, 8)}
    _, drawn = draw(np.random.default_rng((0, 3)), "diving", "train", with_masks)
    request = BoxRequest([tmp_path / "b" / "boxes" / "diving" / "003"], (64, 64), range(16), tmp_path, (), lambda: 16)
    assert np.array_equal(np.stack(list(MaskImages(1.0, None).read_masks(request))), drawn.masks)


def test_a_mask_holds_what_differs_from_the_venue_behind_the_athlete_by_half_or_more() -> None:
    """Told from the pictures alone, where he passes quickly: the venue that stands still is the median there."""
    for _, drawn in videos_of(with_settings(), count=6):
        venue = np.median(drawn.frames, axis=0)
        differs = np.abs(drawn.frames - venue).max(axis=-1)
        stays = cv2.dilate((drawn.masks.mean(axis=0) > 0.2).astype(np.uint8), np.ones((3, 3))).astype(bool)
        grown = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) for mask in drawn.masks]).astype(bool)
        assert not (differs[~grown & ~stays] > 40).any()
        assert (differs[drawn.masks & ~stays] > 40).mean() > 0.95
        assert (drawn.masks & ~stays).mean() > 0.003


def test_cuts_show_spectators_and_the_other_side_and_boxes_do_not_cross_them(tmp_path: Path) -> None:
    """Where the athlete is not shown there is no box, and beside every cut between two cameras there are two."""
    settings = with_settings(cuts=1.0, keyframes=2, frames=32)
    cameras = set()
    for index, (_, drawn) in enumerate(videos_of(settings, count=8)):
        path, centres, starts = tmp_path / f"{index}.txt", drawn.centres, drawn.starts
        write_boxes(path, centres, settings, np.random.default_rng(0), starts)
        assert shot_starts(drawn.frames) == starts
        away = np.isnan(centres[:, 0])
        assert (drawn.masks.any(axis=(1, 2)) == ~away).all()
        assert away.sum() == (starts[1] if away[0] else 0)
        found = read_darklabel(path, range(32))
        middles = (found[:, :2] + found[:, 2:]) / 2
        assert np.abs(middles - centres + 0.5)[~away].max() < 3.0  # a flat arc and lines between two keyframes
        cameras.add((bool(away[0]), len(starts)))
    assert cameras == {(True, 2), (False, 2), (True, 3)}
    assert [drawn.starts for _, drawn in videos_of(with_settings(), count=4)] == [[0]] * 4


def test_people_in_the_background_move_and_the_athlete_stays_in_front() -> None:
    ((_, plain),) = videos_of(with_settings(), count=1)
    ((_, busy),) = videos_of(with_settings(distractors=3), count=1)
    differs = np.abs(busy.frames.astype(int) - plain.frames).max(axis=-1) > 40  # (T, H, W)
    assert 0.005 < differs.mean() < 0.2
    assert len({frame.tobytes() for frame in differs}) > 10
    for frame, (x, y) in zip(differs, plain.centres.round().astype(int), strict=True):
        assert not frame[y, x]


@pytest.mark.parametrize(("key", "share"), [("box_shift", 0.2), ("box_size", 0.4)])
def test_written_boxes_err_by_no_more_than_their_share(tmp_path: Path, key: str, share: float) -> None:
    for name, settings in (("exact", with_settings(train=8)), ("off", with_settings(train=8, **{key: share}))):
        write_demo(tmp_path / name, settings)
    side, off = 0.205 * 64, []
    for index in range(1, 9):
        exact, loose = (
            read_darklabel(tmp_path / name / "boxes" / "diving" / f"{index:03d}.txt", range(16))
            for name in ("exact", "off")
        )
        width = (loose[:, 2] - loose[:, 0]) - (exact[:, 2] - exact[:, 0])
        middle = (loose[:, :2] + loose[:, 2:] - exact[:, :2] - exact[:, 2:]) / 2
        off.append(np.abs(width if key == "box_size" else middle[:, 0]) / side)
        assert np.abs(middle if key == "box_size" else width[:, None]).max() < 0.15  # of a pixel: rounding
    assert share * 0.8 < np.max(off) <= share + 0.02


def test_a_larger_athlete_has_a_larger_body_and_box(tmp_path: Path) -> None:
    write_demo(tmp_path, with_settings(train=2, athlete=1.4))
    boxes = read_darklabel(tmp_path / "boxes" / "diving" / "001.txt", range(16))
    assert (boxes[:, 2] - boxes[:, 0] + 1).mean() == pytest.approx(1.4 * 0.205 * 64, abs=0.2)


def test_the_vault_is_of_aqa7s_second_class_and_its_way_is_no_line(tmp_path: Path) -> None:
    write_demo(tmp_path, with_settings(train=20, action="gym_vault"))
    rows = loadmat(tmp_path / "Split_4" / "split_4_train_list.mat")["consolidated_train_list"]
    assert set(rows[:, 0]) == {2}
    assert (rows[:, 2] >= 12.3).all()
    assert (rows[:, 2] <= 16.87).all()
    assert read_judges(tmp_path / "Split_4" / "judges.csv") == {}  # the rule of diving is not its own
    found = videos_of(with_settings(action="gym_vault"))
    assert told(found, board) > 0.9
    for _, drawn in found[:5]:
        between = np.interp(np.arange(16), [0, 15], drawn.centres[[0, 15], 1])
        assert np.abs(drawn.centres[:, 1] - between).max() > 10  # pixels off the line between first and last


def test_all_actions_are_written_side_by_side(tmp_path: Path) -> None:
    write_demo(tmp_path, DemoSettings(3, 2, 2, 1.0, 4, seed=0, action="all"))
    write_demo(tmp_path / "alone", TINY)
    assert {path.name for path in tmp_path.glob("*-out")} == {"diving-out", "gym_vault-out"}
    for path in (tmp_path / "alone" / "diving-out").iterdir():
        assert path.read_bytes() == (tmp_path / "diving-out" / path.name).read_bytes()
    assert len(scores(tmp_path, "train")) == 3  # indices are counted by action


@pytest.mark.usefixtures("cache")
def test_both_actions_make_one_batch(config: Callable[..., DictConfig]) -> None:
    """Dives have judges and vaults have none: in one model nobody has, as a batch needs as many of each."""
    sizes = [f"data.settings.{split}={count}" for split, count in (("train", 8), ("test", 2), ("shifted", 2))]
    data = make_data(config("data=demo", "data.action=all", *sizes).data)
    data.setup()
    for loader in (data.train_dataloader(), *data.val_dataloader()):
        batches = [batch.query if isinstance(batch, Pair) else batch for batch in loader]
        assert {int(action) for batch in batches for action in batch.labels.action} == {0, 1}
        assert all(batch.labels.judges.shape[1] == 0 for batch in batches)
    alone = make_source(config("data=demo", *sizes).data)
    assert all(len(record.judge_scores) == 7 for record in alone.read_split("train"))


@pytest.mark.parametrize("name", ["judges.csv", "split_4_train_list.mat", "sha256.json"])
def test_a_changed_list_of_the_demo_is_noticed(name: str, tmp_path: Path) -> None:
    write_demo(tmp_path, TINY)
    lists = tmp_path / "Split_4"
    check_digests(lists, "train")
    content = (lists / name).read_bytes()
    (lists / name).write_bytes(content.replace(b"3", b"4", 1) if name != "sha256.json" else b"{}")
    with pytest.raises(InputError, match=f"{name}: .*remove the demo's folder, and it is written again"):
        check_digests(lists, "train")
    (lists / name).unlink()
    with pytest.raises(InputError, match=name):
        check_digests(lists, "train")
