"""The node `data` of a configuration as objects: a source, and the DataModule that loads from it.

One flat node describes both, so that `data.root=` and `data.batch_size=` are keys alike: its `_target_` names the
source, and what `VideoData` takes beside a source is its. Configurations in checkpoints and results have this form too.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from swapaqa.configuration.moved import TARGET
from swapaqa.data.datamodule import VideoData
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError, one_line

SOURCE = "source"  # the parameter of VideoData that is no key
MODULE = f"{VideoData.__module__}.{VideoData.__qualname__}"
LOADING = tuple(name for name in inspect.signature(VideoData).parameters if name != SOURCE)


def described_by(target: Any) -> tuple[Callable[..., Any], ...]:
    """What a node with this `_target_` describes: of a source the module that loads from it too, else itself alone."""
    return (target, VideoData) if inspect.isclass(target) and issubclass(target, VideoSource) else (target,)


def parameters(described: Sequence[Callable[..., Any]]) -> list[inspect.Parameter]:
    """The keys of a node that describes these. ValueError for compiled code, which does not say what it takes."""
    found = [parameter for one in described for parameter in inspect.signature(one).parameters.values()]
    return [parameter for parameter in found if len(described) == 1 or parameter.name != SOURCE]


def make_source(node: DictConfig) -> VideoSource:
    """The data set of a node `data`. InputError where it names something else."""
    own = inspect.signature(source_class(node)).parameters
    source: VideoSource = instantiate(_part(node, lambda key: key not in LOADING or key in own))
    return source


def make_data(node: DictConfig) -> VideoData:
    """The data set of a node `data`, with its loading. Nothing of it is read yet."""
    make = instantiate(_part(node, lambda key: key in LOADING), _target_=MODULE, _partial_=True)
    data: VideoData = make(source=make_source(node))  # a call: instantiate copies dataclasses
    return data


def source_class(node: Any) -> type[VideoSource]:
    """The class that a node `data` names. InputError where it is none of a data set."""
    name = node.get(TARGET) if isinstance(node, Mapping) else None
    if not isinstance(name, str):
        raise InputError(f"data={one_line(str(node))}: names no data set as its {TARGET}")
    try:
        found = get_object(name)
    except Exception as error:
        raise InputError(f"data.{TARGET}={name}: cannot be imported ({error})") from error
    if not (inspect.isclass(found) and issubclass(found, VideoSource)):
        raise InputError(f"data.{TARGET}={name}: is no data set, a subclass of swapaqa.data.source.VideoSource")
    return found


def _part(node: DictConfig, chosen: Callable[[str], bool]) -> DictConfig:
    """Some keys of a node, resolved, at the same place: messages name it."""
    tree = OmegaConf.to_container(node, resolve=True)
    assert isinstance(tree, dict)
    part: DictConfig = OmegaConf.create({"data": {key: value for key, value in tree.items() if chosen(str(key))}}).data
    return part
