"""A data set with something of its own beside the videos, and a method that looks for it."""

from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from swapaqa.batch import Encoded
from swapaqa.data.aqa7 import AQA7
from swapaqa.data.datamodule import VideoData
from swapaqa.data.records import Record
from swapaqa.models.core import CoRe
from swapaqa.models.scorer import Predicted


def number_of(video_id: str) -> int:
    """The number in `diving/007`."""
    return int(video_id.rpartition("/")[2])


class Stepped(AQA7):
    """AQA-7 with steps and a height that are known of each video."""

    sides = ("steps", "height")

    @classmethod
    def read_side(cls, record: Record) -> dict[str, Tensor]:
        number = number_of(record.video_id)
        return {
            "steps": torch.tensor([number, 10 * number, -number]),
            "height": torch.tensor(number / 2, dtype=torch.float64),
        }


def with_steps(data: VideoData) -> VideoData:
    """The same data set, before it is set up."""
    own = {one.name: getattr(data.source, one.name) for one in fields(data.source)}
    return replace(data, source=Stepped(**own))


def check_side(side: dict[str, Tensor], video_ids: list[str]) -> None:
    """Every video has its own."""
    numbers = torch.tensor([number_of(video_id) for video_id in video_ids])
    assert side.keys() == {"steps", "height"}
    assert side["steps"].tolist() == torch.stack([numbers, 10 * numbers, -numbers], dim=1).tolist()
    assert side["height"].dtype == torch.float64
    assert side["height"].tolist() == (numbers / 2).tolist()


class Climber(CoRe):
    """CoRe, which checks what it is given of every video, and what it has seen of them."""

    needs = ("steps", "height")

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.lost: list[str] = []
        self.scored: list[str] = []
        self.voting: list[str] = []

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
        assert exemplars is not None
        for given in (videos, exemplars):
            check_side(given.side, given.video_id)
        self.lost += videos.video_id
        return super().losses(videos, exemplars)

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:
        assert exemplars is not None
        for given in (videos, exemplars):
            check_side(given.side, given.video_id)
        self.scored += videos.video_id
        self.voting = exemplars.video_id
        return super().score(videos, exemplars)


class NeedsDives(Climber):
    needs = ("dive",)


class NeedsWeather(Climber):
    needs = ("steps", "weather")
