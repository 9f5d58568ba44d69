"""Videos that two data sets have in common: on the real annotations, and what a test set may hold of a training's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.errors import InstantiationException
from omegaconf import DictConfig
from scipy import stats

from swapaqa.configuration.data_sets import make_data, make_source
from swapaqa.data.dives_in_common import in_aqa7, in_mtl_aqa
from swapaqa.data.footage import Footage, Seen, names_of, shared_words, unseen, without_data_set
from swapaqa.data.records import Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.probing.baselines import predict

Config = Callable[..., DictConfig]
Open = Callable[..., VideoSource]
DATA_SETS = ("aqa7", "mtl_aqa", "finediving")
Lists = dict[str, dict[str, list[Record]]]


@pytest.fixture(scope="module")
def real(real_data: Path, config: Config) -> Open:
    """`real("mtl_aqa", "data.without=aqa7")`: a data set on its real annotations."""
    return lambda name, *words: make_source(config(f"data={name}", f"data.root={real_data / name}", *words).data)


@pytest.fixture(scope="module")
def lists(real: Open) -> Lists:
    """The published lists of the three data sets of diving."""
    return {name: real(name).read_splits() for name in DATA_SETS}


@pytest.mark.parametrize(
    ("trained", "tested", "shared", "of"),
    [
        ("finediving", "mtl_aqa", 268, 353),
        ("mtl_aqa", "finediving", 249, 749),
        ("mtl_aqa", "aqa7", 51, 70),
        ("aqa7", "mtl_aqa", 80, 353),
        ("finediving", "aqa7", 54, 70),
        ("aqa7", "finediving", 64, 749),
    ],
)
def test_how_many_test_videos_of_one_train_another(
    trained: str, tested: str, shared: int, of: int, real: Open, lists: Lists
) -> None:
    seen = Seen("it was trained on", names_of(lists[trained]["train"], real(trained).footage), leave_out=True)
    kept, left_out = unseen({"test": lists[tested]["test"]}, real(tested).footage, seen)
    assert (len(left_out["test"]), len(kept["test"])) == (shared, of - shared)


def test_the_dives_of_aqa7_are_those_of_mtl_aqa(lists: Lists, real_data: Path) -> None:
    """Matched by their order alone; the scores and difficulties say that it is right."""
    published = np.load(real_data / "features" / "diving_p3d.npz")
    known = {record.video_id: record for found in lists["mtl_aqa"].values() for record in found}
    differ, matched = [], set()
    for index, score, difficulty in zip(*(published[name] for name in ("video", "score", "difficulty")), strict=True):
        place = in_mtl_aqa(int(index))
        assert place is not None
        assert in_aqa7(*place) == index
        dive = known[f"{place[0]:02d}_{place[1]:03d}"]
        matched.add(dive.video_id)
        assert dive.difficulty is not None
        if abs(dive.score - score) > 0.005 or abs(dive.difficulty - difficulty) > 0.05:
            differ.append(int(index))
            assert abs(dive.score - score) < 0.11
    assert sorted(differ) == [73, 133, 345]
    assert len(matched) == 370
    rest = {name for name in known if name[:2] in ("01", "02", "03")} - matched
    assert rest == {"03_009", "01_070"}
    assert in_mtl_aqa(371) is None
    assert in_aqa7(26, 1) is None


def test_the_competition_of_a_dive_of_aqa7_tells_its_score(lists: Lists) -> None:
    """`docs/evidence.md`: by the competition that MTL-AQA knows it from, one of three."""

    def competition(record: Record) -> str:
        place = in_mtl_aqa(int(record.video_id.rpartition("/")[2]))
        assert place is not None
        return str(place[0])

    predicted = predict("event", lists["aqa7"]["train"], lists["aqa7"]["test"], competition)
    assert len(set(predicted)) == 3
    true = [record.score for record in lists["aqa7"]["test"]]
    assert stats.spearmanr(predicted, true).statistic == pytest.approx(0.508, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "shares"), [("aqa7", {"mtl_aqa"}), ("mtl_aqa", {"aqa7"}), ("finediving", {"mtl_aqa", "aqa7"})]
)
def test_what_is_known_of_a_record_names_one_video(name: str, shares: set[str], real: Open, lists: Lists) -> None:
    source = real(name)
    everything = [record for found in lists[name].values() for record in found]
    assert len(names_of(everything, source.footage)) == len(everything)
    assert set(source.shares_with) == shares
    assert {other for record in everything for other in (source.footage(record) or Footage("")).also_in} == shares


def test_a_data_set_without_the_videos_of_another(real: Open, lists: Lists) -> None:
    own = real("finediving")
    kept = {split: without_data_set(found, own.footage, "mtl_aqa") for split, found in lists["finediving"].items()}
    assert {split: len(found) for split, found in kept.items()} == {"train": 1207, "test": 424}
    everything = [record for found in lists["mtl_aqa"].values() for record in found]
    assert not names_of(everything, real("mtl_aqa").footage) & names_of(kept["train"], own.footage)
    folds = real("mtl_aqa", "data.without=aqa7", "data.split=by_event").read_splits()
    assert sum(map(len, folds.values())) == 1412 - 370
    with pytest.raises(InstantiationException, match="=logo: FineDiving knows what it shares with mtl_aqa, aqa7"):
        real("finediving", "data.without=logo")
    with pytest.raises(InputError, match=r"data.without=mtl_aqa: no video of train is left"):
        real("aqa7", "+data.without=mtl_aqa").read_split("train")


def test_doctor_says_what_is_shared(real: Open, lists: Lists) -> None:
    everything = [record for found in lists["mtl_aqa"].values() for record in found]
    assert shared_words(everything, real("mtl_aqa").footage) == (
        "271 of train and 99 of test are in data=aqa7 too: who trains on one and tests on the other tests on videos of "
        "the training"
    )
    assert shared_words(everything, lambda _: None) is None


def records(*ids: str) -> list[Record]:
    return [Record(name, "diving", 1.0, "test") for name in ids]


def test_a_test_set_with_training_videos_is_refused_or_scored_without_them() -> None:
    footage = {"a": Footage("x/1"), "b": Footage("x/2"), "c": Footage("y/1"), "d": None}
    tests = {"test": records("a", "b", "c", "d"), "other": records("c", "d")}

    def found(*names: str, leave_out: bool) -> Any:
        seen = Seen("this was trained on", frozenset(names), leave_out, "take the {others} others")
        return unseen(tests, lambda record: footage[record.video_id], seen)

    assert found("x/9", leave_out=False) == (tests, {})
    kept, left_out = found("x/1", "x/2", leave_out=True)
    assert {split: [record.video_id for record in of_split] for split, of_split in kept.items()} == {
        "test": ["c", "d"],
        "other": ["c", "d"],
    }
    assert left_out == {"test": ["a", "b"]}
    with pytest.raises(
        InputError, match=r"^this was trained on 1 of the 4 videos of test \(a, \.\.\.\); take the 3 others \(docs"
    ):
        found("x/1", leave_out=False)
    for leave_out in (True, False):
        seen = Seen("this was trained on", frozenset({"y/1"}), leave_out)
        with pytest.raises(InputError, match=r"1 of the 2 videos of other .*: name other videos with data="):
            unseen({"other": tests["other"]}, lambda record: footage[record.video_id], seen)


def test_a_training_is_refused_on_weights_that_saw_its_test_videos(real_data: Path, config: Config) -> None:
    data = make_data(config("data=mtl_aqa", f"data.root={real_data / 'mtl_aqa'}", "data.workers=0").data)
    data.seen = [Seen("x was trained on", frozenset({"mtl_aqa/99_001"})), Seen("y on", frozenset({"mtl_aqa/01_001"}))]
    with pytest.raises(InputError, match=r"y on 1 of the 353 videos of test \(01_001"):
        data.setup()
