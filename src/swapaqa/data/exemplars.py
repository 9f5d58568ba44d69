"""Exemplars: the training videos that CoRe compares a video with. They come from one object, and from train only."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch

from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator

Rule = Callable[[Record], Hashable]


@dataclass(frozen=True)
class Candidates(Sequence[int]):
    """The members of a group, but for those at some ranks: any one is found without a list of the others."""

    members: Sequence[int]
    left_out: Sequence[int] = ()  # ranks, ascending

    def __len__(self) -> int:
        return len(self.members) - len(self.left_out)

    def __getitem__(self, number: int) -> int:  # type: ignore[override]  # no slices
        def kept_before(i: int) -> int:
            return self.left_out[i] - i

        return self.members[number + bisect_right(range(len(self.left_out)), number, key=kept_before)]

    def without(self, ranks: Sequence[int]) -> "Candidates":
        """These, but for the members at `ranks` too."""
        new = [rank for rank in ranks if not self._left_out(rank)]
        return Candidates(self.members, sorted([*self.left_out, *new])) if new else self

    def _left_out(self, rank: int) -> bool:
        place = bisect_left(self.left_out, rank)
        return place < len(self.left_out) and self.left_out[place] == rank


class Level:
    """Training videos by group under one rule, with their ranks in it: positions ascend.

    Args:
        records: the training records.
        rule: the group of a record.
        parts: what each of `records` must be kept apart by; empty where nothing is.
    """

    def __init__(self, records: Sequence[Record], rule: Rule, parts: Sequence[Hashable]) -> None:
        self.rule = rule
        self.members: dict[Hashable, list[int]] = {}
        self.kin: dict[tuple[Hashable, Hashable], list[int]] = {}  # ranks by group and part
        self.place: list[tuple[Hashable, int]] = []  # group and rank of each position
        for position, record in enumerate(records):
            group = rule(record)
            members = self.members.setdefault(group, [])
            self.place.append((group, len(members)))
            if parts:
                self.kin.setdefault((group, parts[position]), []).append(len(members))
            members.append(position)

    def candidates(self, record: Record, part: Hashable) -> Candidates:
        """The members of the record's group, but for those of its `part`."""
        group = self.rule(record)
        return Candidates(self.members.get(group, ()), self.kin.get((group, part), ()))

    def ranks(self, record: Record, positions: Sequence[int]) -> list[int]:
        """The ranks of `positions` that are in the record's group."""
        group = self.rule(record)
        return [rank for own, rank in (self.place[position] for position in positions) if own == group]


class ExemplarBank:
    """Draws exemplars within groups of training records.

    Args:
        records: the training records; one of another split is refused, so that no test label can leak.
        group_of: the group of a record; a video is compared with members of its own group.
        seed: of the run.
        wider_groups: where to look, narrowest first, for a record in whose group no training video is.
        apart: what a video and its exemplars never have in common, as their competition; of a video it may be None,
            unknown, and then keeps it from nothing. Without the function nothing is kept apart.

    Positions that are returned are positions in `records`.
    """

    def __init__(
        self,
        records: Sequence[Record],
        group_of: Callable[[Record], Hashable],
        seed: int,
        wider_groups: Sequence[Callable[[Record], Hashable]] = (),
        apart: Callable[[Record], Hashable] | None = None,
    ) -> None:
        strangers = [record for record in records if record.split != "train"]
        if strangers:
            raise InputError(
                f"{strangers[0].video_id} of split '{strangers[0].split}' was offered as an exemplar: "
                "only training videos may be"
            )
        self.group_of = group_of
        self.seed = seed
        self.strays: dict[str, list[str]] = {}  # by split: ids of the videos for which the group is widened
        self.ids = [record.video_id for record in records]
        self.apart = apart
        self.positions: dict[str, list[int]] = {}  # by id
        for position, video_id in enumerate(self.ids):
            self.positions.setdefault(video_id, []).append(position)
        parts = [apart(record) for record in records] if apart else []
        if None in parts:
            raise InputError(
                f"{self.ids[parts.index(None)]}: not known of this exemplar what it must be kept apart by. Where the "
                "files of a data set name no competition, say data.exemplars_from=anywhere; where a checkpoint stores "
                "its exemplars, train with model.store_exemplars=false and evaluate with the training videos"
            )
        self.levels = [Level(records, rule, parts) for rule in (group_of, *wider_groups)]

    def draw(self, record: Record, epoch: int) -> int:
        """One exemplar for training: uniform in the group, never the video itself unless it is alone there."""
        candidates, others = self._candidates(record)
        if not others:
            return candidates[0]
        generator = keyed_generator(self.seed, "exemplar", epoch, record.video_id)
        return others[int(torch.randint(len(others), (), generator=generator))]

    def voters(self, record: Record, count: int) -> list[int]:
        """Up to `count` exemplars that vote on a video at evaluation, the same at every evaluation; never itself."""
        candidates, others = self._candidates(record)
        candidates = others or candidates
        generator = keyed_generator(self.seed, "voters", record.video_id)
        return [candidates[i] for i in first_of_permutation(len(candidates), count, generator)]

    @property
    def groups(self) -> dict[Hashable, list[int]]:
        """The members of every group, the narrow one."""
        return self.levels[0].members

    def note_strays(self, split: str, records: Sequence[Record]) -> list[str]:
        """Ids of `records` with no training video in their group, kept in `strays`."""
        narrow = self.levels[0]
        self.strays[split] = [
            record.video_id for record in records if not narrow.candidates(record, self._part(record))
        ]
        return self.strays[split]

    def _candidates(self, record: Record) -> tuple[Candidates, Candidates]:
        """The members of the narrowest group with any that `record` may be compared with; and the same but for it."""
        part = self._part(record)
        for level in self.levels:
            found = level.candidates(record, part)
            if found:
                return found, found.without(level.ranks(record, self.positions.get(record.video_id, ())))
        group = self.group_of(record)
        raise InputError(f"{record.video_id}: no training video in its group ({group}) to compare it with")

    def _part(self, record: Record) -> Hashable:
        return self.apart(record) if self.apart else None


def first_of_permutation(length: int, count: int, generator: torch.Generator) -> list[int]:
    """The first `count` of `torch.randperm(length, generator=generator)`, from as many draws instead of `length`.

    torch exchanges each place with a later one, from the first on, so the first ones are settled at once. Those behind
    are their own numbers until one was exchanged.
    """
    if count >= length:
        return torch.randperm(length, generator=generator).tolist()
    chosen: list[int] = []
    moved: dict[int, int] = {}
    for place in range(count):
        other = place + int(torch.randint(length - place, (), generator=generator))
        chosen.append(moved.get(other, other))
        moved[other] = moved.get(place, place)
    return chosen
