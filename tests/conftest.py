"""What several tests need: the real data, a small AQA-7 tree, and the real entry point in an isolated home."""

import contextlib
import copy
import functools
import io
import logging
import os
import runpy
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import hydra
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hypothesis import Phase, settings
from omegaconf import DictConfig

from tests.forked import REPOSITORY, run_forked
from tests.trees import write_aqa7

if TYPE_CHECKING:
    from swapaqa.boxes.source import BoxSource
    from swapaqa.data.datamodule import VideoData

REAL_DATA = REPOSITORY.parent / "shared" / "data"

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# before torch is imported, and for every process that a test starts: pytest's workers share the processors
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))
os.environ.pop("COLUMNS", None)  # a shell's width, by which tables would break their lines
if "MUTANT_UNDER_TEST" in os.environ:  # `make mutation`: any example kills a mutant, the smallest takes minutes to find
    settings.register_profile("mutation", phases=(Phase.explicit, Phase.generate), derandomize=True)
    settings.load_profile("mutation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with many slow tests first: a long one at the end would leave the other workers idle."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session", autouse=True)
def resolvers() -> None:
    """For tests that compose a configuration without a program of ours."""
    from swapaqa.running import resolvers  # here, as it imports torch

    resolvers.register()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real annotation files and videos."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real data is not at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test keeps without a cache of its own, such as the index of a video, is gone after the tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SWAPAQA_CACHE", str(tmp_path_factory.mktemp("kept")))
        yield


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all runs, so that equal demo data is written once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def small_demo() -> list[str]:
    """Overrides that make the demo a matter of seconds: 12 training videos, two epochs, no wandb."""
    return [
        *(f"data.settings.{split}={count}" for split, count in (("train", 12), ("test", 6), ("shifted", 6))),
        "trainer.max_epochs=2",
        "trainer.check_val_every_n_epoch=1",
        "logger=csv",
    ]


def isolated(folder: Path, cache: Path) -> dict[str, str]:
    """The environment of a person without a wandb key, a home of their own and, for wandb, no network."""
    ours = ("WANDB", "AQA7", "MTL_AQA", "SWAPAQA", "HYDRA", "XDG", "PL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {
        "HOME": str(folder),
        "NETRC": str(folder / "netrc"),
        "SWAPAQA_CACHE": str(cache),
        "WANDB_BASE_URL": "http://127.0.0.1:9",  # nobody answers there
        "WANDB_CACHE_DIR": str(folder / "wandb-cache"),
        "WANDB_CONFIG_DIR": str(folder / "wandb-config"),
        "WANDB_DATA_DIR": str(folder / "wandb-data"),
    }


@pytest.fixture(scope="session")
def train_environment(demo_cache: Path) -> Callable[[Path], dict[str, str]]:
    """`train_environment(folder)`: what `train_process` runs in, for tests that start the program themselves."""
    return lambda folder: isolated(folder, demo_cache)


@pytest.fixture(scope="session")
def train_process(demo_cache: Path) -> Run:
    """`train_process(folder, *overrides)`: `src.train` in a process of its own; the run is in `folder/run`."""

    def run(folder: Path, *overrides: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        words = [f"hydra.run.dir={folder}/run", *overrides]
        return run_forked("src.train", words, isolated(folder, demo_cache) | environment)

    return run


@pytest.fixture(scope="session")
def recipe_inside(demo_cache: Path) -> Run:
    """`recipe_inside("train", folder, *overrides)`: an entry point inside this process; it writes into `folder`.

    This saves the seconds that importing everything takes.
    """

    def run(recipe: str, folder: Path, *overrides: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        arguments = [recipe, f"hydra.run.dir={folder}", *overrides]
        out, err, root = io.StringIO(), io.StringIO(), logging.getLogger()
        handlers, level, status = root.handlers[:], root.level, 0
        with (
            patch.dict(os.environ, isolated(folder.parent, demo_cache) | environment, clear=True),
            patch.object(sys, "argv", arguments),
            patch.object(sys, "path", [str(REPOSITORY), *sys.path]),
            patch.object(HydraConfig.instance(), "cfg", None),  # as in a new process
            contextlib.chdir(REPOSITORY),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                runpy.run_module(f"src.{recipe}", run_name="__main__", alter_sys=True)
            except SystemExit as stop:
                status = int(stop.code or 0)
            finally:  # Hydra has put its own there
                root.handlers[:] = handlers
                root.setLevel(level)
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def train_inside(recipe_inside: Run) -> Run:
    """`train_inside(folder, *overrides)`: `src.train` inside this process; the run is in `folder/run`."""
    return lambda folder, *overrides, **environment: recipe_inside("train", folder / "run", *overrides, **environment)


@pytest.fixture(scope="session")
def config() -> Callable[..., DictConfig]:
    """`config(*overrides)`: the composed configuration, without running anything."""

    @functools.cache
    def build(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
            return compose("train", overrides=list(overrides))

    return lambda *overrides: copy.deepcopy(build(*overrides))


@pytest.fixture
def box_source(config: Callable[..., DictConfig]) -> Callable[..., "BoxSource"]:
    """`box_source("darklabel", root=...)`: the source as its yaml has it, but for the given keys."""
    return lambda name, **changes: hydra.utils.instantiate(config(f"boxes={name}").boxes, **changes)


@pytest.fixture
def open_data(config: Callable[..., DictConfig]) -> Callable[..., "VideoData"]:
    """`open_data(root, **changes)`: a tree of `aqa7_tree` as AQA-7, its settings changed by `changes`."""
    from swapaqa.augment.none import NoAugmentation  # here, as it imports torch
    from swapaqa.data.geometry import Geometry
    from tests.opened import open_node

    def build(root: Path | None, **changes: Any) -> "VideoData":
        settings: dict[str, Any] = {
            "root": None if root is None else str(root),
            "frames": 8,
            "geometry": Geometry(height=40, width=64, crop=32, random_crop=True, flip=0.5),
            "augment": NoAugmentation(),
            "voters": 0,
            "batch_size": 4,
            "workers": 0,
            "target": "score",
        }
        return open_node(config("data=aqa7").data, **settings | changes)

    return build


@pytest.fixture
def aqa7_tree(tmp_path: Path) -> Callable[..., Path]:
    """`aqa7_tree(...)` writes a small data set in the AQA-7 layout and returns its folder."""

    def write(train: int = 6, test: int = 4, frames: int = 16, size: tuple[int, int] = (40, 64)) -> Path:
        return write_aqa7(tmp_path / "aqa7", train, test, frames, size)

    return write
