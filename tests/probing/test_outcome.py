"""The whole chain from files to shares, with models that read one side only in the network's place."""

import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from swapaqa.augment.background import inside_bounds
from swapaqa.augment.swap import pixel_bounds
from swapaqa.batch import Sample
from swapaqa.configuration.data_sets import make_data
from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError
from swapaqa.probing.design import Answers, Layout, lay_out, sort_answers
from swapaqa.probing.outcome import sentences, split_outcome

RATIO = 2.0
Laid = tuple[VideoData, dict[str, Layout]]


@pytest.fixture
def demo(config: Callable, small_demo: list[str], demo_cache: Path) -> Callable[..., VideoData]:
    """`demo(...)`: the small demo, set up as a method without exemplars evaluates it."""

    def build(*overrides: str) -> VideoData:
        words = [word for word in small_demo if word.startswith("data.settings")]
        data = make_data(config("data=demo", "model=usdl", "aug=none", *words, *overrides).data)
        with patch.dict(os.environ, {"SWAPAQA_CACHE": str(demo_cache)}):
            data.setup()
        return data

    return build


def inside(sample: Sample) -> torch.Tensor:
    size = (sample.video.shape[1], sample.video.shape[2])
    return inside_bounds(pixel_bounds(sample.boxes, RATIO, size, truncate=False)[None], size)[0, 0]  # (T, H, W)


def background_reader(sample: Sample) -> float:
    """Colour of the top rows, where the scoreboard is and no box reaches."""
    assert not inside(sample)[:, :4].any()
    return float(sample.video[:, :4].float().mean((0, 1, 2)) @ torch.tensor([1.0, 0.5, -1.0]))


def athlete_reader(sample: Sample) -> float:
    return float(sample.video[inside(sample)].float().mean())


def answered(data: VideoData, layout: Layout, model: Callable[[Sample], float]) -> Answers:
    shown = [data.reader.read(item, number) for number, item in enumerate(data.items["test"])]
    assert [sample.labels.position for sample in shown] == list(range(len(shown)))
    return sort_answers(np.array([model(sample) for sample in shown]), layout)


@pytest.mark.parametrize(("model", "side"), [(background_reader, "background"), (athlete_reader, "athlete")])
def test_a_model_that_reads_one_side_is_found_out(
    model: Callable[[Sample], float], side: str, demo: Callable[..., VideoData]
) -> None:
    data = demo()
    layout = lay_out(data, data.source.boxes, RATIO, 4)["test"]
    answers = answered(data, layout, model)
    outcome = split_outcome(answers, layout)
    other = {"background": "athlete", "athlete": "background"}[side]
    assert outcome["shares"][side]["value"] == pytest.approx(1, abs=1e-6)
    assert outcome["shares"][other]["value"] == pytest.approx(0, abs=1e-6)
    assert outcome["follows"][f"{side}_prediction"] == pytest.approx(1)
    untouched = answers.removed if side == "background" else answers.alone
    assert untouched == pytest.approx(answers.as_is)
    assert outcome["conditions"]["as_is"]["spearman"] == pytest.approx(
        outcome["conditions"]["removed" if side == "background" else "alone"]["spearman"]
    )
    words = {"background": "the background explains 100.0 %", "athlete": "the athlete 100.0 %"}
    assert words[side] in sentences("test", outcome)[0]


def test_what_is_written_says_all(demo: Callable[..., VideoData]) -> None:
    data = demo()
    layout = lay_out(data, data.source.boxes, RATIO, 99)["test"]
    outcome = split_outcome(answered(data, layout, athlete_reader), layout)
    assert outcome["videos"] == 6
    assert outcome["backgrounds"] == 5  # as many as there are others
    rows = outcome["predictions"]
    assert all(set(row["exchanged"]) == set(rows) - {video} for video, row in rows.items())
    assert 0 < outcome["covered_share"] < 0.5
    assert outcome["covers_nothing"] == outcome["covers_everything"] == []
    assert outcome["conditions"]["exchanged"]["confidence"].keys() == {"spearman", "relative_l2_x100"}


def test_kept_videos_change_nothing(demo: Callable[..., VideoData]) -> None:
    """In any order and from a reader that has kept others, a condition is the same."""
    data, again = demo(), demo()
    for one in (data, again):
        lay_out(one, one.source.boxes, RATIO, 2)
    items = data.items["test"]
    forward = [data.reader.read(item).video for item in items]
    backward = [again.reader.read(item).video for item in reversed(again.items["test"])]
    assert all(torch.equal(one, other) for one, other in zip(forward, reversed(backward), strict=True))


def test_boxes_that_leave_no_background_are_refused(demo: Callable[..., VideoData]) -> None:
    data = demo()
    with pytest.raises(InputError, match="probe_ratio=99 the box of every video of test covers"):
        lay_out(data, data.source.boxes, 99.0, 4)


def test_some_videos_without_background_are_counted(demo: Callable[..., VideoData]) -> None:
    data = demo()
    layout = lay_out(data, data.source.boxes, RATIO, 4)["test"]
    layout.covered[:2] = 1
    outcome = split_outcome(answered(data, layout, athlete_reader), layout)
    assert outcome["covers_everything"] == [record.video_id for record in layout.records[:2]]
    assert "test: the box of 2 of 6 videos covers the whole frame." in sentences("test", outcome)


def test_two_videos_are_too_few(demo: Callable[..., VideoData]) -> None:
    data = demo("data.settings.test=2")
    with pytest.raises(InputError, match="test has 2 videos of an action"):
        lay_out(data, data.source.boxes, RATIO, 4)
