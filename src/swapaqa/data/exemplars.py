"""Exemplars: the training videos that CoRe compares a video with. They come from one object, and from train only."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence

import torch

from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator

Rule = Callable[[Record], Hashable]


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
        self.levels = [(rule, _members(records, rule)) for rule in (group_of, *wider_groups)]
        self.strays: dict[str, list[str]] = {}  # by split: ids of the videos for which the group is widened
        self.ids = [record.video_id for record in records]
        self.apart = apart
        self.parts = [apart(record) for record in records] if apart else []
        if None in self.parts:
            raise InputError(
                f"{self.ids[self.parts.index(None)]}: not known of this exemplar what it must be kept apart by; train "
                "with model.store_exemplars=false and evaluate with the training videos"
            )

    def draw(self, record: Record, epoch: int) -> int:
        """One exemplar for training: uniform in the group, never the video itself unless it is alone there."""
        candidates = [i for i in self._candidates(record) if self.ids[i] != record.video_id]
        if not candidates:
            return self._candidates(record)[0]
        generator = keyed_generator(self.seed, "exemplar", epoch, record.video_id)
        return candidates[int(torch.randint(len(candidates), (), generator=generator))]

    def voters(self, record: Record, count: int) -> list[int]:
        """Up to `count` exemplars that vote on a video at evaluation, the same at every evaluation; never itself."""
        candidates = [i for i in self._candidates(record) if self.ids[i] != record.video_id]
        candidates = candidates or self._candidates(record)
        generator = keyed_generator(self.seed, "voters", record.video_id)
        order = torch.randperm(len(candidates), generator=generator).tolist()
        return [candidates[i] for i in order[:count]]

    @property
    def groups(self) -> dict[Hashable, list[int]]:
        """The members of every group, the narrow one."""
        return self.levels[0][1]

    def note_strays(self, split: str, records: Sequence[Record]) -> list[str]:
        """Ids of `records` with no training video in their group, kept in `strays`."""
        self.strays[split] = [record.video_id for record in records if not self._admitted(record, *self.levels[0])]
        return self.strays[split]

    def _candidates(self, record: Record) -> list[int]:
        for rule, members in self.levels:
            found = self._admitted(record, rule, members)
            if found:
                return found
        group = self.group_of(record)
        raise InputError(f"{record.video_id}: no training video in its group ({group}) to compare it with")

    def _admitted(self, record: Record, rule: Rule, members: Mapping[Hashable, list[int]]) -> list[int]:
        """The members of the record's group under `rule`, but for those that it is kept apart from."""
        group = members.get(rule(record), [])
        if self.apart is None:
            return group
        part = self.apart(record)
        return [i for i in group if self.parts[i] != part]


def _members(records: Sequence[Record], rule: Callable[[Record], Hashable]) -> dict[Hashable, list[int]]:
    """Positions of `records` by group."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for position, record in enumerate(records):
        members[rule(record)].append(position)
    return dict(members)
