"""A data set as a source: what others ask it, rules that any of them may use, and its loading beside it."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from omegaconf import DictConfig, OmegaConf
from scipy.io import savemat

from swapaqa.configuration.checking import check_objects
from swapaqa.configuration.data_sets import LOADING, make_data, make_source
from swapaqa.data.datamodule import VideoData
from swapaqa.data.exemplar_groups import UnknownGroupError
from swapaqa.data.records import Label, Record
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from tests.opened import open_node

Config = Callable[..., DictConfig]
NUMBERS = ("107B", "101B", "5253B", "207C")


@dataclass(frozen=True, kw_only=True)
class Leap(Record):
    meeting: str | None
    dive_number: str | None = None


@dataclass(kw_only=True, eq=False)
class Leaps(VideoSource):
    """40 videos of two actions at five meetings; the published lists have every meeting on both sides."""

    named: bool = True  # whether the files say meeting and number

    layout = "nothing"

    @property
    def actions(self) -> list[str]:
        return ["platform", "springboard"]

    @property
    def max_label(self) -> float:
        return 100.0

    def read_list(self, split: str) -> list[Record]:
        mine = [number for number in range(40) if (number % 4 == 0) == (split == "test")]
        return [self.leap(number, split) for number in mine]

    def leap(self, number: int, split: str) -> Leap:
        return Leap(
            video_id=f"{number:02d}",
            action=self.actions[number % 3 == 0],
            score=float(number),
            split=split,
            difficulty=3.0 + number % 2,
            meeting="vwxyz"[number % 5] if self.named else None,
            dive_number=NUMBERS[number // 10] if self.named else None,
        )

    def media(self, record: Record) -> Path:
        raise InputError(f"{record.video_id}: nothing here has videos")

    def score_label(self, record: Record) -> Label:
        return Label(record.score, 0.0, 1.0)

    def event(self, record: Record) -> str | None:
        return cast(Leap, record).meeting


@pytest.fixture
def leaps(config: Config) -> Callable[..., VideoSource]:
    """`leaps(split="by_event")`: the source with values as a yaml gives them."""

    def build(**values: Any) -> VideoSource:
        node = config("data=aqa7").data
        del node.action, node.stages
        return open_node(node, Leaps, **values).source

    return build


def test_a_source_knows_nothing_of_lightning() -> None:
    """Whoever asks what a data set is does not wait for a trainer to be imported."""
    names = "source aqa7 mtl_aqa videos demo"
    line = f"import sys; {'; '.join(f'import swapaqa.data.{name}' for name in names.split())}; "
    done = subprocess.run(
        [sys.executable, "-c", line + "print([m for m in sys.modules if 'lightning' in m or m == 'hydra'])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("fold", range(4))
def test_any_source_whose_files_name_competitions_is_split_by_them(fold: Any, leaps: Callable[..., Any]) -> None:
    source = leaps(split="by_event", fold=fold)
    found = source.read_splits()
    meetings = {split: {source.event(record) for record in records} for split, records in found.items()}
    assert meetings["train"].isdisjoint(meetings["test"])
    assert len(found["train"]) + len(found["test"]) == 40
    assert meetings["test"] == [{"v", "z"}, {"w"}, {"x"}, {"y"}][fold]
    published = leaps().read_splits()
    assert {record.meeting for record in published["test"]} == {record.meeting for record in published["train"]}


SHARED: dict[str, Callable[[Any], Any]] = {  # what a group has in common, beside the action
    "any": lambda _: (),
    "difficulty": lambda leap: leap.difficulty,
    "dive_number": lambda leap: leap.dive_number,
    "category_and_difficulty": lambda leap: (leap.dive_number[0], leap.difficulty),
    "dive_number_and_difficulty": lambda leap: (leap.dive_number, leap.difficulty),
}


@pytest.mark.parametrize("exemplars", SHARED)
def test_any_source_whose_records_tell_groups_its_exemplars(exemplars: Any, leaps: Callable[..., Any]) -> None:
    source = leaps(exemplars=exemplars, exemplars_from="other_competitions")
    found = source.read_splits()
    bank = source.exemplar_bank(found["train"], seed=0)
    expected = Counter((leap.action, SHARED[exemplars](leap)) for leap in found["train"])
    assert Counter(len(members) for members in bank.groups.values()) == Counter(expected.values())
    for record in found["test"]:
        voters = [found["train"][position] for position in bank.voters(record, 3)]
        assert {voter.action for voter in voters} == {record.action}  # two actions have two scales
        assert record.meeting not in {voter.meeting for voter in voters}


def test_what_the_files_do_not_tell_is_refused_with_the_key(leaps: Callable[..., Any]) -> None:
    source = leaps(split="by_event", named=False)
    with pytest.raises(InputError, match=r"data\.split=by_event: .* competition 01 is from; say data\.split=published"):
        source.read_splits()
    for exemplars in ("dive_number", "category_and_difficulty", "dive_number_and_difficulty"):
        source = leaps(exemplars=exemplars, named=False)
        with pytest.raises(UnknownGroupError, match=rf"data\.exemplars={exemplars}: not known of 01; say data\.exemp"):
            source.exemplar_bank(source.read_split("train"), seed=0)
    source = leaps(exemplars_from="other_competitions", named=False)
    with pytest.raises(InputError, match=r"01: not known .* name no competition, say data\.exemplars_from=anywhere"):
        source.exemplar_bank(source.read_split("train"), seed=0)
    with pytest.raises(InputError, match=r"data\.fold=1: .*data\.split=by_event"):
        leaps(fold=1)


def test_exemplars_are_refused_before_a_file_is_looked_at(open_data: Callable[..., VideoData], tmp_path: Path) -> None:
    """Indexing the videos may take hours; here there are none."""
    (tmp_path / "Split_4").mkdir()
    for split, index in (("train", 1), ("test", 2)):
        savemat(tmp_path / "Split_4" / f"split_4_{split}_list.mat", {f"consolidated_{split}_list": [[1, index, 50.0]]})
    with pytest.raises(UnknownGroupError, match=r"data\.exemplars=dive_number: not known of diving/001"):
        open_data(tmp_path, voters=1, exemplars="dive_number").setup()
    with pytest.raises(InputError, match=r"diving-out"):
        open_data(tmp_path, voters=0, exemplars="dive_number").setup()


def test_a_video_of_which_less_is_known_is_compared_more_widely(leaps: Callable[..., Any]) -> None:
    source = leaps(exemplars="dive_number_and_difficulty")
    train = source.read_split("train")
    bank = source.exemplar_bank(train, seed=0)
    for difficulty, expected in ((3.0, {3.0}), (None, {3.0, 4.0})):
        new = Record("new", "platform", 0.0, "video", difficulty)
        voters = [train[position] for position in bank.voters(new, 100)]
        assert {voter.difficulty for voter in voters} == expected
        assert {voter.action for voter in voters} == {"platform"}


def test_one_node_describes_a_source_and_its_loading(config: Config) -> None:
    node = config("data=aqa7", "data.root=somewhere", "data.batch_size=6", "data.cache=packed", "aug.ratio=1.5").data
    data = make_data(node)
    assert (data.batch_size, data.augment.ratio, data.source.cache, data.source.root) == (6, 1.5, "packed", "somewhere")
    source = make_source(node)
    assert type(source) is type(data.source)
    assert not {field for field in vars(source) if field in LOADING}
    assert set(map(str, node)) <= {"_target_", *LOADING, *vars(source)}


def test_the_data_module_is_final() -> None:
    with pytest.raises(TypeError, match=r"Mine: .*VideoSource.*read_list.*docs/extend\.md"):
        type("Mine", (VideoData,), {})


OLD = """
from swapaqa.data.datamodule import VideoData

class Mine(VideoData):
    pass
"""


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            "first_version.Mine",
            r"data\._target_=first_version\.Mine: cannot be imported .*VideoSource.*docs/extend\.md",
        ),
        ("collections.Counter", r"data\._target_=collections\.Counter: is no data set, a subclass of swapaqa\.data\.s"),
    ],
)
def test_what_is_no_source_is_one_line(
    target: str, expected: str, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first_version.py").write_text(OLD)
    monkeypatch.syspath_prepend(str(tmp_path))
    node = config("data=aqa7", f"data._target_={target}").data
    for make in (make_source, make_data):
        with pytest.raises(InputError, match=expected) as refused:
            make(node)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("+data.batch_sise=3", r"data\.batch_sise: no such key of .*AQA7; did you mean data\.batch_size"),
        ("+data.acton=all", r"data\.acton: no such key of .*AQA7; did you mean data\.action"),
        ("+data.source=x", r"data\.source: no such key"),
        ("data.batch_size=two", r"data\.batch_size=two: .*integer"),
        ("data.frames=two", r"data\.frames=two: .*integer"),
        ("+data.exemplars=dive", r"data\.exemplars=dive: .*dive_number"),
        ("~data.batch_size", r"data\.batch_size: missing"),
        ("~data.action", r"data\.action: missing"),
    ],
)
def test_keys_of_both_are_checked_alike(word: str, expected: str, config: Config) -> None:
    tree = OmegaConf.to_container(config("data=aqa7", word).data, resolve=False)
    assert isinstance(tree, dict)
    plain = {key: value for key, value in tree.items() if not (isinstance(value, str) and "$" in value)}
    given = {"root": None, "boxes": {"_target_": "swapaqa.data.boxes.NoBoxes", "ratio": 1.0}, "voters": 0, "seed": 0}
    given |= {"augment": {"_target_": "swapaqa.augment.none.NoAugmentation"}}
    given |= {} if "data.batch_size" in word else {"batch_size": 4}
    with pytest.raises(InputError, match=expected):
        check_objects({"data": given | plain})
