"""Runs on several devices: the batch beside the published one, and every line of the docs that starts such a run."""

import re
import shlex
from collections.abc import Callable

import pytest
from omegaconf import DictConfig, open_dict

from swapaqa.configuration.checking import check
from swapaqa.data.sampler import KeyedPermutation, WholeBatches
from swapaqa.errors import InputError
from swapaqa.running.devices import per_node
from swapaqa.running.scaling import scale
from tests.forked import REPOSITORY

Config = Callable[..., DictConfig]

METHODS = [f"model={path.stem}" for path in sorted((REPOSITORY / "conf" / "model").glob("*.yaml"))]
PRESETS = [f"experiment={name}" for name in ("core_as_published", "sbs_as_published", "core_mtl_aqa", "sbs_mtl_aqa")]
DOCS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
OVERRIDE = re.compile(r"[+~]*[a-z_][\w./@]*=\S+")


@pytest.mark.parametrize(
    ("published", "processes", "expected"),
    [
        ((2, 2), 1, (2, 2, 1.0)),
        ((2, 2), 2, (2, 2, 1.0)),  # as published
        ((2, 2), 4, (4, 1, 1.0)),  # as many videos a step
        ((2, 2), 8, (8, 1, 2.0)),
        ((2, 2), 3, (6, 1, 1.5)),
        ((2, 2), 16, (16, 1, 4.0)),
        ((1, 2), 2, (2, 1, 1.0)),
        ((1, 2), 4, (4, 1, 2.0)),
        ((4, 1), 4, (4, 1, 1.0)),
        ((4, 1), 8, (8, 1, 2.0)),
        ((8, 1), 8, (8, 1, 1.0)),
        ((2, 6), 4, (4, 3, 1.0)),
        ((2, 3), 4, (8, 1, 8 / 6)),
    ],
)
def test_the_batch_for_so_many_processes(
    published: tuple[int, int], processes: int, expected: tuple[int, int, float]
) -> None:
    assert scale(*published, processes) == expected


@pytest.mark.parametrize("processes", [1, 4, 8])
@pytest.mark.parametrize("name", METHODS + PRESETS)
def test_every_method_and_preset_scales(name: str, processes: int, config: Config) -> None:
    data = [] if name.startswith("experiment") else ["data=mtl_aqa"]
    alone = config(name, *data, "trainer.devices=1")
    composed = config(name, *data, f"trainer.devices={processes}", "batch=scaled")
    batch, accumulate = alone.data.batch_size, alone.trainer.accumulate_grad_batches
    whole, steps, factor = scale(batch, accumulate, processes)
    assert (composed.data.batch_size, composed.trainer.accumulate_grad_batches) == (whole, steps)
    assert whole * steps == pytest.approx(batch * accumulate * factor)
    assert composed.optim.learning_rate == pytest.approx(alone.optim.learning_rate * factor)
    assert composed.optim.backbone_learning_rate == pytest.approx(alone.optim.backbone_learning_rate * factor)
    accepted(composed)


def test_what_the_command_line_says_wins(config: Config) -> None:
    given = ["trainer.devices=8", "batch=scaled", "data.batch_size=16", "optim.learning_rate=0.5", "data=aqa7"]
    composed = config(*given)
    assert (composed.data.batch_size, composed.optim.learning_rate) == (16, 0.5)
    assert composed.optim.backbone_learning_rate == pytest.approx(2e-4)


def test_the_demo_has_a_batch_of_its_own(config: Config) -> None:
    assert (config().data.batch_size, config().trainer.accumulate_grad_batches) == (8, 1)
    on_four = config("trainer.devices=4", "batch=scaled")
    assert (on_four.data.batch_size, on_four.trainer.accumulate_grad_batches) == (8, 1)


def test_nodes_and_lists_of_devices_count(config: Config) -> None:
    two_nodes = config("data=aqa7", "trainer.devices=8", "trainer.num_nodes=2", "batch=scaled")
    assert two_nodes.data.batch_size == 16
    assert config("data=aqa7", "trainer.devices=[0,1,2,3]", "batch=scaled").data.batch_size == 4


def accepted(composed: DictConfig) -> None:
    """As at the start of a training: the check, and a batch that divides."""
    with open_dict(composed):
        composed.name = "a_run"
        if "save_dir" in composed.logger:
            composed.logger.save_dir = "somewhere"
    check(composed)
    processes = per_node(composed.trainer) * composed.trainer.num_nodes
    WholeBatches(KeyedPermutation(100, 0), composed.data.batch_size, rank=processes - 1, world_size=processes)


def documented() -> dict[str, str]:
    """Every command and every `fragment` of the docs that sets the devices or nodes of a training, and its page."""
    found = {}
    for path in DOCS:
        parts = path.read_text().split("```")
        commands = re.sub(r"\\\n", " ", "\n".join(parts[1::2])).splitlines()
        fragments = re.findall(r"`([^`\n]+)`", "\n".join(parts[::2]))
        lines = (line for line in (*commands, *fragments) if re.search(r"trainer\.(devices|num_nodes)=", line))
        found |= dict.fromkeys(lines, path.name)
    return found


def test_the_docs_have_such_lines() -> None:
    assert {"commands.md", "cluster.md", "runs.md"} <= set(documented().values())


@pytest.mark.parametrize("line", documented())
def test_every_documented_line_starts(line: str, config: Config) -> None:
    words = [word for word in shlex.split(line.partition(" #")[0]) if OVERRIDE.fullmatch(word)]
    accepted(config(*(word for word in words if not word.startswith(("hydra", "resume=")))))


def test_a_batch_that_does_not_divide_names_the_line_that_works(config: Config) -> None:
    composed = config("data=aqa7", "trainer.devices=8")
    with pytest.raises(InputError, match=r"data\.batch_size=2 .* 8; say batch=scaled .* or data\.batch_size=8"):
        accepted(composed)
    accepted(config("data=aqa7", "trainer.devices=8", "batch=scaled"))
    accepted(config("data=aqa7", "trainer.devices=8", "data.batch_size=8"))


def test_the_table_of_the_docs_is_the_rule() -> None:
    page = (REPOSITORY / "docs" / "cluster.md").read_text()
    cell = r"(\d+) x (\d+), ([\d.]+) \|"
    rows = re.findall(rf"^\|.*\| (\d+) x (\d+) = \d+ \| {cell} {cell}$", page, re.MULTILINE)
    assert len(rows) == 9
    for row in rows:
        batch, accumulate, *rest = map(float, row)
        found = [*scale(int(batch), int(accumulate), 4), *scale(int(batch), int(accumulate), 8)]
        assert found == pytest.approx(rest, abs=0.005)
