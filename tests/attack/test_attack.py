"""The attack itself: it finds every kind of fault in readers that have one. And its short form on the real readers."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swapaqa.errors import InputError
from tests.attack.damage import is_text
from tests.attack.inputs import json_edit, pickle_edit
from tests.attack.pool import attack_readers
from tests.attack.reading import RIGHT, Reader, Verdict, unreadable
from tests.attack.strange import Damage, lay, strangers
from tests.attack.worker import Worker
from tests.forked import REPOSITORY

WORDS = "alpha,1\nbeta,2\ngamma,3\n"


def text(folder: Path) -> str:
    """The words, or a refusal as it should be."""
    path = folder / "words.csv"
    try:
        found = path.read_text() if path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        found = ""
    if found != WORDS:
        raise InputError(f"{path}: not the words; write them again")
    return found


def crashing(folder: Path) -> int:
    return len((folder / "words.csv").read_text().splitlines()[1])


def hanging(folder: Path) -> str:
    try:
        return text(folder)
    except InputError:
        time.sleep(60)
        raise


def greedy(folder: Path) -> str:
    try:
        return text(folder)
    except InputError:
        bytearray(1200 << 20)
        raise


def dying(folder: Path) -> str:
    try:
        return text(folder)
    except InputError:
        os._exit(3)


def silent(folder: Path) -> str:
    try:
        return text(folder)
    except InputError:
        return "other words"


def mumbling(folder: Path) -> str:
    try:
        return text(folder)
    except InputError:
        raise InputError("something is wrong") from None


def babbling(folder: Path) -> str:
    try:
        return text(folder)
    except InputError as error:
        raise InputError(f"{error}{' and more' * 100}") from None


def overwriting(folder: Path) -> str:
    (folder / "words.csv").unlink(missing_ok=True)
    return WORDS


def trusting(folder: Path) -> Any:
    content = (folder / "words.csv").read_bytes()
    return content.decode() if content == WORDS.encode() else pickle_edit.load(content)


def write_words(folder: Path) -> None:
    (folder / "words.csv").write_text(WORDS)


def verdicts(read: Callable[[Path], Any], folder: Path, inputs: int = 20, **more: Any) -> set[Verdict]:
    reader = Reader("words", "words.csv", write_words, read, **{"costly": True, "seconds": 5.0} | more)
    tried = attack_readers([reader], folder, 1, inputs, 0, 1, False)
    assert sum(one.outcome.verdict not in RIGHT for one in tried) == sum(bool(one.kept) for one in tried)
    assert all(Path(one.kept, "WHAT").is_file() for one in tried if one.kept)
    return {one.outcome.verdict for one in tried}


def test_a_reader_without_a_fault_has_none(tmp_path: Path) -> None:
    assert verdicts(text, tmp_path) == {Verdict.REFUSED, Verdict.SAME}


@pytest.mark.parametrize(
    ("read", "verdict"),
    [
        (crashing, Verdict.CRASHED), (dying, Verdict.CRASHED), (silent, Verdict.WRONG), (mumbling, Verdict.UNCLEAR),
        (babbling, Verdict.UNCLEAR), (overwriting, Verdict.OVERWRITTEN),
    ],
)  # fmt: skip
def test_every_fault_is_found(read: Callable[[Path], Any], verdict: Verdict, tmp_path: Path) -> None:
    assert verdict in verdicts(read, tmp_path, inputs=25)


def test_code_that_runs_is_found(tmp_path: Path) -> None:
    canary, valid, damaged = (tmp_path / name for name in ("canary", "valid", "damaged"))
    for folder in (valid, damaged):
        folder.mkdir()
        write_words(folder)
    hostile = Damage("runs code", strangers(canary, {})["runs code: pickle"])
    lay(hostile, damaged / "words.csv")
    worker = Worker(Reader("words", "words.csv", write_words, trusting), valid, canary)
    assert worker.ask(damaged, hostile).verdict is Verdict.RAN
    worker.stop()


@pytest.mark.parametrize(
    ("read", "verdict"),
    [(hanging, Verdict.HUNG), pytest.param(greedy, Verdict.MEMORY, marks=pytest.mark.slow)],
)
def test_what_takes_too_much_is_found(read: Callable[[Path], Any], verdict: Verdict, tmp_path: Path) -> None:
    seconds = 2.0 if verdict is Verdict.HUNG else 60.0
    assert verdict in verdicts(read, tmp_path, inputs=2, seconds=seconds)


def test_a_value_that_nobody_can_know_is_right(tmp_path: Path) -> None:
    typed = {"unknowable": "people type it", "may_miss": True}
    assert Verdict.WRONG not in verdicts(silent, tmp_path, **typed)
    assert Verdict.WRONG in verdicts(silent, tmp_path, **typed, sound=lambda value: "" if value == WORDS else "odd")


@pytest.mark.slow
def test_the_input_of_a_fault_is_made_small(tmp_path: Path) -> None:
    verdicts(crashing, tmp_path, inputs=60, costly=False)
    (empty,) = [path for path in tmp_path.rglob("WHAT") if "IndexError" in path.read_text()]
    assert (empty.parent / "words.csv").stat().st_size <= 1


def test_an_input_is_drawn_again_by_its_seed(tmp_path: Path) -> None:
    reader = Reader("words", "words.csv", write_words, silent, costly=True)
    found = [[one.kind for one in attack_readers([reader], tmp_path / str(n), 7, 10, 0, 1, False)] for n in range(2)]
    assert found[0] == found[1]


def test_forms_are_told_apart() -> None:
    assert is_text(WORDS.encode())
    assert not is_text(b"\x00\x01")
    assert json_edit.load(json_edit.dump({"a": [1, None]})) == {"a": [1, None]}


def test_a_file_is_unreadable_for_everybody(tmp_path: Path) -> None:
    write_words(tmp_path)
    with unreadable(tmp_path / "words.csv"), pytest.raises(InputError):
        text(tmp_path)
    (tmp_path / "words.csv").chmod(0o644)
    assert text(tmp_path) == WORDS


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_short_form(tmp_path: Path) -> None:
    """Four inputs of every reader, and two kills; `make attack` is the long one."""
    from tests.attack.kills import attack_trainings
    from tests.attack.readers import READERS

    tried = attack_readers(READERS, tmp_path, 0, 4, 0, 2, False)
    wrong = [f"{one.reader}, {one.kind}: {one.outcome}" for one in tried if one.outcome.verdict not in RIGHT]
    assert len(tried) > 100
    assert not wrong, "\n".join(wrong)
    kills = attack_trainings(tmp_path / "kills", 0, 2, 1)
    assert not kills.wrong, kills.markdown()


def test_the_documented_command_is_there() -> None:
    assert "python -m tests.attack" in (REPOSITORY / "Makefile").read_text()
