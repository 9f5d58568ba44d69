"""Captions: those of MTL-AQA as its program reads them, those of the demo, and files that are something else."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from swapaqa.configuration.data_sets import make_source
from swapaqa.data.captions import read_captions
from swapaqa.data.demo import Demo
from swapaqa.data.demo_words import LENGTH, VOCABULARY, caption, shown_dive
from swapaqa.data.dive_numbers import dive_attributes
from swapaqa.data.mtl_aqa import MTLAQA
from swapaqa.errors import InputError
from swapaqa.models.attributes import UNKNOWN, attribute_targets
from swapaqa.models.captions import said_so_far
from tests.trees import DIVES, write_mtl_aqa

Config = Callable[..., DictConfig]

NUMBERS = {"<eos>": 0, "<sos>": 1, "nice": 2, "dive": 3, "very": 4}
SAID = ["<sos>", "very", "nice", "dive", "<eos>"]


def write(folder: Path, captions: object = None, vocabulary: object = None) -> tuple[Path, Path]:
    paths = folder / "final_captions_dict.pkl", folder / "vocab.json"
    paths[0].write_bytes(pickle.dumps(dict.fromkeys(DIVES, SAID) if captions is None else captions, protocol=2))
    paths[1].write_text(json.dumps({"word_to_ix": NUMBERS} if vocabulary is None else vocabulary))
    return paths


def test_a_caption_is_its_words_up_to_a_hundred_and_ends(tmp_path: Path) -> None:
    given = {(1, 1): SAID, (1, 2): ["<sos>", *(150 * ["very"])], (1, 3): ["nice"]}
    found = read_captions(*write(tmp_path, given))
    assert found[1, 1] == (1, 4, 2, 3, 0, *(95 * [0]))
    assert found[1, 2] == (1, *(98 * [4]), 0)
    assert found[1, 3] == tuple(100 * [0])  # the last word is replaced
    told = said_so_far(torch.tensor([found[1, 1], found[1, 2]]))
    assert told.sum(dim=1).tolist() == [5, 100]


@pytest.mark.parametrize(
    ("captions", "vocabulary", "words"),
    [
        ([1], None, "holds no dictionary of captions; .* model.captions=false"),
        ({(1, 1): "very nice"}, None, "the caption of \\(1, 1\\) is 'very nice', and a list of words is needed"),
        ({(1, 1): []}, None, "a list of words is needed"),
        ({(1, 1): [1]}, None, "a list of words is needed"),
        ({(1, 1): ["ugly", "dive"]}, None, "has the word 'ugly', which vocab.json has not"),
        (None, {"word_to_ix": {"<eos>": 7}}, "holds no numbers of words"),
        (None, {"word_to_ix": {"<eos>": 0, "nice": "2"}}, "holds no numbers of words"),
        (None, {"word_to_ix": {"<eos>": 0, "nice": -2}}, "holds no numbers of words"),
        (None, [1], "holds no numbers of words"),
    ],
)
def test_files_that_are_something_else_are_one_line(
    captions: object, vocabulary: object, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words) as refused:
        read_captions(*write(tmp_path, captions, vocabulary))
    assert "\n" not in str(refused.value)


def mtl(config: Config, root: Path, *words: str) -> Any:
    return make_source(config("data=mtl_aqa", f"data.root={root}", "data.frames=8", *words).data)


def test_mtl_aqa_gives_captions_to_methods_that_learn_from_them(config: Config, tmp_path: Path) -> None:
    root = write_mtl_aqa(tmp_path / "MTL-AQA", "cut")
    without = mtl(config, root, "model=usdl")
    assert (without.captions, without.sides) == (False, ("dive", "announced", "dive_class"))
    assert MTLAQA.read_side(without.read_list("test")[0]).keys() == {"dive", "announced", "dive_class"}
    with pytest.raises(InputError, match=r"final_captions_dict\.pkl: no such file"):
        mtl(config, root, "model=i3d_avg_mtl").read_list("test")
    write(root / "info")
    source = mtl(config, root, "model=i3d_avg_mtl")
    assert source.sides == ("dive", "announced", "dive_class", "caption")
    for record in source.read_list("train"):
        side = MTLAQA.read_side(record)
        assert side["caption"].tolist()[:6] == [1, 4, 2, 3, 0, 0]
        assert side["caption"].shape == (100,)
    assert not mtl(config, root, "model=i3d_avg_mtl", "model.captions=false").captions
    missing = dict.fromkeys(list(DIVES)[:1], SAID)
    write(root / "info", missing)
    with pytest.raises(InputError, match=r"final_captions_dict\.pkl has no caption of dive .* model\.captions=false"):
        [source.read_list(split) for split in ("train", "test")]


# the demo


def test_the_demo_tells_what_its_dives_are() -> None:
    flawless, open_limbs = (10.0,) * 7, (3.0,) * 7
    dives = [shown_dive(difficulty, flawless) for difficulty in (2.8, 3.0, 3.2, 3.4)]
    assert dives == [(0, 1, turns, 0, 2) for turns in (1, 2, 3, 4)]  # tucked
    assert dives[2] == dive_attributes("103C")
    assert shown_dive(3.0, open_limbs)[4] == 0
    assert shown_dive(3.0, (6.0,) * 7)[4] == 1
    told = caption(dives[1], flawless)
    assert [VOCABULARY[number] for number in told if number] == (
        ["<sos>", "a", "dive", "of", "two", "half", "somersaults", "in", "tuck", "position", "and", "judged", "high"]
    )
    assert len(told) == LENGTH
    assert told[-1] == 0
    words = {caption(shown_dive(d, 7 * (j / 2,)), 7 * (j / 2,)) for d in (2.8, 3.0, 3.2, 3.4) for j in range(5, 21)}
    assert len(words) == 20  # five kinds of marks, four turns
    assert max(max(one) for one in words) < len(VOCABULARY)


def test_dives_of_the_demo_have_sides_and_vaults_have_none(
    config: Config, demo_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWAPAQA_CACHE", str(demo_cache))
    small = ["data.settings.train=12", "data.settings.test=4", "data.settings.shifted=4"]
    source: Demo = make_source(config("data=demo", *small).data)
    records = source.read_list("train")
    sides = [source.read_side(record) for record in records]
    assert {name: value.shape for name, value in sides[0].items()} == {
        "dive": (5,), "announced": (5,), "caption": (LENGTH,), "stages": (4,),
    }  # fmt: skip
    targets = attribute_targets(torch.stack([side["dive"] for side in sides]))
    assert all((target != UNKNOWN).all() for target in targets.values())
    assert targets["half_somersaults"].unique().numel() > 1
    for action in ("gym_vault", "all"):
        other: Demo = make_source(config("data=demo", *small, f"data.action={action}").data)
        assert other.sides == ()
        assert {tuple(other.read_side(record)) for record in other.read_list("test")} == {()}
