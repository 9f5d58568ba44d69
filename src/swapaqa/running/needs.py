"""Whether a data set has what a method needs, checked before a video is read."""

from collections.abc import Iterator, Sequence

import yaml

from swapaqa.boxes.fixed import NoBoxes
from swapaqa.configuration.data_sets import source_class
from swapaqa.configuration.moved import TARGET
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.models.scorer import Scorer
from swapaqa.running.registry import CONFIG


def refuse_missing_sides(model: Scorer, source: VideoSource, training: bool = False) -> None:
    """Raise InputError where `source` lacks what `model` needs beside the videos, naming the data sets that have it.

    `training`: with what it learns from.
    """
    learnt = (*model.learns_from, *(model.auxiliary.learns_from if model.auxiliary else ()))
    wanted = dict.fromkeys((*model.needs, *(learnt if training else ())))
    missing = [name for name in wanted if name not in source.sides]
    if not missing:
        return
    known = [f"data={option}" for option in data_sets_with(missing)]
    remedy = f"take {' or '.join(known)}" if known else "none of conf/data has it: take one of your own that gives it"
    keys = [source.sides_on_demand[name] for name in missing if name in source.sides_on_demand]
    if len(keys) == len(missing):
        remedy = f"say {' '.join(keys)}, or {remedy}"
    raise InputError(
        f"{type(model).__name__} needs {' and '.join(missing)} beside the videos, and {type(source).__name__} gives "
        f"{' and '.join(source.sides) or 'nothing'}; {remedy}"
    )


def refuse_missing_boxes(model: Scorer, source: VideoSource) -> None:
    """Raise InputError where `model` looks at the athlete's boxes and `source` has none."""
    if model.reads_boxes and isinstance(source.boxes, NoBoxes):
        raise InputError(
            f"boxes: {type(model).__name__} looks at where the athlete is, and the whole frame is no answer; say "
            "boxes=darklabel, boxes=tracker, boxes=fixed or another of conf/boxes"
        )


def refuse_short_windows(model: Scorer, source: VideoSource) -> None:
    """Raise InputError where the clip plans of `model` do not fit into the window of `source`, or give a method another
    number of clips than it takes."""
    plans = getattr(model.encoder, "plans", ())  # an encoder of the user's own may have none
    clips = sum(len(plan.starts(source.frames)) for plan in plans)
    if plans and model.clip_count not in (None, clips):
        raise InputError(
            f"clips: {clips} of data.frames={source.frames}, and {type(model).__name__} takes {model.clip_count}; "
            "say the plan that its conf/model names, or other clips.frames and clips.stride"
        )


def data_sets_with(names: Sequence[str]) -> Iterator[str]:
    """The options of `data=` in conf/ whose data sets have all of these sides."""
    for path in sorted((CONFIG / "data").glob("*.yaml")):
        node = yaml.safe_load(path.read_text(encoding="utf-8"))["data"]
        if TARGET in node and set(names) <= set(source_class(node).sides):  # not a variant of another
            yield path.stem
