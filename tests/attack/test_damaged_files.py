"""A damaged file is one line that names it, or is read: random damage to every kind, and what the files really are."""

import io
import json
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.io import loadmat, savemat

from swapaqa.annotate.box_file import format_row, read_rows
from swapaqa.boxes.cvat import read_cvat, read_mot
from swapaqa.boxes.darklabel import DarkLabelBoxes, read_darklabel
from swapaqa.boxes.darklabel_format import read_formats
from swapaqa.configuration.data_sets import make_source
from swapaqa.data import aqa7, mtl_aqa
from swapaqa.data.mat_file import read_matrices
from swapaqa.doctor.examination import examine
from swapaqa.errors import LINE, InputError
from swapaqa.files.file_form import first_fault
from swapaqa.files.foreign_file import read_json
from swapaqa.files.whole_file import remove_unfinished, with_digest, without_digest, write_whole
from swapaqa.gradcam.summary import read_gradcam, rows
from swapaqa.pool import in_processes
from swapaqa.probing.probe_file import find_probes
from swapaqa.recording.tracking import stored_id
from swapaqa.report.page_pictures import as_film
from swapaqa.report.render import print_table
from swapaqa.report.table import Table
from swapaqa.running.checkpoint import read_checkpoint
from swapaqa.running.jobs import CONFIG_FILE, stored_identity
from swapaqa.running.jobs_file import refuse_another_list
from swapaqa.running.out_of_memory import explained
from swapaqa.running.program import write_any_text
from swapaqa.runs.result_form import Result
from tests.attack.inputs import gradcam, probe, result
from tests.attack.malformed import IMPOSTORS, damaged, wrong_values
from tests.forked import REPOSITORY

Run = Callable[..., "CompletedProcess[str]"]
ROWS = np.array([[1, index, 30 + 0.5 * index] for index in range(1, 60)])
DIVES: dict[Any, Any] = {
    (3, dive): {
        "final_score": 60.0 + dive, "difficulty": 3.0, "judge_scores": [7.0] * 7, "start_frame": 5, "end_frame": 120,
        "dive_number": "5253B",
    }
    for dive in range(1, 9)
}  # fmt: skip
FORMATS = b"""%YAML:1.0
---
format0:
  data_fmt: [fn, id, x1, y1, w, h, c=-1, cname]
  gt_file_ext: "txt"
  gt_merged: 1
  delimiter: ","
format1:
  data_fmt: [classid, ncx, ncy, nw, nh]
  gt_file_ext: "txt"
  gt_merged: 0
  delimiter: " "
  classes_set: "coco"
coco: ["person", "bicycle"]
"""
KEYFRAMES = "".join(f"{frame},0,{2 * frame},20,30.5,40,diver\n" for frame in range(0, 60, 5)).encode()
MOT = "".join(f"{frame},1,{frame},20,30,40,1,-1,-1\n" for frame in range(1, 40)).encode()
CVAT = (
    '<?xml version="1.0" encoding="utf-8"?>\n<annotations><track id="0" label="diver">'
    + "".join(
        f'<box frame="{frame}" outside="0" occluded="0" keyframe="1" xtl="10.0" ytl="20" xbr="50" ybr="90"></box>'
        for frame in range(20)
    )
    + "</track></annotations>"
).encode()


def mat(compressed: bool = False) -> bytes:
    written = io.BytesIO()
    savemat(written, {"consolidated_train_list": ROWS}, do_compression=compressed)
    return written.getvalue()


def read_dives(path: Path) -> Any:
    for name, content in (("final_annotations_dict.pkl", DIVES), ("train_split_0.pkl", list(DIVES))):
        if path.name != name:
            (path.parent / name).write_bytes(pickle.dumps(content))
    return mtl_aqa.read_records(path.parent, "train")


def read_settings(path: Path) -> Any:
    read_formats.cache_clear()
    return read_formats(path)


LANDED = REPOSITORY / "tests" / "landed" / "core.ckpt"
KINDS: dict[str, tuple[str, bytes, Callable[[Path], Any]]] = {
    "split list": ("split_4_train_list.mat", mat(), lambda path: aqa7.read_records(path.parent, "train")),
    "compressed list": ("split_4_train_list.mat", mat(True), lambda path: aqa7.read_records(path.parent, "train")),
    "annotations": ("final_annotations_dict.pkl", pickle.dumps(DIVES), read_dives),
    "annotations of Python 2": ("final_annotations_dict.pkl", pickle.dumps(DIVES, 2), read_dives),
    "split": ("train_split_0.pkl", pickle.dumps(list(DIVES), 0), read_dives),
    "darklabel.yml": ("darklabel.yml", FORMATS, read_settings),
    "DarkLabel": ("001.txt", KEYFRAMES, lambda path: read_darklabel(path, range(50))),
    "MOT": ("001.txt", MOT, read_mot),
    "CVAT": ("001.xml", CVAT, read_cvat),
    "JSON": ("a.json", json.dumps({"a": [1, {"b": 2.5}]}).encode(), lambda path: read_json(path, "remove it")),
    "configuration": (CONFIG_FILE, b"model:\n  _target_: a.b.C\n  n: 5\n", lambda path: stored_identity(path.parent)),
    "checkpoint": ("a.ckpt", LANDED.read_bytes(), lambda path: read_checkpoint(str(path))),
}  # fmt: skip


def refusals(path: Path, content: bytes, read: Callable[[Path], Any], seed: int, count: int) -> dict[str, str]:
    """By the name of the damage the words of those that are refused; anything but an InputError goes through."""
    found = {}
    for name, damage in damaged(content, seed, count):
        path.write_bytes(damage)
        try:
            read(path)
        except InputError as error:
            found[name] = str(error)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_random_damage_is_read_or_one_line_with_the_file(kind: str, tmp_path: Path) -> None:
    name, content, read = KINDS[kind]
    path = tmp_path / name
    path.write_bytes(content)
    read(path)
    found = refusals(path, content, read, seed=0, count=60)
    assert len(found) > 10
    for damage, words in found.items():
        assert str(path) in words, damage
        assert "\n" not in words
        assert len(words) <= LINE


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_more_random_damage(kind: str, tmp_path: Path) -> None:
    name, content, read = KINDS[kind]
    for seed in range(1, 4):
        found = refusals(tmp_path / name, content, read, seed, count=120)
        assert all(str(tmp_path / name) in words for words in found.values())


@pytest.mark.parametrize("kind", ["split list", "annotations", "split", "checkpoint"])
def test_what_a_file_really_is_is_said(kind: str, tmp_path: Path) -> None:
    name, content, read = KINDS[kind]
    found = refusals(tmp_path / name, content, read, seed=0, count=0)
    assert "a git-lfs pointer and not the file itself; fetch that with `git lfs pull`" in found["git-lfs pointer"]
    assert "a web page, saved in the file's place" in found["web page"]
    assert "nothing but zeros" in found["zeros"]
    assert "empty" in found["empty"]
    assert "a gzip archive" in found["gzip"]
    assert "a download server's error message" in found["server's error"]


@pytest.mark.parametrize("seed", range(3))
def test_wrong_values_in_darklabels_settings(seed: int, tmp_path: Path) -> None:
    tree = {
        "format0": {"data_fmt": ["fn", "id", "x1", "y1", "w", "h", "cname"], "gt_file_ext": "txt", "gt_merged": 1,
                    "delimiter": ",", "classes_set": "coco"},
        "coco": ["person", "bicycle"],
    }  # fmt: skip
    path, refused = tmp_path / "darklabel.yml", list[str]()
    for _, wrong in wrong_values(tree, seed, 100):
        path.write_text(json.dumps(wrong))
        try:
            read_settings(path)
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert all(str(path) in words for words in refused)


def test_matrices_are_those_of_scipy(real_data: Path) -> None:
    files = sorted(real_data.rglob("*.mat"))
    assert len(files) >= 4
    for path in files:
        ours, theirs = read_matrices(path.read_bytes(), 2**26), loadmat(path)
        assert set(ours) == {name for name in theirs if not name.startswith("__")}
        for name, matrix in ours.items():
            np.testing.assert_array_equal(matrix, theirs[name])


@pytest.mark.parametrize("compressed", [False, True])
def test_matrices_of_every_type_and_shape(compressed: bool) -> None:
    matrices = [
        np.eye(3), np.arange(6, dtype=np.uint8).reshape(2, 3), np.arange(8, dtype=np.int64).reshape(2, 2, 2),
        np.zeros((0, 3)), np.ones((2, 3), np.float32), np.array([[7.25]]), np.arange(3, dtype=np.int16).reshape(1, 3),
    ]  # fmt: skip
    for matrix in matrices:
        written = io.BytesIO()
        savemat(
            written, {"x": matrix, "a_longer_name": matrix, "text": "abc", "z": matrix + 1j}, do_compression=compressed
        )
        found = read_matrices(written.getvalue(), 2**20)
        assert found["text"] is None
        assert found["z"] is None
        for name in ("x", "a_longer_name"):
            np.testing.assert_array_equal(found[name], matrix, strict=True)


def test_a_compressed_list_of_zeros_is_not_inflated_without_end(tmp_path: Path) -> None:
    written = io.BytesIO()
    savemat(written, {"consolidated_train_list": np.zeros((3 * 2**20, 3))}, do_compression=True)
    (tmp_path / "split_4_train_list.mat").write_bytes(written.getvalue())
    with pytest.raises(InputError, match="larger than any list"):
        aqa7.read_records(tmp_path, "train")


def test_a_damaged_plan_of_a_sweep_is_named(tmp_path: Path) -> None:
    for content in (b"{", b"[]", b'{"jobs": 3}', b'{"jobs": [{}]}', IMPOSTORS["no encoding"]):
        (tmp_path / "jobs.json").write_bytes(content)
        with pytest.raises(InputError, match=r"jobs\.json: .*remove it, and it is written anew"):
            refuse_another_list(tmp_path, [["seed=0"]])


def test_a_killed_loaders_process_is_one_line() -> None:
    with (
        pytest.raises(InputError, match=r"DataLoader worker \(pid 7\) is killed .* lower data\.workers"),
        explained(""),
    ):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")


def test_a_terminal_that_knows_ascii_alone_gets_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    write_any_text()
    table = Table("made_up", "ρ ± 0.1", "é", ("name",), (("中文",),), ("…",))
    print_table(table, Console(file=sys.stdout, width=60))
    sys.stdout.flush()
    assert b"? ? 0.1" in written.getvalue()


@pytest.mark.parametrize("place", ["/proc/nothing", "/dev/null/cache"])
def test_a_cache_that_cannot_be_made_is_one_line(place: str, train_inside: Run, tmp_path: Path) -> None:
    done = train_inside(tmp_path, "logger=csv", SWAPAQA_CACHE=place)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {place}: cannot be made (")
    assert line.endswith("name a folder of your own with SWAPAQA_CACHE")


def test_a_folder_that_cannot_be_written_is_one_line(recipe_inside: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = recipe_inside("train", tmp_path / "file" / "run", "logger=csv")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'file'}")
    assert "hydra.run.dir=" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_line(recipe_inside: Run, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    done = recipe_inside("train", tmp_path / "locked" / "run", "logger=csv")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


@pytest.mark.slow
def test_values_of_a_checkpoint_that_describe_no_model(recipe_inside: Run, tmp_path: Path) -> None:
    content = torch.load(LANDED, weights_only=True)
    for place, value, words in (
        (("model", "hidden_features"), -3, "its configuration describes no swapaqa.models.core.CoRe"),
        (("model", "hidden_features"), {"a": 1}, "model.hidden_features"),
        (("data", "geometry", "crop"), "x", "data.geometry.crop"),
        (("data", "geometry"), 5, "data.geometry=5: "),
        (("model", "encoder"), None, "one of model, model.encoder, backbone"),
    ):
        broken = json.loads(json.dumps(content["swapaqa_config"]))
        *path, last = place
        node = broken
        for part in path:
            node = node[part]
        node[last] = value
        torch.save(content | {"swapaqa_config": broken}, tmp_path / "a.ckpt")
        done = recipe_inside("evaluate", tmp_path / "run", f"checkpoint={tmp_path / 'a.ckpt'}")
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert words in done.stderr


def test_a_dive_that_ends_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "train_split_0.pkl").write_bytes(pickle.dumps(list(DIVES)))
    for first, last in ((121, 120), (0, 120), (-5, 120)):
        dives = {key: value | {"start_frame": first, "end_frame": last} for key, value in DIVES.items()}
        (tmp_path / "final_annotations_dict.pkl").write_bytes(pickle.dumps(dives))
        with pytest.raises(InputError, match=rf"final_annotations_dict\.pkl: record .* from frame {first} to {last};"):
            mtl_aqa.read_records(tmp_path, "train")


def test_a_dive_that_a_split_names_twice(tmp_path: Path) -> None:
    (tmp_path / "final_annotations_dict.pkl").write_bytes(pickle.dumps(DIVES))
    for again in ((3, 1), [3, 1.0], (True + 2, 1)):
        (tmp_path / "train_split_0.pkl").write_bytes(pickle.dumps([*DIVES, again]))
        with pytest.raises(InputError, match=r"train_split_0\.pkl: "):
            mtl_aqa.read_records(tmp_path, "train")


def test_settings_that_look_for_boxes_elsewhere_are_named(tmp_path: Path) -> None:
    """A damaged key is one that is not known, and its default counts."""
    settings = tmp_path / "darklabel.yml"
    settings.write_bytes(FORMATS.replace(b"gt_merged: 1", b"gt_mergad: 1"))
    source = DarkLabelBoxes(ratio=2.0, root=None, settings_file=str(settings), format=0)
    with pytest.raises(InputError, match=r"001: no such box file; .* said by .*darklabel\.yml, format0$"):
        source.find([tmp_path / "001"])


@pytest.mark.parametrize("sign", ["\0", "\x1b", "\x7f"])
def test_a_name_that_nobody_wrote_is_no_object(sign: str, tmp_path: Path) -> None:
    path = tmp_path / "001.txt"
    for line in (f"0,{sign},2,20,30.5,40,diver\n", f"0,1,2,20,30.5,40,di{sign}ver\n"):
        path.write_text(line)
        with pytest.raises(InputError, match=r"001\.txt, line 1: .* is no text"):
            read_darklabel(path, range(2))


def test_a_name_is_one_cell_of_the_file_that_import_writes(tmp_path: Path) -> None:
    line = format_row(3, 'a,b"\n\0', (1, 2, 3, 4), "x\t,y\x1b")
    assert line == "3,a b,1,2,3,3,x y\n"
    (tmp_path / "001.txt").write_text(line)
    assert read_rows(tmp_path / "001.txt")[0].object_id == "a b"


def test_keys_that_a_table_of_gradcam_or_of_a_probe_needs(tmp_path: Path) -> None:
    found = gradcam()
    del found["splits"]["test"]["checkpoints"][0]["box"]["chance"]
    (tmp_path / "gradcam.json").write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"gradcam\.json: .*checkpoints\.0\.box\.chance: field required"):
        read_gradcam(tmp_path / "gradcam.json")
    asked = probe()
    del asked["splits"]["test"]["conditions"]["as_is"]["confidence"]["spearman"]
    (tmp_path / "probe.json").write_text(json.dumps(asked))
    with pytest.raises(InputError, match=r"probe\.json: .*confidence\.spearman: field required"):
        find_probes([tmp_path])


@pytest.mark.parametrize("wrong", ["57.5", True, [57.5]])
def test_a_text_is_no_number_of_a_result(wrong: Any) -> None:
    content = result(0)
    content["predictions"]["test"]["a"] = [wrong, 51.0]
    assert str(first_fault(Result, content)).startswith("predictions.test.a.0: input should be a valid number")
    assert first_fault(Result, result(0)) is None


def test_a_difference_of_two_checkpoints_has_no_chance(tmp_path: Path) -> None:
    found = gradcam()
    gain = {"share": 0.1, "interval": [0.0, 0.2]}
    found["checkpoints"] *= 2
    found["splits"]["test"]["checkpoints"] *= 2
    found["splits"]["test"]["difference"] = {"videos": 3, "box": gain, "scaled_box": gain}
    (tmp_path / "gradcam.json").write_text(json.dumps(found))
    assert len(rows(read_gradcam(tmp_path / "gradcam.json"))) == 6


@pytest.mark.parametrize("content", [b"", b"<html>", b"a/b\n", b"\xff\xfe", b"x" * 5000, b"a b", b"\x1b[31m"])
def test_a_damaged_id_of_wandb_is_a_warning_and_a_new_run(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "wandb_id.txt").write_bytes(content)
    assert stored_id(tmp_path / "wandb_id.txt") is None
    assert "wandb_id.txt" in caplog.text
    assert "wandb starts" in caplog.text


def test_an_id_of_wandb_is_read_and_none_is_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert stored_id(tmp_path / "wandb_id.txt") is None
    os.mkfifo(tmp_path / "pipe")
    assert stored_id(tmp_path / "pipe") is None
    (tmp_path / "wandb_id.txt").write_bytes(b"k2j4-h6_l8.x\n")
    caplog.clear()
    assert stored_id(tmp_path / "wandb_id.txt") == "k2j4-h6_l8.x"
    assert not caplog.text


def test_a_page_shows_what_is_no_picture_and_no_film_as_such(tmp_path: Path) -> None:
    page = tmp_path / "report"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.mp4").write_bytes(bytes(2_000_001))
    for strip, film, link in (("pipe", "pipe", None), ("none.png", "large.mp4", "../large.mp4")):
        found = as_film(tmp_path, {"title": "a", "strip": strip, "film": film}, page)
        assert (found.film, found.link) == (None, link)
        assert found.strip.caption == f"{strip} cannot be read."


def wait_for_the_end(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_process_of_many_is_one_line() -> None:
    with pytest.raises(InputError, match="one of 2 processes was ended from outside"):
        list(in_processes(wait_for_the_end, [1, 2, 3], 2))


class KilledReader:
    """A video that the system ends its reader of."""

    def __init__(self, *_: object) -> None:
        pass

    def __len__(self) -> int:
        return 4

    def __getitem__(self, position: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_reader_of_the_doctor_is_one_line(monkeypatch: pytest.MonkeyPatch, config: Callable[..., Any]) -> None:
    monkeypatch.setattr("swapaqa.doctor.examination.Examination", KilledReader)
    cfg = config("data=demo", "name=x", "logger=csv", "data.workers=1")
    source = make_source(cfg.data)
    with pytest.raises(InputError, match=r"DataLoader worker .* lower data\.workers"):
        examine(source, cfg.data.workers)


def test_two_processes_write_one_file_at_once(tmp_path: Path) -> None:
    """Each with its own unfinished one; what a killed one left is taken away by the next start of the run."""
    contents = [bytes([number]) * 200_000 for number in range(2)]

    def write(content: bytes) -> None:
        for _ in range(20):
            write_whole(tmp_path / "a", content)

    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=write, args=(content,)) for content in contents]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "a").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    (tmp_path / "a.0123.unfinished").write_bytes(b"")
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_only_we_read_is_known_as_it_was_written() -> None:
    written = with_digest(b"abc")
    assert without_digest(written) == b"abc"
    for damaged_content in (b"", written[:-1], written + b"x", bytes(40), written[:5] + b"\0" + written[6:]):
        with pytest.raises(ValueError, match="not as it was written"):
            without_digest(damaged_content)
