"""MTL-AQA: both annotation copies, split 0, three layouts, the window and the shift, labels and exemplars."""

import json
import logging
import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from swapaqa.augment.mix import VideoMixup
from swapaqa.augment.none import NoAugmentation
from swapaqa.configuration.data_sets import LOADING
from swapaqa.data.boxes import FixedBoxes
from swapaqa.data.datamodule import VideoData
from swapaqa.data.dive_numbers import NUMBERS, dive_attributes, dive_class, dive_number
from swapaqa.data.exemplar_groups import RULES, by_action, by_difficulty
from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.geometry import Geometry
from swapaqa.data.mtl_aqa import MTLAQA, Dive, read_records
from swapaqa.data.records import Record
from swapaqa.data.splits import event_folds, split_by_event
from swapaqa.errors import InputError
from tests.trees import COPIES, DIVES, STEP, TEST, TRAIN, annotation, write_frame, write_mtl_aqa

Open = Callable[..., VideoData]


@pytest.fixture
def mtl_tree(tmp_path: Path) -> Callable[..., Path]:
    """`mtl_tree(layout)` writes DIVES in the layout `whole`, `files` or `cut` and returns the folder."""

    def write(layout: str = "whole", cut_frames: int = 14) -> Path:
        return write_mtl_aqa(tmp_path / "MTL-AQA", layout, cut_frames)

    return write


@pytest.fixture
def open_mtl() -> Open:
    def build(root: Path, **changes: Any) -> VideoData:
        settings: dict[str, Any] = {
            "root": str(root), "frames": 8, "shift": [-3, 3], "exemplars": "difficulty", "target": "completeness",
            "geometry": Geometry(height=40, width=64, crop=32, random_crop=True, flip=0.5),
            "boxes": FixedBoxes(ratio=1.0, share=0.8, frame="input"), "augment": NoAugmentation(), "voters": 10,
            "batch_size": 4, "workers": 0, "seed": 0, "val_fraction": 0.0, "skip_unreadable": False,
        } | changes  # fmt: skip
        loading = {key: settings.pop(key) for key in LOADING}
        data = VideoData(source=MTLAQA(**settings), **loading)
        data.setup()
        return data

    return build


def numbers(video: Tensor) -> list[int]:
    """The numbers of the frames in a sample of the test videos; codecs darken them by up to 4 levels."""
    return ((video.float().mean(dim=(-1, -2, -3)) + 2) / STEP).round().int().tolist()


def test_the_real_split(real_data: Path) -> None:
    train, test = (read_records(real_data / "mtl_aqa", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (1059, 353)
    assert len({record.video_id for record in train + test}) == 1412
    assert (train[0].video_id, test[0].video_id) == ("18_067", "26_004")
    assert (train[0].score, train[0].difficulty, train[0].dive_number) == (94.35, 3.7, "5355B")
    assert (train[0].first_frame, train[0].last_frame) == (108168, 108312)
    assert {record.split for record in train} == {"train"}
    assert min(r.score for r in train + test) == 0
    assert max(r.score for r in train + test) == 104.5
    assert {len(record.judge_scores) for record in train + test} == {7}


def test_both_real_copies_agree_once_the_corrupted_judge_is_corrected(
    real_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (COPIES[1], "train_split_0.pkl", "test_split_0.pkl"):
        shutil.copy(real_data / "mtl_aqa" / name, tmp_path / name)
    with caplog.at_level(logging.INFO):
        records = read_records(tmp_path, "train")
    assert records == read_records(real_data / "mtl_aqa", "train")  # the derived dive numbers as well
    assert sum("corrected to 4.5" in message and "(4, 49)" in message for message in caplog.messages) == 1
    assert next(r for r in records if r.video_id == "04_049").judge_scores == (2.5, 4.0, 4.0, 4.5, 3.5, 5.0, 4.0)


@pytest.mark.parametrize(
    ("rule", "groups", "strays"),
    [
        ("difficulty", 23, []),
        ("dive_number", 58, []),
        ("category_and_difficulty", 58, []),
        ("dive_number_and_difficulty", 80, ["05_063", "09_067"]),
        ("any", 1, []),
    ],
)
def test_exemplar_groups_of_the_real_split(rule: Any, groups: int, strays: list[str], real_data: Path) -> None:
    train, test = (read_records(real_data / "mtl_aqa", split) for split in ("train", "test"))
    bank = ExemplarBank(train, RULES[rule], 0, (by_difficulty, by_action))
    assert len(bank.groups) == groups
    assert bank.note_strays("test", test) == bank.strays["test"] == strays
    for record in test:
        voters = [train[i] for i in bank.voters(record, 10)]
        assert 1 <= len(voters) <= 10
        rule_used = by_difficulty if record.video_id in strays else RULES[rule]
        assert {rule_used(voter) for voter in voters} == {rule_used(record)}


def test_small_groups_of_the_real_split_vote_with_what_they_have(real_data: Path) -> None:
    train, test = (read_records(real_data / "mtl_aqa", split) for split in ("train", "test"))
    bank = ExemplarBank(train, by_difficulty, 0)
    assert Counter(len(bank.voters(record, 10)) for record in test) == {10: 339, 5: 8, 4: 6}
    (alone,) = [record for record in train if record.difficulty == 1.5]
    assert bank.ids[bank.draw(alone, epoch=0)] == alone.video_id


def test_every_real_test_dive_is_from_a_competition_seen_in_training(real_data: Path) -> None:
    train, test = (read_records(real_data / "mtl_aqa", split) for split in ("train", "test"))
    seen = {record.competition for record in train}
    assert len(seen) == 15
    assert sum(record.competition in seen for record in test) == len(test) == 353
    assert all(record.video_id.startswith(f"{record.competition:02d}_") for record in train + test)


@pytest.mark.slow
def test_folds_of_the_real_dives_are_whole_competitions_of_equal_size(real_data: Path) -> None:
    tested: Counter[str] = Counter()
    for fold, size in enumerate((339, 361, 359, 353)):
        dives = by_event(real_data / "mtl_aqa", fold)
        train, test = ([dive for dive in dives if dive.split == split] for split in ("train", "test"))
        assert (len(test), len(train)) == (size, 1412 - size)
        assert {dive.competition for dive in train}.isdisjoint(dive.competition for dive in test)
        assert dives == by_event(real_data / "mtl_aqa", fold)
        tested.update(dive.video_id for dive in test)
    assert len(tested) == 1412
    assert set(tested.values()) == {1}


def test_folds_do_not_depend_on_the_order_and_ties_go_to_the_lower_number() -> None:
    sizes = {7: 5, 3: 9, 1: 5, 9: 2, 4: 8, 2: 1}
    folds = [[3], [4], [1, 9], [7, 2]]
    assert event_folds(sizes) == event_folds(dict(reversed(sizes.items()))) == folds


def test_unseen_difficulties_of_the_real_folds_widen_the_exemplar_group(real_data: Path) -> None:
    counts = []
    for fold in range(4):
        dives = by_event(real_data / "mtl_aqa", fold)
        train, test = ([dive for dive in dives if dive.split == split] for split in ("train", "test"))
        bank = ExemplarBank(train, by_difficulty, 0, (by_difficulty, by_action))
        strays = bank.note_strays("test", test)
        assert set(strays) == {d.video_id for d in test if d.difficulty not in {t.difficulty for t in train}}
        assert all(len(bank.voters(dive, 10)) == 10 for dive in test if dive.video_id in strays)  # of all dives
        counts.append(len(strays))
    assert counts == [0, 6, 1, 0]


def by_event(root: Path, fold: Any) -> list[Dive]:
    dives = [dive for split in ("train", "test") for dive in read_records(root, split)]
    return split_by_event(dives, lambda dive: f"{dive.competition:02d}", fold)


def by_competition(record: Any) -> int:
    return record.competition


def test_real_exemplars_may_be_kept_to_other_competitions(real_data: Path) -> None:
    train, test = (read_records(real_data / "mtl_aqa", split) for split in ("train", "test"))
    bank = ExemplarBank(train, by_difficulty, 0, (by_difficulty, by_action), by_competition)
    for record in train[::20]:
        assert {train[bank.draw(record, epoch)].competition for epoch in range(8)}.isdisjoint({record.competition})
    strays = bank.note_strays("test", test)
    for record in test:
        voters = [train[i] for i in bank.voters(record, 10)]
        assert record.competition not in {voter.competition for voter in voters}
        assert voters
        assert {voter.difficulty for voter in voters} == {record.difficulty}
    assert strays == []  # every difficulty of the test set is in training from two competitions at least


def test_dive_numbers_are_derived_exactly(real_data: Path) -> None:
    with open(real_data / "mtl_aqa" / COPIES[0], "rb") as file:
        annotations = pickle.load(file, encoding="latin1")
    assert all(dive_number(found) == found["dive_number"] for found in annotations.values())


def test_the_classes_of_dives_are_the_real_numbers_in_order(real_data: Path) -> None:
    with open(real_data / "mtl_aqa" / COPIES[0], "rb") as file:
        annotations = pickle.load(file, encoding="latin1")
    assert sorted({found["dive_number"] for found in annotations.values()}) == list(NUMBERS)
    assert len(NUMBERS) == 58
    assert [dive_class(number) for number in ("100B", "636C", "5257B")] == [0, 57, -1]  # the last is in no list


DIRECTION = {1: 1, 0: 2, 3: 3, 2: 4}  # forward, back, reverse, inward, as MTL-AQA numbers them


def test_the_parts_of_every_real_dive_are_those_that_were_annotated(real_data: Path) -> None:
    with open(real_data / "mtl_aqa" / COPIES[0], "rb") as file:
        annotations = pickle.load(file, encoding="latin1")
    assert len(annotations) == 1412
    for found in annotations.values():
        expected = (int(found["armstand"]), DIRECTION[found["rotation_type"]], found["ss_no"], found["tw_no"] or 0)
        assert dive_attributes(found["dive_number"]) == (*expected, found["position"])


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        ("107B", (0, 1, 7, 0, 1)),  # forward 3 1/2 somersaults, pike
        ("207C", (0, 2, 7, 0, 2)),  # back, tuck
        ("305B", (0, 3, 5, 0, 1)),  # reverse
        ("409C", (0, 4, 9, 0, 2)),  # inward 4 1/2
        ("5253B", (0, 2, 5, 3, 1)),  # back 2 1/2 with 1 1/2 twists
        ("5355B", (0, 3, 5, 5, 1)),
        ("5152D", (0, 1, 5, 2, 0)),  # free
        ("612B", (1, 1, 2, 0, 1)),  # armstand forward
        ("626C", (1, 2, 6, 0, 2)),
        ("6243D", (1, 2, 4, 3, 0)),  # armstand back double with 1 1/2 twists
    ],
)
def test_the_parts_of_a_dive_number(number: str, parts: tuple[int, ...]) -> None:
    """Armstand, direction, half somersaults, half twists, position: what `dive_number` makes the number of."""
    assert dive_attributes(number) == parts
    armstand, direction, somersaults, twists, position = parts
    rotation = {ours: theirs for theirs, ours in DIRECTION.items()}[direction]
    annotated = {"armstand": armstand, "rotation_type": rotation, "ss_no": somersaults, "tw_no": twists}
    assert dive_number(annotated | {"position": position}) == number


def test_a_sample_carries_the_parts_of_its_dive(mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    batch = next(iter(open_mtl(mtl_tree("cut"))._evaluation_loader("test")))
    assert list(batch.video_id) == ["26_005", "26_016"]
    assert batch.side.keys() == {"dive", "announced", "dive_class"}  # captions are read where a method learns from them
    assert batch.side["dive"].dtype == batch.side["dive_class"].dtype == torch.int64
    assert [NUMBERS[one] for one in batch.side["dive_class"]] == ["305B", "107B"]
    assert batch.side["dive"].tolist() == [[0, 3, 5, 0, 1], [0, 1, 7, 0, 1]]  # 305B, 107B


@pytest.mark.parametrize("layout", ["whole", "files"])
def test_evaluation_ends_at_the_end_frame(layout: str, mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    data = open_mtl(mtl_tree(layout))
    loader = data._evaluation_loader("test")
    batch = next(iter(loader))
    assert list(batch.video_id) == ["26_005", "26_016"]
    assert [numbers(video) for video in batch.video] == [list(range(13, 21)), list(range(17, 25))]


def test_training_shifts_by_every_value_of_the_range_and_repeats_by_seed(
    mtl_tree: Callable[..., Path], open_mtl: Open
) -> None:
    root = mtl_tree()
    videos = open_mtl(root, voters=0).training_set()
    firsts = [numbers(videos[epoch, 0].video)[0] for epoch in range(60)]
    assert set(firsts) == set(range(10, 17))  # ends at frame 20, 8 frames, shifted by -3 ... 3
    again = open_mtl(root, voters=0).training_set()
    assert [numbers(again[epoch, 0].video)[0] for epoch in range(60)] == firsts
    other = open_mtl(root, voters=0, seed=1).training_set()
    assert [numbers(other[epoch, 0].video)[0] for epoch in range(60)] != firsts


def test_members_of_a_pair_draw_their_own_shift(mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    pairs = open_mtl(mtl_tree()).training_set()
    shifts = set()
    for epoch in range(20):
        pair = pairs[epoch, 0]
        ends = {f"{c:02d}_{d:03d}": DIVES[c, d][0] for c, d in DIVES}
        shifts.add(tuple(numbers(s.video)[-1] - ends[s.video_id] for s in (pair.query, pair.exemplar)))
    assert any(query != exemplar for query, exemplar in shifts)


@pytest.mark.parametrize(
    ("shift", "at_test", "in_training"), [([-3, 3], 4, range(1, 8)), ([0, 6], 1, range(1, 8)), ([0, 0], 1, range(1, 2))]
)
def test_windows_of_pre_cut_folders(
    shift: list[int], at_test: int, in_training: range, mtl_tree: Callable[..., Path], open_mtl: Open
) -> None:
    data = open_mtl(mtl_tree("cut"), shift=shift, voters=0)
    batch = next(iter(data._evaluation_loader("test")))
    assert [numbers(video)[0] for video in batch.video] == [at_test, at_test]
    firsts = {numbers(data.training_set()[epoch, 0].video)[0] for epoch in range(60)}
    assert firsts == set(in_training)


@pytest.mark.parametrize("name", ["1_4", "01_004", "001_0004"])
def test_folders_may_have_any_number_of_zeros(name: str, mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    root = mtl_tree("cut")
    (root / "frames" / "01_04").rename(root / "frames" / name)
    assert open_mtl(root).items["train"][3].media.name == name


@pytest.mark.parametrize("folder", ["videos", "frames", ""])
def test_frames_may_lie_in_several_folders(folder: str, mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    root = mtl_tree()
    (root / folder).mkdir(exist_ok=True)
    for path in (root / "new" / "new_total_frames_256s").iterdir():
        path.rename(root / folder / path.name)
    assert open_mtl(root).items["test"][0].media == root / folder / "26"


@pytest.mark.parametrize(
    ("break_it", "changes", "words"),
    [
        (lambda _: None, {"frames": 20}, ["data.frames=20", "data.shift=[-3, 3]", "01"]),
        (lambda root: shutil.rmtree(root / "new" / "new_total_frames_256s" / "26"), {}, ["26_005", "MTL_AQA_ROOT"]),
        (
            lambda root: (root / "new" / "new_total_frames_256s" / "26" / "00000007.jpg").unlink(),
            {}, ["26: 00000007.jpg is missing between 00000006.jpg and 00000008.jpg"],
        ),
        (lambda root: (root / "info" / "test_split_0.pkl").unlink(), {}, ["test_split_0.pkl", "no such file"]),
        (
            lambda root: (root / "info" / "test_split_0.pkl").write_bytes(pickle.dumps([(3, 3)])),
            {}, ["test_split_0.pkl", "(3, 3)"],
        ),
        (lambda _: None, {"shift": [3, -3]}, ["data.shift=[3, -3]"]),
    ],
    ids=["long", "no frames", "a gap", "no split", "unknown dive", "reversed shift"],
)  # fmt: skip
def test_wrong_trees_are_one_line(
    break_it: Callable[[Path], Any], changes: dict, words: list[str], mtl_tree: Callable[..., Path], open_mtl: Open
) -> None:
    root = mtl_tree()
    break_it(root)
    with pytest.raises(InputError) as error:
        open_mtl(root, **changes)
    assert all(word in str(error.value) for word in words), error.value
    assert str(error.value).count("\n") < len(TEST)  # a line for every dive that is missing


def test_a_dive_that_is_there_twice_is_refused(mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    root = mtl_tree()
    again = DIVES[1, 2]
    cases: list[tuple[list, list, dict, str]] = [
        ([*TRAIN, (1, 2)], TEST, DIVES, "train_split_0.pkl: names dive 01_002 more than once; once is right"),
        ([*TRAIN, [1, 2.0]], TEST, DIVES, "01_002"),
        (TRAIN, [*TEST, (1, 2)], DIVES, "01_002: one video in train and test"),
        (TRAIN, [*TEST, (1, 9)], DIVES | {(1, 9): again}, "01_002 and 01_009: one video in train and test"),
    ]
    for train, test, dives, words in cases:
        annotations = {key: annotation(*values) for key, values in dives.items()}
        for name, content in ((COPIES[0], annotations), ("train_split_0.pkl", train), ("test_split_0.pkl", test)):
            (root / "info" / name).write_bytes(pickle.dumps(content))
        with pytest.raises(InputError) as error:
            open_mtl(root)
        assert words in str(error.value).replace("[1, 2.0]", "01_002")
        assert "\n" not in str(error.value)


def test_real_annotations_have_no_dive_twice(real_data: Path) -> None:
    dives = [dive for split in ("train", "test") for dive in read_records(real_data / "mtl_aqa", split)]
    assert len({(dive.competition, dive.last_frame) for dive in dives}) == len(dives) == 1412


def test_as_many_judges_of_every_dive_are_needed(mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    root = mtl_tree()
    annotations = {key: annotation(*values) for key, values in DIVES.items()}
    annotations[1, 3]["judge_scores"] = [8.0, 8.5, 7.5, 8.0, 8.0]
    (root / "info" / COPIES[0]).write_bytes(pickle.dumps(annotations))
    with pytest.raises(InputError, match=r"record \(1, 3\) has judges' scores \[.*\]; expected are 7 from 0 to 10"):
        open_mtl(root)


def test_a_short_pre_cut_folder_is_named_with_what_it_needs(mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    root = mtl_tree("cut", cut_frames=13)
    with pytest.raises(InputError, match=r"01_01: has 13 frames.*1 to 14.*data\.shift"):
        open_mtl(root)
    open_mtl(root, shift=[0, 5])


@pytest.mark.parametrize(
    ("change", "words"),
    [({"final_score": 8415.0}, "8415"), ({"final_score": float("nan")}, "nan"), ({"difficulty": 0.0}, "difficulty 0"),
     ({"judge_scores": [45.0] * 7}, "45.0")],
)  # fmt: skip
def test_wrong_numbers_are_refused(change: dict, words: str, mtl_tree: Callable[..., Path]) -> None:
    root = mtl_tree()
    annotations = {key: annotation(*values) for key, values in DIVES.items()}
    annotations[1, 2].update(change)
    (root / "info" / COPIES[0]).write_bytes(pickle.dumps(annotations))
    with pytest.raises(InputError, match=rf"\(1, 2\).*{words}"):
        read_records(root, "train")


@pytest.mark.parametrize("number", ["", "B", "1x7B", "107Q", "somersault"])
def test_a_dive_number_without_its_parts_is_refused_when_the_list_is_read(
    number: str, mtl_tree: Callable[..., Path]
) -> None:
    """Else a process of the loader would end in the middle of a training."""
    root = mtl_tree()
    annotations = {key: annotation(*values) for key, values in DIVES.items()}
    annotations[1, 2]["dive_number"] = number
    (root / "info" / COPIES[0]).write_bytes(pickle.dumps(annotations))
    with pytest.raises(InputError, match=r"\(1, 2\)") as refused:
        read_records(root, "train")
    assert "\n" not in str(refused.value)


def test_a_pickle_that_names_anything_else_is_refused(mtl_tree: Callable[..., Path]) -> None:
    root = mtl_tree()
    (root / "info" / COPIES[0]).write_bytes(b"cos\nsystem\n(S'touch trap'\ntR.")
    with pytest.raises(InputError, match=r"names os\.system"):
        read_records(root, "train")


def test_unreadable_dives_are_left_out_when_told(mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    root = mtl_tree("cut")
    shutil.rmtree(root / "frames" / "01_02")
    (root / "frames" / "26_05" / "000009.jpg").write_bytes(b"not a picture")
    (root / "frames" / "26_16" / "000014.jpg").unlink()
    with pytest.raises(InputError, match="01_002"):
        open_mtl(root)
    with pytest.raises(InputError, match="no readable video is left"):
        open_mtl(root, skip_unreadable=True)
    write_frame(root / "frames" / "26_16" / "000014.jpg", 14)
    data = open_mtl(root, skip_unreadable=True)
    assert [len(items) for items in data.items.values()] == [3, 1]
    assert [word in said for word, said in zip(("01_002", "000009.jpg"), data.skipped, strict=True)] == [True, True]


def test_labels(mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    root = mtl_tree()
    for target, top in (("completeness", 30.0), ("score", 104.5)):
        data = open_mtl(root, target=target)
        item = data.items["train"][3]
        assert data.source.max_label == data.training_labels().max_label == top
        assert item.label.offset + item.label.factor * item.label.value == pytest.approx(item.record.score)
        assert item.label.factor == (1.5 if target == "completeness" else 1.0)


def test_a_group_that_val_emptied_is_widened_and_counted(
    mtl_tree: Callable[..., Path], open_mtl: Open, caplog: pytest.LogCaptureFixture
) -> None:
    root = mtl_tree()
    for seed in range(20):  # until the cut takes the only dive of difficulty 1.5
        caplog.clear()
        data = open_mtl(root, val_fraction=0.25, seed=seed)
        if data.items["val"][0].record.video_id == "01_004":
            break
    assert data.bank is not None
    assert data.bank.strays == {"train": [], "val": ["01_004"], "test": []}
    assert any("val: 1 of 1 videos" in message and "01_004" in message for message in caplog.messages)
    assert len(data.bank.voters(data.items["val"][0].record, 10)) == 3


@pytest.fixture
def four_competitions(mtl_tree: Callable[..., Path]) -> Path:
    """The tree with four competitions, of 4, 3, 2 and 1 dives, in one folder a dive."""
    root = mtl_tree("cut")
    annotations = {
        (competition, dive): annotation(20 + dive, 3.0 if dive < 3 else 2.0 + competition / 10, "107B")
        for competition in range(1, 5)
        for dive in range(1, 6 - competition)
    }
    (root / "info" / COPIES[0]).write_bytes(pickle.dumps(annotations))
    keys = list(annotations)
    for split, chosen in (("train", keys[::2]), ("test", keys[1::2])):
        (root / "info" / f"{split}_split_0.pkl").write_bytes(pickle.dumps(chosen))
    for competition, dive in keys:
        for number in range(1, 15):
            write_frame(root / "frames" / f"{competition:02d}_{dive:02d}" / f"{number:06d}.jpg", number)
    return root


@pytest.mark.parametrize("fold", range(4))
def test_the_data_module_splits_by_event(fold: Any, four_competitions: Path, open_mtl: Open) -> None:
    data = open_mtl(four_competitions, split="by_event", fold=fold)
    events = {split: {data.source.event(record) for record in records} for split, records in data.records().items()}
    assert events["test"] == {f"{fold + 1:02d}"}
    assert events["train"] == {"01", "02", "03", "04"} - events["test"]
    assert {record.split for record in data.records()["test"]} == {"test"}


def test_pairs_of_other_competitions(four_competitions: Path, open_mtl: Open) -> None:
    data = open_mtl(four_competitions, exemplars_from="other_competitions")
    assert data.bank is not None
    pairs = data.training_set()
    for index in range(len(data.items["train"])):
        pair = pairs[0, index]
        assert pair.query.video_id[:2] != pair.exemplar.video_id[:2]
    assert data.bank.strays["train"] == ["01_003", "02_003"]  # no other competition has their difficulty


def test_exemplars_of_an_unknown_competition_are_refused(four_competitions: Path, open_mtl: Open) -> None:
    data = open_mtl(four_competitions, exemplars_from="other_competitions")
    stored = [Record("exemplar 0", "diving", 50.0, "train", 3.0)]
    with pytest.raises(InputError, match=r"exemplar 0.*store_exemplars=false"):
        data.source.exemplar_bank(stored, 0)
    assert data.bank is not None
    assert len(data.bank.voters(Record("new", "diving", 0.0, "video", 3.0), 100)) > 1  # a video of no competition


def test_folds_need_the_split_and_as_many_competitions(mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    root = mtl_tree()
    with pytest.raises(InputError, match=r"data\.fold=2.*data\.split=by_event"):
        open_mtl(root, fold=2)
    with pytest.raises(InputError, match=r"4 folds.*2 competitions"):
        open_mtl(root, split="by_event")


def test_blending_is_refused_between_groups(mtl_tree: Callable[..., Path], open_mtl: Open) -> None:
    root = mtl_tree()
    mix = VideoMixup(alpha=1.0, donors="derangement", pool="local")
    with pytest.raises(InputError, match=r"blends scores.*2 groups"):
        open_mtl(root, augment=mix)
    open_mtl(root, augment=mix, exemplars="any")
    open_mtl(root, augment=mix, voters=0)


@pytest.mark.slow
def test_core_trains_on_it(tmp_path: Path, train_process: Callable[..., Any], mtl_tree: Callable[..., Path]) -> None:
    done = train_process(
        tmp_path, "data=mtl_aqa", "backbone=tiny", "logger=csv", "data.workers=0", "data.frames=16", "data.shift=[0,0]",
        "trainer.max_epochs=1", "data.geometry.height=40", "data.geometry.width=64", "data.geometry.crop=32",
        MTL_AQA_ROOT=str(mtl_tree()),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert "target: completeness" in text
    assert "swapaqa.data.boxes.FixedBoxes" in text
    assert (tmp_path / "run" / "predictions_test.csv").read_text().count("26_") == 2
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    floors = result["floors"]["test"]
    assert floors["event"]["spearman"] is None  # competition 26 is not in training
    assert (floors["event"]["unseen"], floors["difficulty"]["unseen"]) == (2, 0)
    assert set(result["metrics"]["last"]["splits"]["test"]["confidence"]["per_action"]) == {"diving"}
