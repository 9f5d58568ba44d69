"""What every command of `swapaqa boxes` opens: a data set by the words of a training, and where reports about it go."""

from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from swapaqa.command import spelled
from swapaqa.console import open_console
from swapaqa.data.source import VideoSource
from swapaqa.running.program import compose_quietly
from swapaqa.video.cache import cache_root

OUT = Path("outputs/boxes")
SHOWN = 10  # videos on the screen; all are in the files

console = open_console()


class Opened(NamedTuple):
    """A data set, and the overrides that open it again."""

    source: VideoSource
    overrides: list[str]
    out: Path  # where reports about it go
    asked: VideoSource  # as the words say, also where boxes are written into the outputs

    def command(self, recipe: str) -> str:
        return " ".join([spelled(recipe), *self.overrides])


def configuration(overrides: list[str], every_action: bool = False) -> DictConfig:
    """The configuration of `src.train` with these overrides, checked."""
    from swapaqa.configuration.checking import check  # here, as --help needs none of what trains

    cfg = compose_quietly([*overrides, "aug=none"], "boxes")
    named = any(override.startswith("data.action=") for override in overrides)
    if every_action and not named and "action" in cfg.data:
        cfg.data.action = "all"
    check(cfg)
    return cfg


def open_data(overrides: list[str], source: str, every_action: bool, writes: bool) -> Opened:
    """The data set that `overrides` name, with the box source `source` unless they name another.

    Data in the cache is shared by all runs: boxes for it are written into the outputs.
    """
    from swapaqa.configuration.data_sets import make_source

    if not any(override.startswith("boxes=") for override in overrides):
        overrides = [*overrides, f"boxes={source}"]
    cfg = configuration(overrides, every_action)
    asked = opened = make_source(cfg.data)
    name = next((override.removeprefix("data=") for override in overrides if override.startswith("data=")), "demo")
    if writes and OmegaConf.select(cfg, "boxes.root") is None and opened.folder.is_relative_to(cache_root()):
        overrides = [*overrides, f"boxes.root={OUT / name}"]
        opened = make_source(configuration(overrides, every_action).data)
        console.print(f"{opened.folder} is a cache: boxes are written to {OUT / name}", soft_wrap=True)
    return Opened(opened, overrides, OUT / name, asked)
