"""Several processes train and evaluate as one does: the same videos, exemplars and donors, the same losses and scores.

On the CPU with gloo. One evaluation is started as users start it, by torchrun (`test_multirun.py` trains so); the
others have what torchrun says in their environment. Training is compared in float64: Adam divides small gradients by
their own size, so that the rounding of float32 in sums of another order grows with the steps.
"""

# ruff: noqa: ARG002  the signatures are Lightning's

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hydra import compose, initialize_config_dir
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything

from swapaqa.batch import Pair, Sample
from swapaqa.configuration.data_sets import make_data
from swapaqa.console import quieten
from swapaqa.models.i3d import I3D
from swapaqa.running import resolvers
from swapaqa.running.training import build_model
from tests.forked import Forked, run_forked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a dozen processes; about a minute on two idle cores

REPOSITORY = Path(__file__).parents[1]
SMALL = (
    *(f"data.settings.{split}={count}" for split, count in (("train", 20), ("test", 2), ("shifted", 2))),
    *("data.geometry.height=40", "data.geometry.width=40", "data.geometry.crop=32", "data.geometry.random_crop=true"),
    *("aug.pool=global", "data.batch_size=8", "backbone.network.width=4", "trainer.accelerator=cpu"),
    "data.video_reader=opencv",  # which starts faster on videos this short
    *("name=small", "logger=csv", "logger.save_dir=.", "logger.name=x"),  # which only a run has
)
COUPLED = "a loss over all videos of the batch"
LONG, SHORT = 30, 4  # steps; an epoch has three, the last with half of the videos
TRAININGS = {  # by name: steps, precision and overrides
    "core": (LONG, "64-true", ["model=core", "model.hidden_features=32"]),
    "core clip by clip": (SHORT, "64-true", ["model=core", "model.hidden_features=32", "backbone.clips_per_pass=1"]),
    "core in float32": (SHORT, "32-true", ["model=core", "model.hidden_features=32"]),
    "dae_core": (SHORT, "64-true", ["model=dae_core", "model.hidden_features=32"]),
    "usdl": (SHORT, "64-true", ["model=usdl"]),
    "musdl": (SHORT, "64-true", ["model=musdl"]),
    "dae": (SHORT, "64-true", ["model=dae"]),
    "dae by its published loss": (
        SHORT, "64-true",
        ["model=dae", "model.loss=squared_error_pair", "model.predict=sample", "model.initial_mean=0.0"],
    ),
    "dae_mt": (SHORT, "64-true", ["model=dae_mt"]),
    "hgcn": (SHORT, "64-true", ["model=hgcn", "model.groups=2"]),
    "gdlt": (SHORT, "64-true", ["model=gdlt", "model.width=16", "optim.learning_rate=1e-3"]),
    "cofinal": (SHORT, "64-true", ["model=cofinal", "model.width=16", "optim.learning_rate=1e-3"]),
    "cofinal as published": (
        SHORT, "64-true",
        ["model=cofinal", "model.width=16", "model.fine_attention=videos", "optim.learning_rate=1e-3"],
    ),
    "c3d_avg_mtl": (SHORT, "64-true", ["model=c3d_avg_mtl", "model.words=30"]),
    "i3d_mscadc": (  # by SGD: Adam divides the gradients of biases in front of BatchNorm, which are rounding alone
        SHORT, "64-true",
        ["model=i3d_mscadc", "model.words=30", "model.width=2", "optim=sgd_cosine", "optim.learning_rate=1e-4"],
    ),
    "c3d_lstm": (SHORT, "64-true", ["model=c3d_lstm", "model.hidden=16", "clips.frames=4", "clips.stride=4"]),
    "tpt": (SHORT, "64-true", ["model=tpt", "model.width=32"]),
    "rica2": (SHORT, "64-true", ["model=rica2", "model.width=16", "model.heads=2", "model.texts_width=12"]),
    "tecn": (SHORT, "64-true", ["model=tecn", "model.length=16", "model.width=32", "model.hidden=16"]),
    "pcln": (SHORT, "64-true", ["model=pcln", "model.length=16", "model.width=32", "model.hidden=16"]),
    "tsa": (  # by SGD, as i3d_mscadc
        SHORT, "64-true",
        ["model=tsa", "clips.size=32", "model.true_epochs=1", "optim=sgd_cosine", "optim.learning_rate=1e-4"],
    ),
    "jrg_rgb": (SHORT, "64-true", ["model=jrg_rgb"]),
    "msrn": (SHORT, "64-true", ["model=msrn", "model.density_power=1.0", "optim.learning_rate=1e-3"]),
    "t2cr": (SHORT, "64-true", ["model=t2cr", "clips.full.size=32", "clips.thin.size=32"]),
    "tsa_net": (SHORT, "64-true", ["model=tsa_net", "optim.learning_rate=1e-3"]),
    COUPLED: (SHORT, "64-true", ["model=core", "model.hidden_features=32", "model._target_=tests.coupled.Coupled"]),
}  # fmt: skip
EXACT = [name for name, (_, precision, _) in TRAININGS.items() if precision == "64-true"]


@dataclass
class Seen(Callback):
    """What one process trained on, step by step: its videos after the augmentation, and the losses."""

    rows: list[list[str]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    logged: list[float] = field(default_factory=list)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Sample | Pair, batch_idx: int
    ) -> None:
        samples = batch if isinstance(batch, Pair) else [batch]
        self.rows.append([" ".join(parts) for parts in zip(*map(described, samples), strict=True)])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(float(outputs["loss"]))
        self.logged.append(float(trainer.callback_metrics["train/loss_step"]))


def described(sample: Sample) -> list[str]:
    """By video: its id, and a digest of its augmented bytes and of its boxes."""
    columns = zip(sample.video_id, sample.video, sample.boxes, strict=True)
    return [f"{name} {digest(video.contiguous())} {digest(boxes.float())}" for name, video, boxes in columns]


def digest(values: torch.Tensor) -> str:
    return hashlib.sha1(values.numpy().tobytes()).hexdigest()[:12]


def train(name: str, world: int) -> tuple[Seen, dict[str, torch.Tensor]]:
    """Train as one of `world` processes; what was seen, and the weights afterwards."""
    steps, precision, overrides = TRAININGS[name]
    resolvers.register()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        cfg = compose("train", [*SMALL, f"trainer.precision={precision}", f"trainer.devices={world}", *overrides])
    seed_everything(cfg.seed, verbose=False)
    data = make_data(cfg.data)
    data.setup()
    model = build_model(cfg, data.training_labels())
    seen = Seen()
    trainer = hydra.utils.instantiate(cfg.trainer, _partial_=True)(
        strategy="ddp" if world > 1 else "auto", max_epochs=-1, max_steps=steps, limit_val_batches=0, callbacks=[seen],
        logger=False, enable_checkpointing=False, enable_progress_bar=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    return seen, {name: value.cpu() for name, value in model.state_dict().items()}


def train_all(folder: Path, rank: int, world: int) -> None:
    """One process: every training, one after the other; its file in `folder` says what it saw."""
    quieten()
    found = {}
    for name in TRAININGS:
        seen, weights = train(name, world)
        found[name] = {"rows": seen.rows, "losses": seen.losses, "logged": seen.logged, "weights": weights}
    torch.save(found, folder / f"{rank}.pt")


def environment(cache: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "PL_", "HYDRA"))}
    return kept | {"SWAPAQA_CACHE": str(cache), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def run_together(world: int, module: str, words: Sequence[str], cache: Path) -> None:
    """`python -m module words` as `world` processes, with the environment that torchrun gives them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    group = environment(cache) | {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "GROUP_RANK": "0"}
    group |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "one"}
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(world)]
    started = [Forked(module, words, group | rank) for rank in ranks]
    try:
        statuses = [process.wait(600) for process in started]
    finally:
        for process in started:
            process.kill()
    assert statuses == [0] * world, "\n".join(process.err.read_text()[-2000:] for process in started)


def torchrun(world: int, module: str, words: Sequence[str], cache: Path) -> None:
    """The same by torchrun. --standalone: on a port that is free."""
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}", "-m", module, *words]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY, env=environment(cache), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, demo_cache: Path) -> dict[int, list[dict[str, Any]]]:
    """By number of processes: what each of them saw."""
    folders = {world: tmp_path_factory.mktemp(f"{world}_processes") for world in (1, 2, 4)}
    with pytest.MonkeyPatch.context() as here:
        here.setenv("SWAPAQA_CACHE", str(demo_cache))
        train_all(folders[1], 0, 1)
    for world in (2, 4):
        run_together(world, "tests.test_many_processes", [str(folders[world])], demo_cache)
    return {world: [torch.load(path / f"{rank}.pt") for rank in range(world)] for world, path in folders.items()}


def interleaved(parts: Sequence[Sequence[str]]) -> list[str]:
    """The rows of one process, of which every one of several holds every n-th."""
    return [row for rows in zip(*parts, strict=True) for row in rows]


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("world", [2, 4])
def test_crops_exemplars_and_donors_are_those_of_one_process(name: str, world: int, trained) -> None:
    alone, steps = trained[1][0][name]["rows"], TRAININGS[name][0]
    shared = list(zip(*(process[name]["rows"] for process in trained[world]), strict=True))
    assert [interleaved(step) for step in shared] == alone
    assert [len(step) for step in alone] == ([8, 8, 4] * steps)[:steps]
    assert len({row for step in alone for row in step}) == sum(map(len, alone))  # drawn anew in every epoch


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("world", [2, 4])
def test_losses_and_weights_are_those_of_one_process(name: str, world: int, trained) -> None:
    alone, processes = trained[1][0][name], [process[name] for process in trained[world]]
    losses = torch.tensor([process["losses"] for process in processes], dtype=torch.float64).mean(dim=0)
    torch.testing.assert_close(losses, torch.tensor(alone["losses"], dtype=torch.float64), rtol=0, atol=1e-5)
    for process in processes:
        torch.testing.assert_close(process["logged"], alone["losses"], rtol=0, atol=1e-5)
        torch.testing.assert_close(process["weights"], alone["weights"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("world", [2, 4])
def test_a_loss_over_all_videos_of_the_batch_sees_those_of_other_processes(world: int, trained) -> None:
    """Every process has the whole loss. Three steps of whole batches and one of half a batch; BatchNorm included."""
    alone = trained[1][0][COUPLED]
    for process in (of_process[COUPLED] for of_process in trained[world]):
        torch.testing.assert_close(process["losses"], alone["losses"], rtol=0, atol=1e-5)
        torch.testing.assert_close(process["weights"], alone["weights"], rtol=0, atol=1e-12)
    assert alone["weights"]["norm.running_mean"].abs().max() > 1e-3  # it has moved


@pytest.mark.parametrize("world", [1, 2, 4])
def test_clip_by_clip_is_one_pass_over_all_clips(world: int, trained) -> None:
    """Also where processes exchange gradients, once a step and parameter."""
    whole = trained[1][0]["core"]["losses"][:SHORT]
    for process in trained[world]:
        torch.testing.assert_close(process["core clip by clip"]["logged"], whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("world", [2, 4])
def test_float32_starts_with_the_same_losses(world: int, trained) -> None:
    name = "core in float32"
    for process in trained[world]:
        torch.testing.assert_close(process[name]["logged"], trained[1][0][name]["logged"], rtol=0, atol=1e-5)


def test_every_weight_of_i3d_is_trained() -> None:
    """DDP refuses a weight without gradient, in its second step; the trainings above have the tiny backbone."""
    network = I3D()
    network(torch.zeros(1, 3, 16, 32, 32)).sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_a_checkpoint_has_the_same_scores_by_one_two_and_three_processes(
    tmp_path: Path, demo_cache: Path, small_demo: list[str], train_inside: Callable[..., Any]
) -> None:
    """Seven videos: neither two nor three processes share them evenly."""
    done = train_inside(tmp_path, *small_demo, "data.settings.test=7", "trainer.max_epochs=1", "model.voters=3")
    assert done.returncode == 0, done.stderr
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    words = {
        world: [f"checkpoint={checkpoint}", f"hydra.run.dir={tmp_path / str(world)}", f"trainer.devices={world}"]
        for world in (1, 2, 3)
    }
    several = ["trainer.accelerator=cpu", "trainer.strategy=ddp"]
    done = run_forked("src.evaluate", [*words[1], "trainer.accelerator=cpu"], environment(demo_cache))
    assert done.returncode == 0, done.stderr
    run_together(2, "src.evaluate", [*words[2], *several], demo_cache)
    torchrun(3, "src.evaluate", [*words[3], *several], demo_cache)
    found = {world: json.loads((tmp_path / str(world) / "result.json").read_text()) for world in (1, 2, 3)}
    assert [found[world]["world_size"] for world in found] == [1, 2, 3]
    alone = found[1]["predictions"]
    assert {split: len(rows) for split, rows in alone.items()} == {"test": 7, "shifted": 6}
    for world in (2, 3):
        for split, rows in found[world]["predictions"].items():
            assert rows == {video: pytest.approx(row, abs=1e-5) for video, row in alone[split].items()}
    probed = {1: ["trainer.accelerator=cpu"], 2: several}
    for world, how in probed.items():
        command = [*words[world], *how, "probe=background", "boxes=darklabel"]
        run_together(world, "src.evaluate", command, demo_cache)
    outcomes = [json.loads((tmp_path / str(world) / "probe.json").read_text())["splits"] for world in probed]
    assert outcomes[0] == nearly(outcomes[1])


def nearly(outcome: Any) -> Any:
    """The same structure, whose numbers may differ in the last digits."""
    if isinstance(outcome, dict):
        return {key: nearly(value) for key, value in outcome.items()}
    if isinstance(outcome, list):
        return [nearly(value) for value in outcome]
    return pytest.approx(outcome, rel=1e-3, abs=1e-4, nan_ok=True) if isinstance(outcome, float) else outcome


if __name__ == "__main__":  # a process of the training above
    train_all(Path(sys.argv[1]), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
