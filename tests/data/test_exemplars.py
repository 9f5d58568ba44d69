"""Exemplars come from train, from the group, never the video itself; their draws have a key."""

from collections import Counter

import pytest

from swapaqa.data.exemplars import ExemplarBank
from swapaqa.data.records import Record
from swapaqa.errors import InputError


def record(index: int, action: str = "diving", split: str = "train") -> Record:
    return Record(f"{action}/{index:03d}", action, 50.0, split)


def bank(count: int, seed: int = 0) -> ExemplarBank:
    """`count` dives, then as many vaults."""
    records = [record(i, action) for action in ("diving", "gym_vault") for i in range(count)]
    return ExemplarBank(records, lambda r: r.action, seed)


@pytest.mark.parametrize("split", ["test", "val", "shifted"])
def test_records_of_other_splits_are_refused(split: str) -> None:
    with pytest.raises(InputError, match=f"diving/002 of split '{split}'"):
        ExemplarBank([record(1), record(2, split=split)], lambda r: r.action, 0)


def test_draws_cover_the_group_without_the_video_itself() -> None:
    drawn = Counter(bank(5).draw(record(2), epoch) for epoch in range(400))
    assert set(drawn) == {0, 1, 3, 4}
    assert min(drawn.values()) > 60  # 100 each on average
    assert {bank(5).draw(record(2, "gym_vault"), epoch) for epoch in range(60)} == {5, 6, 8, 9}


def test_a_test_video_may_draw_every_member() -> None:
    assert {bank(3).draw(record(77, split="test"), epoch) for epoch in range(60)} == {0, 1, 2}


def test_a_video_alone_in_its_group_is_its_own_exemplar() -> None:
    assert bank(1).draw(record(0), 3) == 0
    assert bank(1).voters(record(0, "gym_vault"), 4) == [1]


def test_a_draw_depends_on_epoch_video_and_seed_and_not_on_its_order() -> None:
    one, other = bank(50), bank(50)
    keys = [(index, epoch) for epoch in range(3) for index in range(20)]
    forward = {key: one.draw(record(key[0]), key[1]) for key in keys}
    backward = {key: other.draw(record(key[0]), key[1]) for key in reversed(keys)}
    assert forward == backward
    assert [forward[i, 0] for i in range(20)] != [forward[i, 1] for i in range(20)]
    assert len({forward[i, 0] for i in range(20)}) > 5
    assert [forward[i, 0] for i in range(20)] != [bank(50, seed=1).draw(record(i), 0) for i in range(20)]


def test_voters_are_the_same_at_every_evaluation() -> None:
    one = bank(30)
    query = record(77, split="test")
    voters = one.voters(query, 10)
    assert voters == one.voters(query, 10) == bank(30).voters(query, 10)
    assert len(set(voters)) == 10
    assert set(voters) <= set(range(30))
    assert voters != one.voters(record(78, split="test"), 10)


def test_voters_are_at_most_the_group_and_never_the_video_itself() -> None:
    assert sorted(bank(4).voters(record(77, split="test"), 10)) == [0, 1, 2, 3]
    assert sorted(bank(4).voters(record(2), 10)) == [0, 1, 3]


def test_a_group_without_training_videos_is_named() -> None:
    for ask in (lambda: bank(3).draw(record(1, "ski_big_air"), 0), lambda: bank(3).voters(record(1, "ski_big_air"), 2)):
        with pytest.raises(InputError, match=r"ski_big_air/001.*ski_big_air"):
            ask()
