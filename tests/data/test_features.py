"""Clip features in the place of videos: every kind of file, any number of clips, copies, and what is refused."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from swapaqa.batch import channels_first
from swapaqa.configuration.data_sets import make_data
from swapaqa.data.datamodule import VideoData
from swapaqa.data.feature_files import FeatureFiles, spellings
from swapaqa.data.feature_manifest import difference, list_digest
from swapaqa.data.feature_reader import fitted
from swapaqa.errors import InputError
from swapaqa.models.feature_encoder import FeatureEncoder
from swapaqa.running.features import complete_feature_size, refuse_pixels

Config = Callable[..., DictConfig]
WIDTH = 5


def features_of(number: int, clips: int = 3) -> np.ndarray:
    """(clips, WIDTH): recognisable by the first column, which counts on from 100 times the number."""
    found = np.random.default_rng(number).normal(size=(clips, WIDTH)).astype(np.float32)
    found[:, 0] = 100 * number + np.arange(clips)
    return found


@pytest.fixture
def own(tmp_path: Path, config: Config) -> Callable[..., VideoData]:
    """`own(*overrides, clips=...)`: six videos of a table, the last two of them tests; features of so many clips."""

    def build(*overrides: str, clips: Callable[[int], int] = lambda _: 3, write: bool = True) -> VideoData:
        rows = [f"{number},{10 * number},{'test' if number > 4 else 'train'}" for number in range(1, 7)]
        (tmp_path / "videos.csv").write_text("\n".join(["video,score,split", *rows]) + "\n")
        for number in range(1, 7) if write else ():
            np.save(tmp_path / f"{number}.npy", features_of(number, clips(number)))
        cfg = config("data=features", f"data.root={tmp_path}", "model=usdl", *overrides)
        return make_data(cfg.data)

    return build


def save(path: Path, array: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, feature=array, fps=np.array(25))
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps({"features": array, "fps": 25}))
    else:
        torch.save(torch.from_numpy(array), path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".pkl"])
@pytest.mark.parametrize("name", ["diving/002", "diving/2", "002", "2"])
def test_every_kind_of_file_under_every_spelling(tmp_path: Path, suffix: str, name: str) -> None:
    path = tmp_path / f"{name}{suffix}"
    path.parent.mkdir(exist_ok=True)
    save(path, features_of(2))
    np.testing.assert_array_equal(FeatureFiles(str(tmp_path)).read("diving/002"), features_of(2))


def test_the_most_exact_spelling_is_taken() -> None:
    assert spellings("diving/002") == ["diving/002", "diving/2", "002", "2"]
    assert spellings("01_003") == ["01_003", "1_3"]
    assert spellings("a_100") == ["a_100"]


@pytest.mark.parametrize("suffix", [".npz", ".pkl", ".pt"])
def test_one_file_for_all_by_id(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"all{suffix}"
    content = {"01_001": features_of(1), "01_002": features_of(2, 7)}
    if suffix == ".npz":
        np.savez(path, **content)  # type: ignore[arg-type]
    elif suffix == ".pkl":
        path.write_bytes(pickle.dumps({(1, 1): content["01_001"], (1, 2): content["01_002"]}))
    else:
        torch.save({name: torch.from_numpy(array) for name, array in content.items()}, path)
    files = FeatureFiles(str(path))
    np.testing.assert_array_equal(files.read("01_002"), features_of(2, 7))
    with pytest.raises(InputError, match="has 2 videos, and 01_003 is none of them"):
        files.read("01_003")


def test_rows_beside_a_column_of_ids(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float64).reshape(3, 4)
    np.savez(tmp_path / "all.npz", video=np.array([2, 3, 11]), feature=rows, other=rows + 100)
    np.testing.assert_array_equal(FeatureFiles(f"{tmp_path}/all.npz").read("diving/003"), rows[1:2])
    by_key = FeatureFiles(f"{tmp_path}/all.npz", key="other")
    np.testing.assert_array_equal(by_key.read("diving/011"), rows[2:] + 100)


class Touched:
    """Makes a file where a pickle is run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Touched(made)))
    torch.save(Touched(made), tmp_path / "b.pt")
    np.save(tmp_path / "c.npy", np.array([Touched(made)], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "d.npz", feature=np.array([Touched(made)], dtype=object))
    for name in "abcd":
        with pytest.raises(InputError):
            FeatureFiles(str(tmp_path)).read(name)
    assert not made.exists()


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.zeros((2, 3, 4)), r"have shape \(2, 3, 4\)"),
        (np.zeros((0, 4)), r"have shape \(0, 4\)"),
        (np.array([1.0, np.nan]), "not all finite"),
        (np.array(["a"]), "no numbers"),
    ],
)
def test_what_is_no_feature_is_one_line(tmp_path: Path, array: np.ndarray, named: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=named):
        FeatureFiles(str(tmp_path)).read("a")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", np.zeros((4, 4)))
    content = (tmp_path / "whole.npy").read_bytes()
    for name, damaged in {"cut.npy": content[:-8], "empty.npy": b"", "page.npy": b"<html></html>",
                          "zip.npz": b"PK\x03\x04" + bytes(40)}.items():  # fmt: skip
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match=name):
            FeatureFiles(str(tmp_path)).read(name.partition(".")[0])
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(InputError, match=r"data\.features\.key="):
        FeatureFiles(str(tmp_path)).read("two")
    with pytest.raises(InputError, match="no such file"):
        FeatureFiles(str(tmp_path)).read("nobody")


def test_a_sample_is_a_video_of_clips(own: Callable[..., VideoData]) -> None:
    data = own("data.batch_size=2")
    data.setup()
    batch = channels_first(next(iter(data.val_dataloader()[0])))
    assert batch.video.shape == (2, WIDTH, 3, 1, 1)
    assert data.items["train"][0].label.value == 0.0  # of the lowest training score
    encoded = FeatureEncoder(WIDTH)(batch)
    np.testing.assert_array_equal(encoded.numpy(), np.stack([features_of(5), features_of(6)]))


def test_a_training_crops_and_fills_and_a_test_sees_all(own: Callable[..., VideoData]) -> None:
    data = own("data.features.length=4", "data.batch_size=4", clips=lambda number: 2 * number)
    data.setup()
    starts = {int(data.training_set()[epoch, 3].video[0, 0, 0, 0]) - 400 for epoch in range(60)}
    assert starts == {0, 1, 2, 3, 4}  # of the eight clips of video 4
    again = [data.training_set()[epoch, 3].video for epoch in range(5)]
    assert all(torch.equal(one, data.training_set()[epoch, 3].video) for epoch, one in enumerate(again))
    short = data.training_set()[0, 0].video[:, 0, 0].numpy()
    np.testing.assert_array_equal(short, np.concatenate([features_of(1, 2), np.zeros((2, WIDTH), np.float32)]))
    assert [batch.video.shape[1] for batch in data.val_dataloader()[0]] == [10, 12]
    cropped = own("data.features.length=4", "data.features.at_test=crop", clips=lambda number: 2 * number, write=False)
    cropped.setup()
    (batch,) = cropped.val_dataloader()[0]
    assert batch.video[:, :, 0, 0, 0].tolist() == [[503, 504, 505, 506], [604, 605, 606, 607]]


def test_fitted_is_gdlts_rule() -> None:
    ten = np.arange(20.0).reshape(10, 2)
    np.testing.assert_array_equal(fitted(ten, 4, 6), ten[6:])
    np.testing.assert_array_equal(fitted(ten, 12, 0), np.concatenate([ten, np.zeros((2, 2))]))


def with_copies(folder: Path, count: int, train: list[Any]) -> None:
    for copy in range(count):
        (folder / "copies" / str(copy)).mkdir(parents=True)
        for number in range(1, 5):
            np.save(folder / f"copies/{copy}/{number}.npy", features_of(number) + 10 * (copy + 1))
    copies = {"count": count, "train_list": list_digest(train)}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "copies": copies}))


def test_one_copy_is_drawn_each_epoch(own: Callable[..., VideoData], tmp_path: Path) -> None:
    data = own()
    with_copies(tmp_path, 3, data.source.read_split("train"))
    data.setup()
    drawn = [int(data.training_set()[epoch, 1].video[0, 0, 0, 0]) for epoch in range(40)]
    assert set(drawn) == {210, 220, 230}
    assert drawn[:5] == [int(data.training_set()[epoch, 1].video[0, 0, 0, 0]) for epoch in range(5)]
    assert next(iter(data.val_dataloader()[0])).video[0, 0, 0, 0, 0] == 500
    one = own("data.features.copies=1")
    one.setup()
    assert {int(one.training_set()[epoch, 1].video[0, 0, 0, 0]) for epoch in range(9)} == {210}
    none = own("data.features.copies=0")
    none.setup()
    assert int(none.training_set()[0, 1].video[0, 0, 0, 0]) == 200


def test_copies_of_another_split_and_missing_ones_are_refused(own: Callable[..., VideoData], tmp_path: Path) -> None:
    data = own()
    train = data.source.read_split("train")
    with_copies(tmp_path, 2, train)
    (tmp_path / "copies/1/3.npy").unlink()
    with pytest.raises(InputError, match=r"copies/1/3\.npy: no such file"):
        own().setup()
    with pytest.raises(InputError, match=r"data\.features\.copies=3: .* names 2"):
        own("data.features.copies=3").setup()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["copies"]["train_list"] = list_digest(train[:3])
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"copies\.train_list is of other training videos"):
        own().setup()


@pytest.mark.parametrize(
    ("words", "clips", "named"),
    [
        ([], lambda number: number, r"data\.features\.length="),
        (["model=core", "data.features.length=3"], lambda number: number, r"data\.features\.at_test=crop"),
    ],
)
def test_other_numbers_of_clips_are_named(
    own: Callable[..., VideoData], words: list[str], clips: Callable[[int], int], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        own(*words, clips=clips).setup()


def test_two_videos_in_one_file_and_other_widths_are_refused(own: Callable[..., VideoData], tmp_path: Path) -> None:
    data = own()
    np.save(tmp_path / "6.npy", np.zeros((3, WIDTH + 1)))
    with pytest.raises(InputError, match="features of 6 numbers"):
        data.setup()
    rows = ["video,score,split", "a/1,1,train", "b/1,2,train", "a/2,1,test"]
    (tmp_path / "videos.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(InputError, match="is read for a/1 and b/1"):
        make_data_of(tmp_path, data).setup()


def make_data_of(folder: Path, data: VideoData) -> VideoData:
    """The same again, with its table read anew."""
    data.source.__dict__.pop("clips", None)
    assert data.source.root == str(folder)
    return VideoData(
        source=data.source, augment=data.augment, voters=0, batch_size=2, workers=0, seed=0, val_fraction=0.0,
        skip_unreadable=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["model=tsa_net"], "TSANet looks into the backbone"),
        (["aug=swap"], "ScaledBackgroundSwap changes pixels"),
        (["aug=cutmix"], "VideoCutMix changes pixels"),
        (["backbone=i3d"], "takes videos"),
    ],
)
def test_what_needs_pixels_is_refused_by_name(
    own: Callable[..., VideoData], config: Config, tmp_path: Path, words: list[str], named: str
) -> None:
    own()
    cfg = config("data=features", f"data.root={tmp_path}", "model=usdl", *words)
    with pytest.raises(InputError, match=named):
        refuse_pixels(cfg, make_data(cfg.data))


def test_videos_are_refused_where_features_are_expected(config: Config) -> None:
    cfg = config("backbone=features")
    with pytest.raises(InputError, match="the data are videos"):
        refuse_pixels(cfg, make_data(cfg.data))
    with pytest.raises(InputError, match="features of 4 numbers are expected"):
        FeatureEncoder(4)(SimpleNamespace(video=torch.zeros(2, 3, 8, 16, 16)))  # type: ignore[arg-type]


def test_the_length_of_the_features_is_looked_up(own: Callable[..., VideoData], config: Config, tmp_path: Path) -> None:
    data = own()
    cfg = config("data=features", f"data.root={tmp_path}", "model=usdl")
    cfg.model = OmegaConf.create(OmegaConf.to_container(cfg.model, resolve=True))  # as in a job of a sweep
    complete_feature_size(cfg, data.source)
    assert cfg.backbone.feature_size == cfg.model.encoder.feature_size == WIDTH


def test_a_difference_is_named_by_its_key() -> None:
    there: dict[str, Any] = {"format": 1, "clips": {"frames": 16, "size": None}, "copies": None, "versions": {"a": 1}}
    assert difference(there, there | {"versions": {"a": 2}}) is None
    asked = there | {"clips": {"frames": 16, "size": 112}}
    assert difference(there, asked) == "clips.size is None there and 112 is asked for"
    copies = {"count": 2, "seed": 0}
    assert difference(there, there | {"copies": copies}) is None
    assert difference(there | {"copies": copies}, there | {"copies": copies | {"count": 8}}) is None
    found = difference(there | {"copies": copies}, there | {"copies": copies | {"seed": 1}})
    assert found == "copies.seed is 0 there and 1 is asked for"


def test_the_real_table_is_that_of_the_lists(real_data: Path, config: Config) -> None:
    words = [f"data.root={real_data}/aqa7", f"data.features.root={real_data}/features/diving_p3d.npz"]
    data = make_data(config("data=aqa7", "reader=features", "model=usdl", *words).data)
    data.setup()
    assert {split: len(items) for split, items in data.items.items()} == {"train": 300, "test": 70}
    table = np.load(real_data / "features/diving_p3d.npz")
    row = {f"diving/{number:03d}": place for place, number in enumerate(table["video"].tolist())}
    for items in data.items.values():
        for item in items[:20]:
            place = row[item.record.video_id]
            assert item.record.score == pytest.approx(table["score"][place])
            assert table["split"][place] == item.record.split
            found = data.source.reader.read(item).video[0, 0, 0].numpy()
            np.testing.assert_array_equal(found, table["feature"][place])
