"""Exemplars come from train, from the group, never the video itself; their draws have a key."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swapaqa.data.exemplars import Candidates, ExemplarBank, first_of_permutation
from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator


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


def by_action(record: Record) -> Hashable:
    return record.action


def by_difficulty(record: Record) -> Hashable:
    return record.difficulty


def by_nothing(record: Record) -> Hashable:  # noqa: ARG001
    return "all"


def by_competition(record: Record) -> Hashable:
    return record.last_frame  # stands for one; None where it is not known


def candidates_one_by_one(
    records: Sequence[Record], record: Record, rules: Sequence[Callable], apart: Callable | None
) -> list[int]:
    """As the first version found them: by a walk through all videos."""
    for rule in rules:
        group = [i for i, other in enumerate(records) if rule(other) == rule(record)]
        admitted = [i for i in group if apart is None or apart(records[i]) != apart(record)]
        if admitted:
            return admitted
    return []


def drawn_one_by_one(records: Sequence[Record], record: Record, candidates: list[int], epoch: int) -> int:
    others = [i for i in candidates if records[i].video_id != record.video_id]
    if not others:
        return candidates[0]
    generator = keyed_generator(3, "exemplar", epoch, record.video_id)
    return others[int(torch.randint(len(others), (), generator=generator))]


def voters_one_by_one(records: Sequence[Record], record: Record, candidates: list[int], count: int) -> list[int]:
    others = [i for i in candidates if records[i].video_id != record.video_id] or candidates
    order = torch.randperm(len(others), generator=keyed_generator(3, "voters", record.video_id)).tolist()
    return [others[i] for i in order[:count]]


rows = st.tuples(st.sampled_from("ab"), st.sampled_from([2.0, 3.0, 3.5]), st.integers(1, 3))


@given(st.lists(rows, min_size=1, max_size=14), st.lists(rows, max_size=3), st.booleans(), st.integers(1, 16))
@settings(max_examples=150, deadline=None)
def test_draws_and_voters_are_those_of_a_walk_through_all_videos(
    train: list[tuple], test: list[tuple], kept_apart: bool, count: int
) -> None:
    records = [Record(f"{i:03d}", a, 1.0, "train", d, last_frame=c) for i, (a, d, c) in enumerate(train)]
    tests = [Record(f"t{i}", a, 1.0, "test", d, last_frame=c) for i, (a, d, c) in enumerate(test)]
    tests.append(Record("new", "a", 1.0, "video", 2.0))  # of no known competition
    rules, apart = (by_difficulty, by_action, by_nothing), by_competition if kept_apart else None
    bank = ExemplarBank(records, rules[0], 3, rules[1:], apart)
    for record in (*records, *tests):
        candidates = candidates_one_by_one(records, record, rules, apart)
        if not candidates:
            with pytest.raises(InputError, match="no training video in its group"):
                bank.draw(record, 0)
            continue
        for epoch in range(3):
            assert bank.draw(record, epoch) == drawn_one_by_one(records, record, candidates, epoch)
        for voters in (1, count, len(records)):
            assert bank.voters(record, voters) == voters_one_by_one(records, record, candidates, voters)
    strays = [r.video_id for r in (*records, *tests) if not candidates_one_by_one(records, r, rules[:1], apart)]
    assert bank.note_strays("test", [*records, *tests]) == strays


def test_draws_of_the_first_version_are_kept() -> None:
    """Numbers that commit 1c545aa gave."""
    one = bank(40)
    assert [one.draw(record(i), epoch) for epoch in (0, 7) for i in range(6)] == [
        14,
        9,
        21,
        38,
        22,
        3,
        16,
        34,
        5,
        20,
        25,
        23,
    ]
    assert one.voters(record(5), 10) == [20, 37, 34, 17, 11, 12, 25, 38, 0, 16]


@pytest.mark.parametrize(("length", "count"), [(1, 1), (2, 1), (11, 10), (12, 10), (400, 10), (100_000, 10), (5, 9)])
def test_the_first_of_a_permutation_are_those_of_torch(length: int, count: int) -> None:
    for seed in range(5):
        found = first_of_permutation(length, count, torch.Generator().manual_seed(seed))
        assert found == torch.randperm(length, generator=torch.Generator().manual_seed(seed))[:count].tolist()


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_candidates_are_the_members_that_are_not_left_out(left_out: set[int], more: set[int]) -> None:
    candidates = Candidates(range(100, 121), sorted(left_out)).without(sorted(more))
    assert list(candidates) == [100 + rank for rank in range(21) if rank not in left_out | more]
    assert len(candidates) == len(list(candidates))
