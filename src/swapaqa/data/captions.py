"""The captions of MTL-AQA, what a commentator said of each dive, as numbers of words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swapaqa.data.unpickler import load_pickle
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_json, shown

CAPTIONS, VOCABULARY = "final_captions_dict.pkl", "vocab.json"
NO_CAPTIONS = "say model.captions=false"  # of a method that can do without
LENGTH = 100  # words of a caption that are kept, as published; the longest has 485
END = "<eos>"

Key = tuple[int, int]  # competition, dive


def read_captions(captions: Path, vocabulary: Path) -> dict[Key, tuple[int, ...]]:
    """Each dive's caption: `LENGTH` numbers, those of its first words, the last one replaced by `END`, then zeros.

    As published, `END` has the number 0.

    Args:
        captions: a pickle {(competition, dive): [word, ...]}.
        vocabulary: JSON with `word_to_ix`, {word: number}.

    Raises:
        InputError: a file is none of these, or a word has no number.
    """
    numbers = _numbers(vocabulary)
    found = load_pickle(captions)
    if not isinstance(found, dict) or not found:
        raise InputError(
            f"{captions}: holds no dictionary of captions; take it from the authors' release, or {NO_CAPTIONS}"
        )
    return {key: _numbered(captions, key, words, numbers) for key, words in found.items()}


def _numbers(path: Path) -> Mapping[str, int]:
    content = read_json(path, "take it from the authors' release")
    numbers = content.get("word_to_ix") if isinstance(content, dict) else None
    if not isinstance(numbers, dict) or numbers.get(END) != 0 or not all(map(_is_number, numbers.values())):
        raise InputError(
            f"{path}: holds no numbers of words, `word_to_ix` with {END} as 0; take it from the authors' release"
        )
    return numbers


def _is_number(value: Any) -> bool:
    return type(value) is int and value >= 0


def _numbered(path: Path, key: Any, words: Any, numbers: Mapping[str, int]) -> tuple[int, ...]:
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise InputError(f"{path}: the caption of {shown(key)} is {shown(words)}, and a list of words is needed")
    kept = [*words[:LENGTH][:-1], END]
    unknown = next((word for word in kept if word not in numbers), None)
    if unknown is not None:
        raise InputError(
            f"{path}: the caption of {shown(key)} has the word {shown(unknown)}, which {VOCABULARY} has not"
        )
    return tuple(numbers[word] for word in kept) + (0,) * (LENGTH - len(kept))
