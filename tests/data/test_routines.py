"""Rhythmic Gymnastics and Fis-V on their real lists, LOGO and FineFS on made ones; features, videos, wrong lines."""

import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig
from scipy import stats

from swapaqa.configuration.data_sets import make_data, make_source
from swapaqa.data import fisv, rg
from swapaqa.data.finefs import drawn, read_record
from swapaqa.data.footage import names_of
from swapaqa.data.geometry import Window
from swapaqa.doctor.examination import examine
from swapaqa.errors import InputError
from swapaqa.probing.baselines import known_floors
from swapaqa.report.contents import Wanted, read_report
from tests.routine_trees import EVENTS, RG_HEAD, rg_line, write_finefs, write_fisv, write_logo, write_rg

Config = Callable[..., DictConfig]
WRITERS: dict[str, Callable[[Path], Path]] = {
    "rg": write_rg, "fisv": write_fisv, "logo": write_logo, "finefs": write_finefs,
}  # fmt: skip


@pytest.fixture
def open_tree(tmp_path: Path, config: Config) -> Callable[..., Any]:
    """`open_tree("rg", "data.action=all")`: the source of a made tree, below `tmp_path`."""

    def build(name: str, *words: str) -> Any:
        root = tmp_path / name
        if not root.exists():
            WRITERS[name](root)
        return make_source(config(f"data={name}", f"data.root={root}", *words).data)

    return build


# the real lists


@pytest.fixture(scope="module")
def long_form(real_data: Path) -> Path:
    return real_data / "long_form"


def test_the_lists_of_rhythmic_gymnastics(long_form: Path) -> None:
    found = {split: rg.read_records(long_form, split) for split in ("train", "test")}
    assert {split: Counter(r.action for r in of_split) for split, of_split in found.items()} == {
        "train": dict.fromkeys(rg.APPARATUS, 200),
        "test": dict.fromkeys(rg.APPARATUS, 50),
    }
    assert found["train"][0] == rg.Routine(
        video_id="Ball_001", action="ball", score=18.8, split="train", length=92.0, penalty=0.0
    )
    assert max(routine.score for routine in found["train"]) == 24.0
    parts = [rg.read_records(long_form, "test", score_type) for score_type in ("difficulty", "execution", "total")]
    for difficulty, execution, total in zip(*parts, strict=True):
        assert difficulty.score + execution.score - total.penalty == pytest.approx(total.score, abs=0.011)


def test_without_a_pixel_the_length_tells_a_little_of_rhythmic_gymnastics(long_form: Path) -> None:
    test = rg.read_records(long_form, "test")
    for apparatus, rho in (("ball", 0.12), ("clubs", 0.20), ("hoop", 0.36), ("ribbon", 0.19)):
        pairs = [(routine.length, routine.score) for routine in test if routine.action == apparatus]
        assert stats.spearmanr(*zip(*pairs, strict=True)).statistic == pytest.approx(rho, abs=5e-3)


@pytest.mark.parametrize(("action", "rho", "new"), [("pcs", 0.835, 13), ("tes", 0.576, 13)])
def test_who_the_skater_is_tells_the_score(action: str, rho: float, new: int, long_form: Path, config: Config) -> None:
    source = make_source(config("data=fisv", f"data.root={long_form}", f"data.action={action}").data)
    records = source.read_splits()
    assert {split: len(found) for split, found in records.items()} == {"train": 400, "test": 100}
    (floor,) = known_floors(records, source.event)["test"].values()
    assert floor["spearman"] == pytest.approx(rho, abs=5e-4)
    assert floor["unseen"] == new
    assert source.max_label == {"tes": 45.0, "pcs": 40.0}[action]
    assert max(source.label(record).value for record in records["train"]) < source.max_label


def test_folds_of_whole_skaters(long_form: Path, config: Config) -> None:
    source = make_source(config("data=fisv", f"data.root={long_form}", "data.split=by_event").data)
    found = {split: {source.event(record) for record in records} for split, records in source.read_splits().items()}
    assert not found["train"] & found["test"]


# features and videos


@pytest.mark.parametrize("name", WRITERS)
def test_features_take_the_place_of_videos(name: str, open_tree: Callable[..., Any], tmp_path: Path) -> None:
    root = tmp_path / name
    place = {"logo": root / "video_feature_dict.pkl", "finefs": root / "video_features"}.get(name, root / "features")
    source = open_tree(name, "reader=features", f"data.features.root={place}", "data.features.length=4")
    for records in source.read_splits().values():
        for record in records:
            assert source.item(record).width == 8
            assert 0 < source.label(record).value < source.max_label
    counts, problems = examine(source, workers=0)
    assert min(counts.values()) >= 2
    assert problems == []


def test_a_batch_of_routines_of_several_lengths(tmp_path: Path, config: Config) -> None:
    root = write_rg(tmp_path / "rg")
    words = ["reader=features", f"data.features.root={root / 'features'}", "data.features.length=4", "model=gdlt"]
    data = make_data(config("data=rg", f"data.root={root}", *words, "data.batch_size=2").data)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.video.shape == (2, 4, 1, 1, 8)
    assert {len(items) for items in data.items.values()} == {4, 2}


def test_videos_are_read_whole(open_tree: Callable[..., Any]) -> None:
    source = open_tree("rg", "data.frames=4")
    record = source.read_split("train")[0]
    assert source.window(record, source.media(record)) == Window(0, 30, down=True)
    with pytest.raises(InputError, match=r"no video of Ball_002: neither a folder of images nor a file in videos, fra"):
        source.media(source.read_split("train")[1])
    swimming = open_tree("logo", "data.frames=4")
    record = swimming.read_split("test")[0]
    assert swimming.media(record).parts[-2:] == (EVENTS[0], "3")
    window = swimming.window(record, swimming.media(record))
    assert list(window.indices(4, 0)) == [0, 2, 4, 7]
    assert examine(swimming, workers=0)[1] == []


@pytest.mark.slow
def test_a_run_has_the_floor_of_the_skater_and_stands_beside_published_rows(
    recipe_inside: Callable[..., Any], tmp_path: Path
) -> None:
    root = write_fisv(tmp_path / "fisv")
    words = ["data=fisv", f"data.root={root}", "reader=features", f"data.features.root={root / 'features'}"]
    words += ["data.features.length=4", "model=gdlt", "trainer.max_epochs=1", "trainer.accelerator=cpu", "logger=csv"]
    for action in ("tes", "pcs"):
        run = tmp_path / "runs" / action
        done = recipe_inside("train", run, *words, f"data.action={action}", "trainer.check_val_every_n_epoch=1")
        assert done.returncode == 0, done.stderr
        result = json.loads((run / "result.json").read_text())
        assert list(result["floors"]["test"]) == ["event"]
        assert list(result["metrics"]["last"]["splits"]["test"]["per_action"]) == [action]
    (table, *_) = read_report([tmp_path / "runs"], Wanted(beside=["fisv"])).tables
    said = repr(table)
    assert "training mean of the event" in said
    assert "CoFInAl" in said


# what each says of itself


def test_an_apparatus_or_all(open_tree: Callable[..., Any]) -> None:
    assert [record.video_id for record in open_tree("rg").read_split("test")] == ["Ball_005", "Ball_006"]
    everything = open_tree("rg", "data.action=all", "data.score_type=execution")
    assert len(everything.read_split("test")) == 8
    assert everything.actions == ["ball", "clubs", "hoop", "ribbon"]
    assert everything.read_split("test")[0].score == 7.25
    with pytest.raises(InputError, match="do not say which competition Ball_001 is from"):
        open_tree("rg", "data.split=by_event").read_split("train")


def test_kinds_of_routine_are_compared_apart(open_tree: Callable[..., Any]) -> None:
    source = open_tree("logo", "data.target=score")
    train = source.read_split("train")
    assert {source.group(record)[-1] for record in train} == {"free", "tech"}
    assert source.event(train[0]) == EVENTS[0]
    assert [int(source.read_side(record)["routine"]) for record in (train[0], train[-1])] == [0, 1]
    bank = source.exemplar_bank(train, seed=0)
    assert {train[place].kind for place in bank.voters(train[0], 10)} == {"free"}


def test_the_split_of_finefs_is_that_of_public_code(tmp_path: Path, config: Config) -> None:
    ranges = np.arange(729, 1167)
    state = np.random.get_state()
    np.random.seed(42)
    np.random.shuffle(ranges)
    np.random.set_state(state)
    assert drawn("free_skating", "train", 42) == tuple(ranges[:350].tolist())
    assert drawn("free_skating", "test", 42) == tuple(ranges[350:].tolist())
    assert (len(drawn("short_program", "train", 42)), len(drawn("short_program", "test", 42))) == (583, 146)
    words = [f"data.root={write_finefs(tmp_path / 'finefs')}", "data.action=short_program_pcs"]
    source = make_source(config("data=finefs", *words).data)
    records = source.read_splits()
    assert {split: len(found) for split, found in records.items()} == {"train": 583, "test": 146}
    assert {source.event(record) for record in records["test"]} == {"WC2019_Men", "WC2020_Men", "WC2021_Men"}
    assert source.max_label == 50.0
    assert len(names_of(records["train"], source.footage)) == 583


# wrong files


def rg_lists(change: Callable[[str], str | bytes]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / "rg" / "train.txt"
        changed = change(path.read_text())
        path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())

    return damage


def line(name: str) -> str:
    return f"\n{rg_line(name, 1)}\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text + line("Ball_001"), "train.txt: names routine Ball_001 more than once"),
        (lambda text: text + line("../Ball"), r"line 19: .*\.\./Ball.* is no name of a routine"),
        (lambda text: text + "Ball_900 1.0 2.0 3.0\n", r"line 18: 4 cells, and Video_Name, .* are expected"),
        (
            lambda text: text.replace("11.45", "1145", 1),
            r"line 2: Total_Score is 1145; expected are points from 0 to 25",
        ),
        (lambda text: text.replace("11.45", "11,45", 1), r"line 2: Total_Score is .*11,45.* and no number"),
        (lambda text: text.replace("11.45", "nan", 1), r"line 2: Total_Score is nan; expected are points"),
        (
            lambda text: text.replace("11.45", "12.45", 1),
            r"line 2: difficulty 5.5 and execution 6.25 less 0.3 do not add",
        ),
        (lambda text: "\n".join(text.splitlines()[1:]), r"train.txt: begins with .*ball_001.*, and the columns are"),
        (lambda _: RG_HEAD, "train.txt: has no line of a video"),
        (lambda _: b"\x89PNG\r\n\x1a\n\0\0", "train.txt: is no table but"),
    ],
)
def test_wrong_lines_of_rhythmic_gymnastics(
    change: Callable[[str], str | bytes], message: str, open_tree: Callable[..., Any], tmp_path: Path
) -> None:
    source = open_tree("rg")
    rg_lists(change)(tmp_path)
    with pytest.raises(InputError, match=message) as raised:
        source.read_split("train")
    assert "\n" not in str(raised.value)


def test_lists_in_other_encodings_are_the_same(open_tree: Callable[..., Any], tmp_path: Path) -> None:
    source = open_tree("rg")
    expected = source.read_split("train")
    for codec in ("utf-16", "utf-8-sig", "cp1252"):
        rg_lists(lambda text, codec=codec: text.encode(codec))(tmp_path)
        assert source.read_split("train") == expected
        (tmp_path / "rg" / "train.txt").write_text((tmp_path / "rg" / "train.txt").read_bytes().decode(codec))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train_dataset.txt", "1 20 30\n", r"train_dataset.txt, line 1: 3 cells"),
        ("train_dataset.txt", "one 20 30 0\n", r"line 1: .*one.* is no number of a programme"),
        ("train_dataset.txt", "1 2871 30 0\n", r"line 1: TES is 2871; expected are points from 0 to 45"),
        ("train_dataset.txt", "1 20 30 0\n01 20 30 0\n", r"names programme 1 more than once"),
        ("scores.csv", "number,name\n1,a\n", r"scores.csv: has no column skater"),
        ("scores.csv", "number,skater\n1,a\n1,b\n", r"scores.csv, line 3: names programme 1 again"),
        ("scores.csv", "number,skater\nx,a\n", r"scores.csv, line 2: .*x.* is no number of a programme"),
    ],
)
def test_wrong_lines_of_fisv(
    name: str, content: str, message: str, open_tree: Callable[..., Any], tmp_path: Path
) -> None:
    source = open_tree("fisv")
    (tmp_path / "fisv" / name).write_text(content)
    with pytest.raises(InputError, match=message):
        source.read_split("train")


def test_fisv_without_skaters_has_no_events(open_tree: Callable[..., Any], tmp_path: Path) -> None:
    source = open_tree("fisv")
    assert source.event(source.read_split("train")[0]) == "skater_1"
    assert open_tree("fisv", "data.events=competition").event(source.read_split("train")[0]) == "NHK 2013"
    (tmp_path / "fisv" / "train_dataset.txt").write_text("number TES PCS deductions\n1 20 30 0\n")
    assert len(fisv.read_records(tmp_path / "fisv", "train", "tes")) == 1
    (tmp_path / "fisv" / "scores.csv").unlink()
    assert source.event(source.read_split("train")[0]) is None


def logo_annotation(**changes: Any) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / "logo" / "anno_dict.pkl"
        content = pickle.loads(path.read_bytes())
        key = (EVENTS[0], 0)
        content[key] = changes.get("record", content[key])
        path.write_bytes(pickle.dumps(changes.get("whole", content)))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            logo_annotation(record=["duet", 80.0]),
            r"record .*_free_final.* is not annotated as expected .*its kind is 'duet'",
        ),
        (logo_annotation(record=["tech", 802.5]), "the score is 802.5; expected are points from 0 to 100"),
        (logo_annotation(record=["tech"]), "is not annotated as expected"),
        (logo_annotation(whole=[]), "anno_dict.pkl: holds no dictionary of dives"),
        (lambda root: (root / "logo" / "train_split3.pkl").write_bytes(pickle.dumps([("../x", 0)])), r"\.\./x"),
        (lambda root: (root / "logo" / "train_split3.pkl").unlink(), r"train_split3.pkl: no such file. LOGO is looked"),
    ],
)
def test_wrong_annotations_of_logo(
    damage: Callable[[Path], Any], message: str, open_tree: Callable[..., Any], tmp_path: Path
) -> None:
    source = open_tree("logo")
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        source.read_split("train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"\.json: "),
        ("[]", "holds no annotation of a programme"),
        (json.dumps({"total_element_score": "30"}), "total_element_score is '30' and no number"),
        (
            json.dumps({"total_element_score": 3025, "total_program_component_score(factored)": 30}),
            "total_element_score is 3025; expected are points from 0 to 70",
        ),
        (None, "no such file"),
    ],
)
def test_wrong_annotations_of_finefs(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "7.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_record(path, "train", "short_program_tes")
