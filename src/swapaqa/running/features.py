"""What a training on extracted features needs, and what of a configuration needs pixels; checked before it starts."""

import hydra
from omegaconf import DictConfig, OmegaConf

from swapaqa.data.datamodule import VideoData
from swapaqa.data.feature_reader import FeatureItem
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.models.feature_encoder import ENCODER
from swapaqa.models.scorer import Scorer


def refuse_pixels(cfg: DictConfig, data: VideoData) -> None:
    """Raise InputError, naming the key, for what looks at pixels where features take their place, and the reverse."""
    on_features = OmegaConf.select(cfg, "backbone._target_") == ENCODER
    if data.source.features is None:
        if on_features:
            raise InputError(
                "backbone=features: encodes nothing, and the data are videos; say reader=features with "
                "data.features.root=, or another backbone"
            )
        return
    method = cfg.model._target_
    name = method.rpartition(".")[2]
    if getattr(hydra.utils.get_class(method), "reads_boxes", False):
        raise InputError(
            f"reader=features: {name} looks into the backbone, at the pixels in the athlete's boxes; choose another "
            "model, or train it on videos"
        )
    if not on_features:
        raise InputError(
            f"backbone: {cfg.backbone.get('_target_')} takes videos, and reader=features gives what one made of them; "
            "leave backbone= out, or reader=features"
        )
    if data.augment.replaces_pixels:
        raise InputError(
            f"aug: {type(data.augment).__name__} changes pixels, and reader=features has none; say aug=none here, and "
            "extract copies under it: python -m src.extract aug=swap copies=8 (docs/features.md)"
        )


def complete_feature_size(cfg: DictConfig, source: VideoSource) -> None:
    """Write into the encoders of `cfg` how long the features of the first training video are, where they do not say.

    In a job of a sweep the model's is no longer `${backbone}` but a node of its own.
    """
    if source.features is None or cfg.backbone.feature_size is not None:
        return
    item = source.item(source.read_split("train")[0])
    assert isinstance(item, FeatureItem)
    for node in (cfg.backbone, cfg.model.encoder):
        if node.get("_target_") == ENCODER:
            node.feature_size = item.width


def refuse_clip_counts(model: Scorer, data: VideoData) -> None:
    """Raise InputError where a method takes a number of clips that the features of `data` do not have."""
    files, wanted = data.source.features, model.clip_count
    if files is None or wanted is None:
        return
    for item in (item for items in data.items.values() for item in items):
        assert isinstance(item, FeatureItem)
        if item.clips != wanted or files.length not in (None, wanted):
            raise InputError(
                f"{item.media}: {item.clips} clips, and {type(model).__name__} takes {wanted} of every video; extract "
                f"them under its clip plan (model=), or say data.features.length={wanted} data.features.at_test=crop"
            )
