"""CoRe's arithmetic as published: of every ordered pair the leaf that its code finds, in NumPy's and Python's scalars.

Its code keeps labels and borders as Python floats, moves labels to float32 for training and subtracts them there; each
difference, a NumPy float32 by then, is compared with the borders one by one. NumPy 2 (NEP 50) makes a Python float the
float32 beside it; NumPy 1 compared both in float64. The oracle runs under the NumPy of the lock, which is 2.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from swapaqa.batch import TrainingLabels
from swapaqa.configuration.data_sets import make_source
from swapaqa.data.aqa7 import SCORE_RANGES
from swapaqa.models.core import CoRe
from swapaqa.models.pair_differences import PairDifferences
from swapaqa.models.score_groups import assign_groups, build_groups

Config = Callable[..., DictConfig]
LEAVES = 16


def published_borders(groups: Sequence[Sequence[float]], extent: float) -> list[tuple[float, float]]:
    deltas = sorted(abs(a - b) for labels in groups for a, b in combinations(labels, 2))
    inner = [deltas[int(i / (LEAVES // 2) * (len(deltas) - 1))] for i in range(1, LEAVES // 2)]
    border = [0, *inner, extent]
    positive = list(pairwise(border))
    return [(-right, -left) for left, right in reversed(positive)] + positive


def published_label(difference: Any, borders: Sequence[tuple[float, float]]) -> tuple[int, float]:
    """The leaf, 0 where none owns the difference, and the offset in it, -1 then."""
    for leaf, (left, right) in enumerate(borders):
        inside = left <= difference < right if difference >= 0 else left < difference <= right
        if inside:
            return leaf, float((difference - left) / (right - left))
    return 0, -1.0


def published_labels(pairs: Sequence[tuple[float, float]], borders: Sequence[tuple[float, float]]) -> np.ndarray:
    """(P, 2) leaf and offset of (exemplar, video) label pairs."""
    labels = {pair: published_label(np.float32(pair[1]) - np.float32(pair[0]), borders) for pair in set(pairs)}
    return np.array([labels[pair] for pair in pairs])


def our_labels(pairs: Sequence[tuple[float, float]], model: CoRe) -> np.ndarray:
    exemplar, video = torch.tensor(pairs, dtype=torch.float64).unbind(1)
    leaf, offset = assign_groups(model.difference(video, exemplar), model.groups[0], model.edge, model.decimals)
    return torch.stack([leaf.double(), offset.double().nan_to_num(-1.0)], dim=1).numpy()


def ordered_pairs(groups: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """The only member of a group is its own exemplar."""
    return [pair for own in groups for pair in (permutations(own, 2) if len(own) > 1 else [(own[0], own[0])])]


def learned(config: Config, words: Sequence[str], real: Path) -> tuple[CoRe, list[list[float]]]:
    """The method of a preset after it has learnt its borders, and the training labels by group of exemplars."""
    cfg = config(*words, "backbone=tiny", f"data.root={real}")
    data = make_source(cfg.data)
    records = data.read_split("train")
    labels, names = [data.label(record).value for record in records], [data.group(record) for record in records]
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    group = torch.tensor([number[name] for name in names])
    model: CoRe = instantiate(cfg.model)
    model.learn_scale(
        TrainingLabels(torch.tensor(labels, dtype=torch.float64), torch.zeros_like(group), group, data.max_label)
    )
    members = defaultdict(list)
    for name, label in zip(names, labels, strict=True):
        members[name].append(label)
    return model, list(members.values())


def test_a_difference_on_a_border_falls_where_numpy_2_puts_it(config: Config) -> None:
    """Of 0.7 in float32 two things are known: it is 0.7 beside a float32, and less in float64."""
    model: CoRe = instantiate(config("experiment=core_as_published", "backbone=tiny", "model.depth=3").model)
    model.groups = torch.tensor([[[-10, -0.7], [-0.7, 0], [0, 0.7], [0.7, 10]]], dtype=torch.float64)
    borders = [tuple(pair) for pair in model.groups[0].tolist()]
    pairs = [(0.0, 0.7), (0.7, 0.0), (0.1, 0.8), (27 / 1.5, 28.05 / 1.5), (0.0, 10.0), (3.3, 3.3)]
    assert np.array_equal(our_labels(pairs, model), published_labels(pairs, borders))
    assert our_labels(pairs[:1], model).tolist() == [[3, 0]]
    in_float64, _ = assign_groups(torch.tensor([np.float32(0.7)]).double(), model.groups[0], "official", None)
    assert in_float64.item() == 2


def test_the_leaves_of_random_labels_are_those_of_the_published_code(config: Config) -> None:
    model: CoRe = instantiate(config("experiment=core_as_published", "backbone=tiny").model)
    rng = np.random.default_rng(0)
    difficulty = np.repeat([2.8, 3.0, 3.2], 20)
    label = np.round(rng.uniform(20, 100, 60) * 2) / 2 / difficulty
    groups = [label[difficulty == d].tolist() for d in (2.8, 3.0, 3.2)]
    group = torch.arange(3).repeat_interleave(20)
    model.learn_scale(TrainingLabels(torch.from_numpy(label), torch.zeros_like(group), group, 30.0))
    borders = published_borders(groups, 30)
    assert model.groups[0].tolist() == [list(pair) for pair in borders]
    pairs = ordered_pairs(groups)
    assert np.array_equal(our_labels(pairs, model), published_labels(pairs, borders))


def test_every_pair_of_mtl_aqa_falls_into_the_published_leaf(config: Config, real_data: Path) -> None:
    """In float64 without rounding, which the preset was before, 11.3 % fall into another one."""
    model, groups = learned(config, ["experiment=core_mtl_aqa"], real_data / "mtl_aqa")
    pairs, borders = ordered_pairs(groups), published_borders(groups, 30)
    assert len(pairs) == 135125
    assert model.groups[0].tolist() == [list(pair) for pair in borders]
    expected = published_labels(pairs, borders)
    assert np.array_equal(our_labels(pairs, model), expected)
    model.arithmetic = "float64"
    assert (our_labels(pairs, model)[:, 0] != expected[:, 0]).sum() == 15268


@pytest.mark.parametrize("action", SCORE_RANGES)
def test_every_pair_of_aqa7_falls_into_the_published_leaf(
    action: str, config: Config, real_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "Split_4").symlink_to(real_data / "aqa7")
    model, groups = learned(config, ["experiment=core_as_published", f"data.action={action}"], tmp_path)
    pairs, borders = ordered_pairs(groups), published_borders(groups, 100)
    assert model.groups[0].tolist() == [list(pair) for pair in borders]
    assert np.array_equal(our_labels(pairs, model), published_labels(pairs, borders))


def test_labels_of_aqa7_are_divided_first(config: Config, real_data: Path, tmp_path: Path) -> None:
    """Multiplied first, 5.9 % of the ski pairs fall into another leaf, all in float64."""
    (tmp_path / "Split_4").symlink_to(real_data / "aqa7")
    data = make_source(config("data=aqa7", "data.action=ski_big_air", f"data.root={tmp_path}").data)
    scores, (low, high) = [record.score for record in data.read_split("train")], SCORE_RANGES["ski_big_air"]
    published = [((score - low) / (high - low)) * 100 for score in scores]
    assert [data.label(record).value for record in data.read_split("train")] == published
    leaves = []
    for labels in (published, [100 * (score - low) / (high - low) for score in scores]):
        column = torch.tensor(labels, dtype=torch.float64)
        borders = build_groups(PairDifferences(column, torch.zeros(len(labels), dtype=torch.int64)), 5, 100, None)
        exemplar, video = torch.tensor(ordered_pairs([labels]), dtype=torch.float64).unbind(1)
        leaves.append(assign_groups(video - exemplar, borders, "official", None)[0])
    assert math.isclose((leaves[0] != leaves[1]).double().mean().item(), 0.0587, abs_tol=1e-4)
