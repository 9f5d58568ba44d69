"""FineDiving: the annotations as published, three layouts, the window, sessions, competitions and venues."""

import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from swapaqa.data.boxes import FixedBoxes
from swapaqa.data.finediving import FineDiving
from swapaqa.data.finediving_annotations import ANNOTATIONS, Dive, read_records, sessions
from swapaqa.data.footage import shared_words
from swapaqa.data.geometry import Geometry, Window
from swapaqa.data.splits import split_by_event
from swapaqa.doctor.examination import examine
from swapaqa.errors import InputError
from swapaqa.probing.baselines import predict
from tests.trees import FINAL, FINE_DIVES, FINE_TEST, STEP, write_finediving

Open = Callable[..., FineDiving]


@pytest.fixture
def open_fine(tmp_path: Path) -> Open:
    def build(layout: str = "cut", **changes: Any) -> FineDiving:
        root = tmp_path / layout
        settings: dict[str, Any] = {
            "root": str(root if root.exists() else write_finediving(root, layout)), "frames": 6,
            "target": "completeness", "geometry": Geometry(height=40, width=64, crop=32, random_crop=False, flip=0.0),
            "boxes": FixedBoxes(ratio=1.0, share=0.8, frame="input"), "exemplars": "dive_number",
        }  # fmt: skip
        return FineDiving(**settings | changes)

    return build


def shown_frames(source: FineDiving, position: int) -> list[int]:
    """Numbers of the frames of a test dive, as written into the pixels."""
    video = torch.as_tensor(source.reader.read(source.item(source.read_split("test")[position])).video)
    return ((video.float().mean(dim=(-1, -2, -3)) + 2) / STEP).round().int().tolist()


@pytest.fixture(scope="module")
def published(real_data: Path) -> dict[str, list[Dive]]:
    return {split: read_records(real_data / "finediving", split) for split in ("train", "test")}


def test_the_published_lists(published: dict[str, list[Dive]], real_data: Path) -> None:
    train, test = published["train"], published["test"]
    assert (len(train), len(test)) == (2251, 749)
    assert len({dive.video_id for dive in train + test}) == 3000
    assert len({dive.dive_number for dive in train + test}) == 52
    assert max(dive.score for dive in train + test) == 114.8
    assert {dive.session for dive in test} <= {dive.session for dive in train}
    assert Counter(len(dive.steps) for dive in train + test) == {2: 2205, 3: 537, 4: 258}
    assert sum(dive.session.isdigit() for dive in train + test) == 1369
    truths = np.load(real_data / "published_results" / "mcore_finediving_true.npy")
    assert [dive.score for dive in test] == truths.tolist()


def test_either_kind_of_annotation_says_the_same(
    published: dict[str, list[Dive]], real_data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "named"
    folder.mkdir()
    for name in (ANNOTATIONS[-1], "test_split.pkl", "FineDiving_coarse_annotation.pkl"):
        (folder / name).write_bytes((real_data / "finediving" / name).read_bytes())
    assert read_records(folder, "test") == published["test"]


def test_every_session_has_a_competition_and_a_venue(published: dict[str, list[Dive]]) -> None:
    table = sessions()
    assert set(table) == {dive.session for dives in published.values() for dive in dives}
    assert (len(table), len({c for c, _ in table.values()}), len({v for _, v in table.values()})) == (135, 35, 18)
    venues: dict[str, set[str]] = {}
    for competition, venue in table.values():
        venues.setdefault(competition, set()).add(venue)
    assert all(len(one) == 1 for one in venues.values())
    rounds = {table[f"{FINAL}{n}"] for n in range(1, 7)} | {
        table[f"{FINAL.replace('final', 'semifinal')}{n}"] for n in (1, 6)
    }
    assert rounds == {("FINADivingWorldCup2021_Men10m", "tokyo")}
    assert table["FullMenSynchronised10mPlatform_Tokyo2020Replays_1"][1] == "tokyo"


def test_floors_of_the_published_split(published: dict[str, list[Dive]], open_fine: Open) -> None:
    expected = {"session": (0.617, 0.647), "competition": (0.530, 0.652), "venue": (0.414, 0.633)}
    for events, (event, both) in expected.items():
        event_of = open_fine(events=events).event
        for baseline, rho in (("event", event), ("both", both), ("difficulty", 0.584)):
            floor = predict(baseline, published["train"], published["test"], event_of)  # type: ignore[arg-type]
            found = stats.spearmanr(floor, [dive.score for dive in published["test"]])[0]
            assert found == pytest.approx(rho, abs=5e-4)
    test = published["test"]
    assert stats.spearmanr([d.difficulty for d in test], [d.score for d in test])[0] == pytest.approx(0.565, abs=5e-4)


def test_folds_are_of_whole_competitions_or_venues(published: dict[str, list[Dive]], open_fine: Open) -> None:
    everything = [dive for dives in published.values() for dive in dives]
    expected = {"competition": [751, 728, 761, 760], "venue": [1001, 679, 671, 649]}
    for events, sizes in expected.items():
        event = open_fine(events=events).event
        for fold, size in enumerate(sizes):
            cut = split_by_event(everything, event, fold)
            train, test = ({event(dive) for dive in cut if dive.split == split} for split in ("train", "test"))
            assert not train & test
            assert sum(dive.split == "test" for dive in cut) == size


def test_folds_of_a_data_set(open_fine: Open) -> None:
    source = open_fine(split="by_event", fold=1)
    assert {source.event(dive) for dive in source.read_split("test")} == {"mtl_aqa_01"}
    with pytest.raises(InputError, match="cuts 4 folds, and the split files name 3 competitions"):
        open_fine(split="by_event", events="venue", root=str(of_three_venues(source.folder))).read_split("test")


def of_three_venues(root: Path) -> Path:
    damage(root, "train_split.pkl", lambda keys: [key for key in keys if not key[0].startswith("FINAWorld")])
    return root


@pytest.mark.parametrize("layout", ["cut", "whole", "files"])
def test_the_window_is_spread_over_the_dive(layout: str, open_fine: Open) -> None:
    source = open_fine(layout)
    for position, key in enumerate(FINE_TEST):
        first, last = FINE_DIVES[key][3:]
        places = [(first + int((last - first) * t / 5)) % 50 for t in range(6)]  # rounded down, as published
        assert shown_frames(source, position) == places


def test_frames_are_those_of_the_published_loader() -> None:
    published = np.linspace(489, 592, 96).astype(np.int32) - 489
    assert list(Window(0, 104, down=True).indices(96, 0)) == published.tolist()
    assert list(Window(0, 104).indices(96, 0)) != published.tolist()


def test_a_dive_for_itself_is_read_before_its_session(open_fine: Open) -> None:
    source = open_fine("whole")
    record = source.read_split("test")[1]
    assert source.media(record).name == record.session
    write_finediving(source.folder / "again")
    (source.folder / "again" / "FineDiving").rename(source.folder / "frames")
    assert source.media(record) == source.folder / "frames" / record.session / "3"


def test_what_a_method_may_ask(open_fine: Open) -> None:
    source = open_fine()
    records = {record.video_id: record for record in source.read_split("train")}
    side = source.read_side(records["FINAWorldChampionships2019_Women3m_final_r1_000"])
    assert side["dive"].tolist() == [0, 2, 5, 3, 1]
    assert side["steps"].tolist() == pytest.approx([3 / 15, 6 / 15, 1, 1])
    assert side["stages"].tolist() == pytest.approx([0, 3 / 14, 6 / 14, 1])
    assert side["sub_actions"].tolist() == [2, 25, 36, 0, 0]
    assert source.label(records["01_001"]).value == 17.0
    assert source.group(records["01_001"]) == ("diving", "207C")
    assert open_fine(target="score").max_label == 114.8


def test_events(open_fine: Open) -> None:
    record = next(r for r in open_fine().read_split("train") if r.video_id == f"{FINAL}2_001")
    said = [open_fine(events=events).event(record) for events in ("session", "competition", "venue")]
    assert said == [f"{FINAL}2", "FINADivingWorldCup2021_Men10m", "tokyo"]


def test_what_is_in_mtl_aqa_too_is_said(published: dict[str, list[Dive]], open_fine: Open) -> None:
    source = open_fine()
    said = shared_words([*published["train"], *published["test"]], source.footage)
    assert said is not None
    assert said.startswith("1044 of train and 325 of test are in data=mtl_aqa too; ")
    own = [dive for dive in published["test"] if dive.session.startswith("FINA")]
    assert shared_words(own, source.footage) is None

    counts, problems = examine(source, workers=0)
    assert counts == {"train": 6, "test": 2}
    said = [problem.message for problem in problems if problem.kind == "overlap"]
    assert said == [shared_words([*source.read_split("train"), *source.read_split("test")], source.footage)]
    assert not any(problem.blocks for problem in problems)


def damage(root: Path, name: str, change: Callable[[Any], Any]) -> None:
    path = root / "Annotations" / name
    path.write_bytes(pickle.dumps(change(pickle.loads(path.read_bytes()))))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("test_split.pkl", lambda keys: [*keys, ("01", 2)], r"test_split.pkl: names dive 01_002 more than once"),
        ("test_split.pkl", lambda keys: [*keys, ("../01", 2)], r"record .*\.\./01.* is not annotated as expected"),
        ("test_split.pkl", lambda _: {}, r"test_split.pkl: holds no list of \(session, dive\)"),
        (ANNOTATIONS[0], lambda found: found | {("01", 2): ["107b", 66.0]}, r"\('01', 2\) is not annotated as"),
        (ANNOTATIONS[0], lambda found: found | {("01", 2): ["107b", 115.0, 3.0, [2], [2, 36]]}, "has score 115.0"),
        (ANNOTATIONS[0], lambda found: found | {("01", 2): ["107b", 66.0, 3.0, [2], []]}, "are of 0 steps"),
        (ANNOTATIONS[0], lambda found: found | {("01", 2): ["dive", 66.0, 3.0, [2], [36]]}, "is not annotated as"),
        (ANNOTATIONS[0], lambda _: [], "holds no dictionary of dives"),
        ("FineDiving_coarse_annotation.pkl", lambda found: found | {("01", 2): {"start_frame": 9, "end_frame": 3}},
         r"FineDiving_coarse_annotation.pkl: record .*from frame 9 to 3"),
    ],
)  # fmt: skip
def test_damaged_annotations_are_named(name: str, change: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    root = write_finediving(tmp_path / "fine")
    damage(root, name, change)
    with pytest.raises(InputError, match=message):
        read_records(root, "test")


def test_missing_files_are_named(open_fine: Open) -> None:
    source = open_fine("whole")
    record = source.read_split("test")[1]
    (source.folder / "Annotations" / "FineDiving_coarse_annotation.pkl").unlink()
    unplaced = source.read_split("test")[1]
    with pytest.raises(InputError, match=r"FineDiving_coarse_annotation.pkl: no such file, and it says which frames"):
        source.window(unplaced, source.media(unplaced))
    for image in sorted((source.folder / "FineDiving" / record.session).iterdir())[-3:]:
        image.unlink()
    with pytest.raises(InputError, match=r"has frames 3 to 18, and dive .* is annotated from 5 to 19"):
        source.window(record, source.media(record))
    for image in (source.folder / "FineDiving" / record.session).iterdir():
        image.unlink()
    with pytest.raises(InputError, match="no frames of dive Budapest2021Diving10mPlatformWomenFinal_1_003: neither"):
        source.media(record)
    with pytest.raises(InputError, match=r"fine-grained_annotation_aqa.pkl: no such file. FineDiving is looked for in"):
        read_records(source.folder / "FineDiving", "test")
