"""Who is shown with whose background, and predictions back in their places."""

from pathlib import Path

import numpy as np
import pytest
import torch

from swapaqa.data.dataset import Item
from swapaqa.data.geometry import Window
from swapaqa.data.records import Label, Record
from swapaqa.probing.design import Layout, draw_donors, probe_items, sort_answers


@pytest.mark.parametrize("actions", [["diving"] * 7, ["diving", "vault", "diving", "vault", "vault", "diving"]])
def test_donors_are_derangements_within_the_action_and_never_the_same_twice(actions: list[str]) -> None:
    count = 2
    order, donors = draw_donors(actions, count, torch.Generator().manual_seed(3))
    assert sorted(order) == list(range(len(actions)))
    assert donors.shape == (count, len(actions))
    for row in donors:
        assert sorted(row) == list(range(len(actions)))
        assert all(actions[donor] == actions[own] and donor != own for own, donor in enumerate(row))
    assert all(len(set(column)) == count for column in donors.T)


def test_donors_depend_on_the_seed() -> None:
    one, same, other = (draw_donors(["a"] * 9, 3, torch.Generator().manual_seed(seed))[1] for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_answers_come_back_to_their_videos() -> None:
    records = [Record(str(number), "diving", float(number), "test") for number in range(5)]
    items = [Item(record, Path(), Window(0), [], Label(0, 0, 1), 0) for record in records]
    layout = Layout(records, *draw_donors(["diving"] * 5, 3, torch.Generator().manual_seed(0)), np.full(5, 0.3))
    code = {"as_is": 0, "removed": 100, "alone": 200, "exchanged": 1000}
    predicted = [
        code[item.condition] + int(item.record.video_id) + (10 * int(item.donor.record.video_id) if item.donor else 0)
        for item in probe_items(items, layout)
    ]
    answers = sort_answers(np.array(predicted, float), layout)
    videos = np.arange(5)
    assert (answers.as_is == videos).all()
    assert (answers.removed == 100 + videos).all()
    assert (answers.alone == 200 + videos).all()
    assert (answers.exchanged == 1000 + videos + 10 * layout.donors).all()
