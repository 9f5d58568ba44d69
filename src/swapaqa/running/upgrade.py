"""Checkpoints of older versions in today's words: whatever decided a prediction then decides it now.

A checkpoint carries the version of its format (`FORMAT_KEY`; without it, the first). Each change of the format has one
function here, which gives a checkpoint from before it the new names, or the key with the old value. It works on plain
dictionaries, before anything of them is admitted or made, so whatever a function meets may be of another kind than
ours: it then leaves it alone, for others to refuse. What moves a prediction by rounding only is not among the changes,
as the order in which AQA-7's labels are computed.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.models.scorer import CONFIG_KEY, FORMAT, FORMAT_KEY
from swapaqa.models.stored_exemplars import EXEMPLARS_KEY

Node = dict[str, Any]

GONE_FROM_BACKBONE = ("channels_last", "compile")  # changed results by rounding only
PLAN = {"_target_": "swapaqa.models.clip_plan.ClipPlan", "size": None}
CLIP_KEYS = {"clip_frames": "frames", "clip_stride": "stride", "last_start": "last_start"}
LABELS = ("score", "label", "offset", "factor", "difficulty", "action", "position", "voters")
OURS = "swapaqa."


def pin_linear_resize(content: Node) -> None:
    """Frames were resized by OpenCV's bilinear, which does not antialias."""
    for geometry in _geometries(content):
        geometry.setdefault("resize", "linear")


def pin_crop_rounded_down(content: Node) -> None:
    """The half pixel of a centred crop was dropped. The key has no other use."""
    for geometry in _geometries(content):
        geometry.setdefault("crop_rounding", "down")


def drop_what_is_gone_from_backbones(content: Node) -> None:
    """Keys for speed that were tried and taken out."""
    for encoder in _encoders(content):
        for key in GONE_FROM_BACKBONE:
            encoder.pop(key, None)


def give_clips_a_plan(content: Node) -> None:
    """The backbone cut the clips; they are a group of their own since."""
    for encoder in _encoders(content):
        if not all(key in encoder for key in CLIP_KEYS):
            continue
        encoder["clips"] = PLAN | {new: encoder.pop(old) for old, new in CLIP_KEYS.items()}
        _config(content).setdefault("clips", dict(encoder["clips"]))


def give_networks_their_normalisation(content: Node) -> None:
    """The encoder named the normalisation of the small backbone; the network carries it since."""
    for encoder in _encoders(content):
        network = encoder.get("network")
        if not isinstance(network, dict) or "normalisation" not in encoder:
            continue
        if network.get("_target_") == "swapaqa.models.tiny.TinyBackbone":
            network["normalisation"] = encoder.pop("normalisation")
        elif encoder["normalisation"] == "imagenet":  # what a backbone has that says nothing
            del encoder["normalisation"]


def rename_the_encoder(content: Node) -> None:
    """`swapaqa.models.clips` became several files."""
    for encoder in _encoders(content):
        if encoder.get("_target_") == "swapaqa.models.clips.VideoEncoder":
            encoder["_target_"] = "swapaqa.models.encoder.VideoEncoder"


def store_exemplars_by_clip(content: Node) -> None:
    """Stored exemplars were (N, D) means with their labels beside them; they are the features of n clips since."""
    stored = content.get(EXEMPLARS_KEY)
    if not isinstance(stored, dict) or "labels" in stored or not isinstance(stored.get("feature"), Tensor):
        return
    if stored["feature"].ndim != 2:
        return
    labels = {name: stored.get(name) for name in LABELS}
    none = stored["feature"].new_zeros(len(stored["feature"]), 0).double()
    content[EXEMPLARS_KEY] = {
        "feature": stored["feature"].unsqueeze(1),  # a mean over one clip is the mean that it was
        "labels": labels | {"judges": none},
        "side": {},
        "video_id": [""] * len(none),
    }


def drop_optimiser(content: Node) -> None:
    """Methods were built with the values of their optimiser; nothing trains what a checkpoint describes."""
    model = _section(_config(content), "model")
    for key in ("learning_rate", "backbone_learning_rate", "weight_decay", "epsilon"):
        model.pop(key, None)  # of a class of the user's own too: the base asked for them


Change = Callable[[Node], None]
CHANGES: dict[int, tuple[Change, ...]] = {  # by the format that they led to
    2: (pin_linear_resize, pin_crop_rounded_down, drop_what_is_gone_from_backbones),
    3: (
        give_clips_a_plan,
        give_networks_their_normalisation,
        rename_the_encoder,
        store_exemplars_by_clip,
        drop_optimiser,
    ),
}


def upgrade(content: Node, source: str = "the checkpoint") -> None:
    """Change the content of a checkpoint in place into one of today's format.

    Args:
        content: plain values and tensors; its configuration need not be one.
        source: the file, for messages.

    Raises:
        InputError: a format that is none or that this version does not know.
    """
    version = content.get(FORMAT_KEY, 1)
    if type(version) is not int:
        raise InputError(f"{source}: has no format that is a number; name one that training wrote")
    if version > FORMAT:
        raise InputError(
            f"{source}: has format {version} and this version reads up to {FORMAT}: update swapaqa to evaluate it"
        )
    for reached, changes in CHANGES.items():
        if version < reached:
            for change in changes:
                change(content)


def _config(content: Node) -> Node:
    config = content.get(CONFIG_KEY)
    return config if isinstance(config, dict) else {}


def _section(node: Any, *path: str) -> Node:
    """The dictionary at a path; an empty one, which is no part of `node`, where there is none."""
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _geometries(content: Node) -> Iterator[Node]:
    """The geometry of the data, if it is ours: a class of the user's own has its own keys."""
    geometry = _section(_config(content), "data", "geometry")
    if geometry.get("_target_") == "swapaqa.data.geometry.Geometry":
        yield geometry


def _encoders(content: Node) -> Iterator[Node]:
    """The encoder in its two places, if it is ours."""
    for path in (("backbone",), ("model", "encoder")):
        encoder = _section(_config(content), *path)
        if str(encoder.get("_target_")).startswith(OURS):
            yield encoder
