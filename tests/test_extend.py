"""What the docs say of extending from outside of the tree, installed from the page itself and run."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.nn import Parameter

from swapaqa.models.rates import Progress
from tests.forked import REPOSITORY, run_forked

Run = Callable[..., "CompletedProcess[str]"]

FILE = re.compile(r"^`(\S+)`:\n\n```(?:python|yaml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def installed(page: str, folder: Path) -> list[str]:
    """Writes the files of a page below `folder`; their names."""
    files = dict(FILE.findall((REPOSITORY / "docs" / page).read_text()))
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return list(files)


def test_the_optimiser_of_the_page_steps_as_its_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed("extend_optimiser.md", tmp_path) == ["my_optimisers/lion.py", "my_conf/optim/lion.yaml"]
    monkeypatch.syspath_prepend(tmp_path)
    made = OmegaConf.load(tmp_path / "my_conf" / "optim" / "lion.yaml")
    made.learning_rate = made.backbone_learning_rate = 0.1
    optimisation = instantiate(made, _convert_="all")
    head, backbone = Parameter(torch.tensor([1.0, 2.0])), Parameter(torch.tensor([3.0]))
    optimizer = optimisation.make_optimizer({"head": [head], "backbone": [backbone]})
    head.grad, backbone.grad = torch.tensor([4.0, -5.0]), torch.tensor([0.0])
    optimizer.step()
    torch.testing.assert_close(head.data, torch.tensor([0.99 - 0.1, 1.98 + 0.1]))  # 1 - 0.1 * 0.1, and a step of 0.1
    torch.testing.assert_close(backbone.data, torch.tensor([2.97]))
    assert optimisation.lr_schedule(Progress(5, 10, 2)) == pytest.approx(0.55)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_optimiser_of_the_page_trains_in_a_sweep_is_reported_and_needs_no_trust(
    tmp_path: Path,
    train_process: Run,
    train_environment: Callable[[Path], dict[str, str]],
    recipe_inside: Run,
    small_demo: list[str],
) -> None:
    installed("extend_optimiser.md", tmp_path)
    sweep = tmp_path / "lion"
    done = train_process(
        tmp_path, *small_demo, "optim=lion", "seed=0,1", f"hydra.sweep.dir={sweep}",
        f"hydra.searchpath=[file://.,file://{tmp_path / 'my_conf'}]", "--multirun",
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for job in ("0", "1"):
        found = json.loads((sweep / job / "result.json").read_text())
        assert found["config"]["optim"]["optimizer"]["_target_"] == "my_optimisers.lion.Lion"
        columns = next((sweep / job).rglob("metrics.csv")).read_text().splitlines()[0]
        assert "lr-Lion/head" in columns
    report = run_forked("src.report", ["show", str(sweep)], train_environment(tmp_path))
    assert report.returncode == 0, report.stderr
    assert (sweep / "report" / "index.html").is_file()
    evaluated = recipe_inside(  # the package is not there
        "evaluate", tmp_path / "evaluated", f"checkpoint={sweep}/0/checkpoints/last.ckpt"
    )
    assert evaluated.returncode == 0, evaluated.stderr
    result = json.loads((tmp_path / "evaluated" / "result.json").read_text())
    trained = json.loads((sweep / "0" / "result.json").read_text())
    assert {name: row[-1] for name, row in result["predictions"]["test"].items()} == pytest.approx(
        {name: row[-1] for name, row in trained["predictions"]["test"].items()}, abs=1e-6
    )
