"""Whether a data set has what a method looks for, said before a video is read."""

from collections.abc import Iterator, Sequence

import hydra
import yaml

from swapaqa.data.datamodule import VideoData
from swapaqa.errors import InputError
from swapaqa.models.scorer import Scorer
from swapaqa.running.registry import CONFIG


def refuse_missing_sides(model: Scorer, data: VideoData) -> None:
    """Raise InputError where `data` lacks what `model` needs beside the videos, naming the data sets that have it."""
    missing = [name for name in model.needs if name not in data.sides]
    if not missing:
        return
    known = [f"data={option}" for option in data_sets_with(missing)]
    remedy = f"take {' or '.join(known)}" if known else "none of conf/data has it: take one of your own that gives it"
    raise InputError(
        f"{type(model).__name__} needs {' and '.join(missing)} beside the videos, and {type(data).__name__} gives "
        f"{' and '.join(data.sides) or 'nothing'}; {remedy}"
    )


def refuse_short_windows(model: Scorer, data: VideoData) -> None:
    """Raise InputError where a clip plan of `model` does not fit into the window of `data`."""
    for plan in getattr(model.encoder, "plans", ()):  # an encoder of the user's own may have none
        plan.starts(data.frames)


def data_sets_with(names: Sequence[str]) -> Iterator[str]:
    """The options of `data=` in conf/ whose data sets have all of these sides."""
    for path in sorted((CONFIG / "data").glob("*.yaml")):
        target = yaml.safe_load(path.read_text(encoding="utf-8"))["data"]["_target_"]
        data_set: type[VideoData] = hydra.utils.get_class(target)
        if set(names) <= set(data_set.sides):
            yield path.stem
