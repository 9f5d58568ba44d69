"""One's own videos by a table, and a data set in the user's own package: neither touches a file here."""

import logging
import os
import re
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch import Tensor

from swapaqa.augment.none import NoAugmentation
from swapaqa.configuration.data_sets import LOADING
from swapaqa.data.boxes import BoxSource, DarkLabelBoxes, FixedBoxes
from swapaqa.data.clips import Clip, cut_test, read_table
from swapaqa.data.datamodule import VideoData
from swapaqa.data.geometry import Geometry
from swapaqa.data.videos import Videos
from swapaqa.errors import InputError

LENGTHS = [8, 20, 5, 31, 16, 9, 12, 40]
TINY = [
    "backbone=tiny", "logger=csv", "data.workers=0", "data.frames=16", "trainer.max_epochs=1",
    "data.geometry.height=40", "data.geometry.width=64", "data.geometry.crop=32",
]  # fmt: skip
STEP = 5

Open = Callable[..., VideoData]


def write_video(path: Path, frames: int) -> None:
    """Frame n (from 0) is grey of level 5 n."""
    if path.suffix:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 40))
        for n in range(frames):
            writer.write(np.full((40, 64, 3), STEP * n, np.uint8))
        writer.release()
    else:
        path.mkdir()
        for n in range(frames):
            cv2.imwrite(str(path / f"{n}.jpg"), np.full((40, 64, 3), STEP * n, np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight videos of several lengths, files and folders of images."""
    root = tmp_path / "own"
    root.mkdir()
    for i, frames in enumerate(LENGTHS):
        write_video(root / (f"v{i}.avi" if i % 2 else f"v{i}"), frames)
    return root


def table(root: Path, header: str, *lines: str) -> None:
    (root / "videos.csv").write_text("\n".join([header, *lines]) + "\n")


def numbered(root: Path, header: str = "video,score", cells: Callable[[int], str] = lambda i: f"v{i},{10 + i}") -> None:
    table(root, header, *(cells(i) for i in range(len(LENGTHS))))


@pytest.fixture
def open_videos() -> Open:
    def build(root: Path, boxes: BoxSource | None = None, **changes: Any) -> VideoData:
        settings: dict[str, Any] = {
            "root": str(root), "table": "videos.csv", "test_fraction": 0.25, "split_seed": 0, "frames": 8,
            "geometry": Geometry(height=40, width=64, crop=32, random_crop=False, flip=0.0), "target": "score",
            "boxes": boxes or FixedBoxes(ratio=1.0, share=0.8, frame="input"), "augment": NoAugmentation(),
            "voters": 0, "batch_size": 4, "workers": 0, "seed": 0, "val_fraction": 0.0, "skip_unreadable": False,
        } | changes  # fmt: skip
        loading = {key: settings.pop(key) for key in LOADING}
        data = VideoData(source=Videos(**settings), **loading)
        data.setup()
        return data

    return build


def numbers(video: Tensor) -> list[int]:
    return ((video.float().mean(dim=(-1, -2, -3)) + 2) / STEP).round().int().tolist()


def test_any_length_is_sampled_to_the_window(folder: Path, open_videos: Open) -> None:
    numbered(folder)
    data = open_videos(folder)
    samples = {}
    for split in data.items:
        for sample in (data.reader.read(item) for item in data.items[split]):
            samples[sample.video_id] = numbers(sample.video)
    assert samples["v0"] == list(range(8))
    for i, frames in enumerate(LENGTHS):
        assert samples[f"v{i}"] == np.linspace(0, frames - 1, 8).round().astype(int).tolist()


def test_first_and_last_frame_cut_the_action_out(folder: Path, open_videos: Open) -> None:
    numbered(folder, "video,score,first_frame,last_frame", lambda i: f"v{i},{i}," + ("11,18" if i == 3 else ","))
    data = open_videos(folder)
    found = {item.record.video_id: item for items in data.items.values() for item in items}
    sample = data.reader.read(found["v3"])
    assert numbers(sample.video) == list(range(10, 18))


def test_labels_span_the_training_scores(folder: Path, open_videos: Open) -> None:
    numbered(folder, "video,score,split", lambda i: f"v{i},{10 + i},{'test' if i in (0, 7) else 'train'}")
    data = open_videos(folder)
    labels = {i.record.video_id: i.label.value for items in data.items.values() for i in items}
    assert [round(labels[f"v{i}"], 6) for i in range(8)] == [-20, 0, 20, 40, 60, 80, 100, 120]
    assert [record.video_id for record in data.records()["test"]] == ["v0", "v7"]
    label = data.items["test"][1].label
    assert label.offset + label.factor * label.value == pytest.approx(17)


def test_a_split_is_cut_by_group_and_stays_with_another_seed(folder: Path, open_videos: Open) -> None:
    numbered(folder, "video,score,group", lambda i: f"v{i},{10 + i},athlete {i // 2}")
    splits = open_videos(folder).records()
    groups = {s: {r.group for r in records if isinstance(r, Clip)} for s, records in splits.items()}
    assert not groups["train"] & groups["test"]
    assert len(splits["test"]) == 2
    assert open_videos(folder, seed=5).records() == splits
    assert any(open_videos(folder, split_seed=s).records() != splits for s in range(1, 4))


def test_the_cut_comes_close_to_the_share(folder: Path) -> None:
    for i in range(30):
        numbered(folder, "video,score,group", lambda i: f"v{i},{10 + i},{i}")
    (clip, *_) = read_table(folder / "videos.csv")
    rng = np.random.default_rng(0)
    many = [Clip(**vars(clip) | {"video_id": str(i), "group": str(g)}) for i, g in enumerate(rng.integers(0, 80, 400))]
    for seed in range(5):
        parts = Counter(c.split for c in cut_test(many, 0.25, seed))
        assert abs(parts["test"] - 100) <= 5


def test_every_column_reaches_the_sample(folder: Path, open_videos: Open) -> None:
    (folder / "drawn").mkdir()
    (folder / "drawn" / "all.txt").write_text("0,0,10,12,20,8\n")
    numbered(
        folder,
        "video;score;action;difficulty;judges;boxes",
        lambda i: f"v{i};{30 + i};{'vault' if i % 2 else 'dive'};{2 + i / 10};8.5 9 {i};drawn/all.txt",
    )
    data = open_videos(folder, DarkLabelBoxes(ratio=2.0, root=None), target="completeness")
    assert data.source.actions == ["dive", "vault"]
    item = next(item for items in data.items.values() for item in items if item.record.video_id == "v3")
    sample = data.reader.read(item)
    assert sample.labels.judges.tolist() == [8.5, 9.0, 3.0]
    assert (sample.labels.difficulty, sample.labels.factor, sample.labels.action) == (2.3, 2.3, 1)
    assert sample.labels.label == pytest.approx(33 / 2.3)
    assert sample.boxes[0].tolist() == [10 - 16, 12 - 4, 29 - 16, 19 - 4]
    assert data.source.max_label >= data.training_labels().label.max()


@pytest.mark.parametrize(
    ("header", "line", "words"),
    [
        ("video,points", "v0,1", ["line 1", "'score'"]),
        ("video,score,spilt", "v0,1,train", ["line 1", "'spilt'"]),
        ("video,score,score", "v0,1,2", ["line 1", "'score'", "twice"]),
        ("video,score", "v0,high", ["line 3", "'score'", "'high'"]),
        ("video,score", "v0,nan", ["line 3", "'score'", "'nan'"]),
        ("video,score", "v0,1,2", ["line 3", "3 cells for 2 columns"]),
        ("video,score", ",3", ["line 3", "'video'", "empty"]),
        ("video,score", "v1.avi,3", ["line 3", "'video'", "line 2"]),
        ("video,score", "v77,3", ["line 3", "'video'", "v77"]),
        ("video,score,split", "v0,1,dev", ["line 3", "'split'", "'dev'"]),
        ("video,score,split", "v0,1,train", ["'split'", "no video of 'test'"]),
        ("video,score,split", "v0,1,", ["line 3", "'split'", "empty"]),
        ("video,score,difficulty", "v0,1,0", ["line 3", "'difficulty'", "above 0"]),
        ("video,score,judges", "v0,1,9 8", ["line 3", "'judges'", "2 numbers"]),
        ("video,score,first_frame", "v0,1,9", ["line 3", "9", "has 8"]),
        ("video,score,first_frame", "v0,1,1.5", ["line 3", "'first_frame'", "whole"]),
        ("video,score,first_frame,last_frame", "v0,1,5,4", ["line 3", "'last_frame'"]),
        ("video,score,action", "v0,1,other", ["line", "'other'", "scale"]),
    ],
)
def test_wrong_tables_name_line_and_column(
    header: str, line: str, words: list[str], folder: Path, open_videos: Open
) -> None:
    fill = {"split": "train", "difficulty": "2", "judges": "9", "action": "a"}
    columns = header.split(",")
    rest = [",".join({"video": f"v{i}", "score": str(i)}.get(c, fill.get(c, "")) for c in columns) for i in (1, 2, 3)]
    table(folder, header, rest[0], line, *rest[1:])
    with pytest.raises(InputError) as error:
        open_videos(folder)
    assert all(word in str(error.value) for word in words), error.value
    assert "videos.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_box_files_that_nobody_reads_are_mentioned(
    folder: Path, open_videos: Open, caplog: pytest.LogCaptureFixture
) -> None:
    numbered(folder, "video,score,boxes", lambda i: f"v{i},{i},drawn/all.txt")
    open_videos(folder)
    assert any("boxes=darklabel" in message for message in caplog.messages)


def test_unreadable_videos_are_left_out_when_told(folder: Path, open_videos: Open) -> None:
    numbered(folder, "video,score,split", lambda i: f"v{i},{10 + i},{'test' if i in (0, 7) else 'train'}")
    (folder / "v3.avi").write_bytes(b"not a video")
    with pytest.raises(InputError, match=r"v3\.avi"):
        open_videos(folder)
    data = open_videos(folder, skip_unreadable=True)
    assert [len(items) for items in data.items.values()] == [5, 2]
    assert len(data.skipped) == 1


def test_without_root_or_table_the_columns_are_said(
    tmp_path: Path, train_inside: Callable[..., Any], folder: Path
) -> None:
    for overrides in (["data=videos"], ["data=videos", f"data.root={folder}"]):
        done = train_inside(tmp_path, *overrides, *TINY)
        assert done.returncode == 2
        assert "data.root" in done.stderr
        assert "video,score" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_training_on_ones_own_videos(tmp_path: Path, train_inside: Callable[..., Any], folder: Path) -> None:
    numbered(folder)
    command = ["data=videos", f"data.root={folder}", "data.table=videos.csv"]
    done = train_inside(tmp_path, *command, *TINY, "data.val_fraction=0.34")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "run" / "predictions_test.csv").read_text().splitlines()) == 3
    assert (tmp_path / "run" / "predictions_val.csv").is_file()


def saved(text: str, form: str) -> bytes:
    """A table as a spreadsheet saves it."""
    with_commas = re.sub(r"(\d)\.(\d)", r"\1,\2", text.replace(",", ";"))
    return {
        "plain": text.encode(),
        "mark": b"\xef\xbb\xbf" + text.encode(),
        "crlf": text.replace("\n", "\r\n").encode(),
        "mac": text.replace("\n", "\r").encode(),
        "semicolon": text.replace(",", ";").encode(),
        "tab": text.replace(",", "\t").encode(),
        "german": with_commas.encode("cp1252"),
        "sep": ("sep=;\r\n" + with_commas).encode("cp1252"),
        "utf-16": text.replace(",", "\t").encode("utf-16"),
        "utf-16-le": text.replace(",", "\t").encode("utf-16-le"),
        "utf-16-be": text.encode("utf-16-be"),
        "quoted": "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines()).encode(),
        "empty columns": "\n".join(line + ",," for line in text.splitlines()).encode(),
        "empty lines": ("\n\n" + text + ",,,\n,,,\n").encode(),
        "short lines": with_commas.replace(";\n", "\n").encode(),
        "libreoffice": re.sub(r"[^;\n]*\d,\d[^;\n]*", r'"\g<0>"', with_commas).replace(";", ",").encode(),
    }[form]


FORMS = {  # and what is said about each
    "plain": None, "mark": None, "crlf": None, "mac": None, "quoted": None, "empty columns": None, "empty lines": None,
    "semicolon": "semicolons between the cells", "tab": "tabs between the cells",
    "german": "cp1252 (Western European), semicolons between the cells, decimal commas",
    "sep": "cp1252 (Western European), semicolons between the cells, decimal commas",
    "utf-16": "UTF-16, tabs between the cells", "utf-16-le": "UTF-16, tabs between the cells", "utf-16-be": "UTF-16",
    "short lines": "semicolons between the cells, decimal commas", "libreoffice": "decimal commas",
}  # fmt: skip


@pytest.mark.parametrize(("form", "said"), FORMS.items())
def test_a_table_is_read_as_spreadsheets_save_it(
    form: str, said: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "Video,Score,judges,group,boxes\nMüller 1,87.5,8.5 9.0 7.5,Zoë,drawn/1.txt\nb.avi,60,8 8 8.5,Ann,\n"
    path = tmp_path / "videos.csv"
    path.write_bytes(saved(text, form))
    with caplog.at_level(logging.INFO):
        clips = read_table(path)
    assert [(c.media, c.score, c.judge_scores, c.group, c.box_file) for c in clips] == [
        ("Müller 1", 87.5, (8.5, 9.0, 7.5), "Zoë", "drawn/1.txt"),
        ("b.avi", 60.0, (8.0, 8.0, 8.5), "Ann", ""),
    ]
    assert caplog.messages == ([] if said is None else [f"{path}: read as a table with {said}"])


def test_large_numbers_have_exponents(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    path.write_text("video;score\na;1,5E+02\nb;7E1\n")
    assert [clip.score for clip in read_table(path)] == [150.0, 70.0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('video,score\na,"1,234"\nb,8\n', ["line 2", "'score'", "'1,234'", "thousands or decimals"]),
        ('video,score\na,"9,5"\nb,8.5\n', ["line 2", "'9,5'", "line 3", "'8.5'"]),
        ("video,score\na,9,5\n", ["line 2", "3 cells for 2 columns", "decimal point"]),
        ("video,score,first_frame\na,9,5,\n", ["line 2", "4 cells for 3 columns"]),  # not a score of 9 from frame 5 on
        ("video;score\na;9,5\nb;9.5\n", ["line 2", "'9,5'", "line 3", "'9.5'"]),
        ("video;score\na;1.234,5\n", ["line 2", "'1.234,5' is not a number"]),
        ('video,score\n"a,9\nb,8\n', ["line 3", "unexpected end"]),
        ("", ["nothing in it"]),
        ("\n\n", ["nothing in it"]),
        ("video,score\n", ["no videos in it"]),
        ("<html><body>404</body></html>\n", ["is no table but a web page, saved in the file's place", "CSV"]),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ["a git-lfs pointer and not the file itself"]),
        (b"PK\x03\x04 and so on", ["a zip archive", "CSV"]),
        (b"\xd0\xcf\x11\xe0 and so on", ["a spreadsheet", "CSV"]),
        (bytes(4096), ["nothing but zeros"]),
        ("video,score\n" + "1," * 5_000_000, ["line 2: over 1000 cells"]),
        (b"video,score\na\0b,9\n", ["not a readable text file"]),
        (b"video,score\n\x81\x8d,9\n", ["not a readable text file"]),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(content: str | bytes, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as error:
        read_table(path)
    assert all(word in str(error.value) for word in (str(path), *words)), error.value
    assert "\n" not in str(error.value)


def test_a_table_that_is_no_regular_file_is_not_opened(tmp_path: Path, open_videos: Open) -> None:
    os.mkfifo(tmp_path / "videos.csv")
    with pytest.raises(InputError, match=r"videos\.csv: is a pipe, a socket or a device and no file"):
        open_videos(tmp_path)


def test_a_wrong_table_is_described_whole(folder: Path, open_videos: Open) -> None:
    table(folder, "video,score,split,judges", "v0,high,dev,8 9", "v1,2,,8", "v2,nan,train,8 x", "v3,1", "v0,3,test,8 9")
    with pytest.raises(InputError) as error:
        open_videos(folder)
    first, *more = str(error.value).splitlines()
    found = [re.sub(r"^.*line (\d), column '(\w+)'.*|^.*line (\d):.*", r"\1\3 \2", line) for line in (first, *more)]
    assert found == [
        "2 split", "2 score", "3 split", "3 judges", "4 score", "4 judges", "5 ", "6 video",
    ]  # fmt: skip
    assert all(line.startswith("  ") for line in more)


def test_of_very_many_faults_twenty_are_shown(folder: Path, open_videos: Open) -> None:
    table(folder, "video,score", *(f"missing{i},{i}" for i in range(50)))
    with pytest.raises(InputError) as error:
        open_videos(folder)
    lines = str(error.value).splitlines()
    assert len(lines) == 21
    assert "missing0" in lines[0] + lines[1] + lines[2]
    assert re.fullmatch(r"  and \d+ more", lines[-1])


def test_several_faults_are_one_error_of_the_program(
    folder: Path, tmp_path: Path, train_inside: Callable[..., Any]
) -> None:
    table(folder, "video,score", "v0,high", "v1,low")
    done = train_inside(tmp_path, "data=videos", f"data.root={folder}", *TINY)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith(f"error: {folder}/videos.csv, line 2, column 'score'")
    assert done.stderr.splitlines()[1].startswith(f"  {folder}/videos.csv, line 3, column 'score'")
    assert done.stderr.count("error:") == 1


@pytest.mark.parametrize("name", ["../own/../outside.avi", "../outside", "/etc/outside.avi", "x/../../outside.avi"])
@pytest.mark.parametrize("column", ["video", "boxes"])
def test_paths_that_leave_the_root_are_refused_unless_allowed(name: str, column: str, folder: Path) -> None:
    cells = {"video": "v1", "boxes": ""} | {column: name}
    table(folder, "video,score,boxes", f"{cells['video']},1,{cells['boxes']}")
    with pytest.raises(InputError, match=rf"line 2, column '{column}'.*outside.*data\.outside_root=true"):
        read_table(folder / "videos.csv")
    (clip,) = read_table(folder / "videos.csv", outside_root=True)
    found = clip.media if column == "video" else clip.box_file
    assert os.path.normpath(folder / found) == os.path.normpath(folder / name)


def test_a_video_outside_of_the_root_is_read_when_allowed(folder: Path, open_videos: Open) -> None:
    write_video(folder.parent / "far.avi", 9)
    numbered(folder, cells=lambda i: f"../far.avi,{i}" if i == 0 else f"v{i},{10 + i}")
    data = open_videos(folder, outside_root=True)
    found = {record.video_id for records in data.records().values() for record in records}
    assert "../far" in found


@pytest.mark.parametrize("name", ["x/../v1.avi", "./v1", "v1", "x//../v1.avi", "{root}/v1.avi"])
def test_one_video_under_two_spellings_is_refused(name: str, folder: Path, open_videos: Open) -> None:
    (folder / "x").mkdir()
    lines = [f"v{i},{i},{'test' if i == 7 else 'train'}" for i in range(8)]
    table(folder, "video,score,split", *lines, f"{name.format(root=folder)},5,test")
    with pytest.raises(InputError, match=r"line 10, column 'video': v1.* is listed before, on .*line 3"):
        open_videos(folder)


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_one_file_under_two_names_is_refused(link: str, folder: Path, open_videos: Open) -> None:
    if link == "hard":
        (folder / "other.avi").hardlink_to(folder / "v1.avi")
    else:
        (folder / "other.avi").symlink_to(folder / "v1.avi")
    lines = [f"v{i},{i},{'test' if i == 7 else 'train'}" for i in range(8)]
    table(folder, "video,score,split", *lines, "other,5,test")
    with pytest.raises(InputError, match="v1 and other: one video in train and test"):
        open_videos(folder)


def test_two_windows_of_one_file_are_two_videos(folder: Path, open_videos: Open) -> None:
    (folder / "second.avi").symlink_to(folder / "v7.avi")
    lines = [f"v{i},{i},{'1' if i == 7 else ''},{'20' if i == 7 else ''}" for i in range(8)]
    table(folder, "video,score,first_frame,last_frame", *lines, "second,5,21,40")
    assert sum(map(len, open_videos(folder).records().values())) == 9


@pytest.mark.parametrize("fold", range(4))
def test_groups_make_folds_whatever_the_table_splits(fold: Any, folder: Path, open_videos: Open) -> None:
    """And the scale is that of the videos which train in this fold."""
    numbered(
        folder, "video,score,group,split", lambda i: f"v{i},{10 + i},{'abcd'[i // 2]},{'test' if i % 2 else 'train'}"
    )
    data = open_videos(folder, split="by_event", fold=fold)
    tested = [record.video_id for record in data.records()["test"]]
    assert tested == [f"v{2 * fold}", f"v{2 * fold + 1}"]
    labels = {item.record.video_id: item.label.value for item in data.items["train"]}
    assert len(labels) == 6
    assert (min(labels.values()), max(labels.values())) == (0, 100)


def test_videos_of_one_group_are_kept_apart(folder: Path, open_videos: Open) -> None:
    numbered(folder, "video,score,group", lambda i: f"v{i},{10 + i},{'abcd'[i // 2]}")
    data = open_videos(folder, exemplars_from="other_competitions", voters=8)
    assert data.bank is not None
    for item in data.items["test"] + data.items["train"]:
        voters = [data.items["train"][position].record for position in data.bank.voters(item.record, 8)]
        assert data.source.event(item.record) not in {data.source.event(voter) for voter in voters}
    numbered(folder)
    with pytest.raises(InputError, match=r"data\.exemplars_from=anywhere"):
        open_videos(folder, exemplars_from="other_competitions", voters=8)


OWN_MODULE = '''
    """Brightness is the score."""
    from dataclasses import dataclass

    from swapaqa.data.records import Label, Record
    from swapaqa.data.source import VideoSource


    @dataclass(kw_only=True, eq=False)
    class Lamps(VideoSource):
        count: int

        layout = "lamps lie in lamp_<n>"

        @property
        def actions(self):
            return ["shine"]

        @property
        def max_label(self):
            return float(self.count)

        def read_list(self, split):
            numbers = range(self.count - 2) if split == "train" else range(self.count - 2, self.count)
            return [Record(video_id=f"v{n}", action="shine", score=float(n), split=split) for n in numbers]

        def media(self, record):
            path = self.folder / record.video_id
            return path if path.is_dir() else path.with_suffix(".avi")

        def score_label(self, record):
            return Label(record.score, offset=0.0, factor=1.0)
'''
OWN_YAML = """
    # @package _global_
    defaults:
      - /loading/default
      - override /boxes: fixed
    data:
      _target_: lamps.data.Lamps
      root: null
      count: 8
      frames: 16
      geometry:
        height: 40
        width: 64
        crop: 32
      batch_size: 4
      workers: 0
"""


@pytest.mark.slow
def test_a_data_set_in_ones_own_package(tmp_path: Path, train_process: Callable[..., Any]) -> None:
    package = tmp_path / "site" / "lamps"
    (package / "conf" / "data").mkdir(parents=True)
    for name in ("__init__.py", "conf/__init__.py", "conf/data/__init__.py"):
        (package / name).touch()
    (package / "data.py").write_text(textwrap.dedent(OWN_MODULE))
    (package / "conf" / "data" / "lamps.yaml").write_text(textwrap.dedent(OWN_YAML))
    root = tmp_path / "videos"
    root.mkdir()
    for n in range(8):
        write_video(root / f"v{n}", 16)
    done = train_process(
        tmp_path, "data=lamps", f"data.root={root}", "hydra.searchpath=[pkg://lamps.conf]", "logger=csv",
        "backbone=tiny", "trainer.max_epochs=1", PYTHONPATH=str(tmp_path / "site"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "run" / "predictions_test.csv").read_text().splitlines()) == 3
