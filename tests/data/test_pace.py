"""Clips of changed pace: the frames of the authors' program, what is drawn, and what is read."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from swapaqa.data.geometry import Crop
from swapaqa.data.pace import PaceClips, PaceLabels, PacePlan, paced_frames
from swapaqa.data.pace_datamodule import PaceData
from swapaqa.errors import InputError
from tests.golden import golden


def test_frames_are_those_of_the_published_program() -> None:
    found = golden("pecop_small.npz")
    rows = zip(found["plan/start_rate_fr_segment_numframes"].tolist(), found["plan/frames"].tolist(), strict=True)
    for (start, pace, default, segment, total), frames in rows:
        assert paced_frames(start, pace, default, segment, total) == frames


def test_frames_by_hand() -> None:
    """Of eight, in two segments of four: place 4 ends the first and begins the second."""
    frames = [paced_frames(1, 3, 1, segment, 40, length=4, frames=8) for segment in (1, 2)]
    assert frames == [[1, 4, 7, 10, 13, 14, 15, 16], [1, 2, 3, 4, 7, 10, 13, 16]]
    assert paced_frames(5, 3, 1, 1, 9, length=4, frames=8) == [5, 8, 1, 4, 7, 1, 2, 3]  # behind 9, and early


@pytest.mark.parametrize("total", [1, 3, 4, 16, 103])
def test_no_frame_is_outside_of_the_window(total: int) -> None:
    for default in (1, 3, 6):
        plan = PacePlan(frames=32, segments=4, paces=6, default_pace=default)
        for start in {0, total // 2, total - 1}:
            for pace in set(range(1, 7)) - {default}:
                for segment in (1, 4):
                    places = plan.places(PaceLabels(start, pace, segment), total)
                    assert len(places) == 32
                    assert set(places) <= set(range(total))


def test_every_pace_but_the_default_is_drawn_equally_often() -> None:
    plan, generator = PacePlan(frames=32, segments=4, paces=5, default_pace=3), torch.Generator().manual_seed(0)
    drawn = [plan.draw(generator, 50) for _ in range(4000)]
    paces, segments = Counter(one.pace for one in drawn), Counter(one.segment for one in drawn)
    assert paces.keys() == {1, 2, 4, 5}
    assert segments.keys() == {1, 2, 3, 4}
    assert min([*paces.values(), *segments.values()]) > 880
    assert {one.start for one in drawn} == set(range(50))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": 30}, r"pretext\.plan\.frames=30: must be a multiple of segments=4"),
        ({"segments": 0}, "segments=0"),
        ({"default_pace": 6}, r"pretext\.plan\.default_pace=6: one of the paces 1 to pretext\.plan\.paces=5"),
        ({"paces": 1}, "at least one other"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PacePlan(**{"frames": 32, "segments": 4, "paces": 5, "default_pace": 1} | changes)


@pytest.fixture
def clips(aqa7_tree: Callable[..., Path], open_data: Callable[..., Any]) -> PaceClips:
    data = open_data(aqa7_tree())
    data.setup()
    plan = PacePlan(frames=8, segments=2, paces=3, default_pace=1)
    return PaceClips(data.source.reader, data.items["train"], plan, repeats=3, seed=0)


def test_a_clip_is_made_of_the_windows_frames_in_its_order(clips: PaceClips) -> None:
    item, crop = clips.items[0], Crop(4, 20, flip=True)
    window = clips.reader.read(item, crop=crop).video.numpy()
    places = [5, 7, 0, 0, 3]
    np.testing.assert_array_equal(clips.read(item, places, crop), window[places])


def test_each_repeat_and_epoch_is_another_clip_and_the_same_again_when_asked_again(clips: PaceClips) -> None:
    assert len(clips) == 3 * 6
    seen = [clips[(epoch, position)] for epoch in (0, 1) for position in (0, 6, 12)]  # of one video
    assert [int(clip.position) for clip in seen] == [0, 6, 12] * 2
    assert all(
        one.video.shape != other.video.shape or (one.video != other.video).any() for one, other in pairwise(seen)
    )
    again = clips[(1, 6)]
    assert torch.equal(again.video, seen[4].video)
    assert (int(again.pace), int(again.segment)) == (int(seen[4].pace), int(seen[4].segment))
    assert {int(clip.pace) for clip in seen} <= {1, 2}  # from 0: never the default


def test_a_number_of_repeats_is_needed(open_data: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"pretext\.repeats=0"):
        PaceData(open_data(None), PacePlan(32, 4, 5, 1), 0)
