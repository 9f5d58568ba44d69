"""Optimisers and how their rates change: against torch's own schedulers, in a training, and over an interruption."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig
from pytorch_lightning import Trainer
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, StepLR
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader

from swapaqa.batch import Encoded, Sample
from swapaqa.errors import InputError
from swapaqa.models.optimisation import Optimisation
from swapaqa.models.rates import Progress, cosine_of_epochs, step_decay, warmup, warmup_cosine
from swapaqa.models.scorer import Predicted, Scorer
from swapaqa.models.tiny import TinyBackbone
from tests.made_videos import encoder, made_sample, plan

Config = Callable[..., DictConfig]

RATES = {"learning_rate": 0.1, "backbone_learning_rate": 0.01, "weight_decay": 0.0}


def two_groups() -> dict[str, list[Parameter]]:
    return {name: [Parameter(torch.ones(2))] for name in ("head", "backbone")}


# how rates change


def test_a_rise_is_rica2s() -> None:
    """0 at the first step, the whole rate at the last of the rise, as its scheduler counts."""
    shares = [warmup(Progress(step, steps=40, steps_per_epoch=4), epochs=1.5) for step in range(9)]
    assert shares == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
    assert [warmup(Progress(step, steps=40, steps_per_epoch=4), epochs=0) for step in (0, 1)] == [1, 1]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (partial(warmup_cosine, end=0.01, every="epoch"), lambda o: CosineAnnealingLR(o, 20, eta_min=0.1 * 0.01)),
        (partial(cosine_of_epochs, period=22, end=0.01), lambda o: CosineAnnealingLR(o, 22, eta_min=0.1 * 0.01)),
        (partial(step_decay, epochs=5, factor=0.5), lambda o: StepLR(o, 5, gamma=0.5)),
        (partial(step_decay, epochs=[3, 4, 11], factor=0.1), lambda o: MultiStepLR(o, [3, 4, 11], gamma=0.1)),
    ],
    ids=["cosine", "cosine of a period", "every five epochs", "at epochs"],
)
def test_shares_by_the_epoch_are_those_of_torch(
    ours: Callable[[Progress], float], theirs: Callable[[Optimizer], LRScheduler]
) -> None:
    optimizer = SGD([Parameter(torch.zeros(1))], lr=0.1)
    scheduler = theirs(optimizer)
    for epoch in range(20):
        for step in range(7 * epoch, 7 * epoch + 7):
            share = ours(Progress(step, steps=140, steps_per_epoch=7))
            assert 0.1 * share == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        scheduler.step()


def test_a_rise_and_a_cosine_by_hand() -> None:
    shares = [warmup_cosine(Progress(step, 13, 4), warmup_epochs=0.5, warmup_steps=1, end=0.2) for step in range(14)]
    assert shares[:4] == [1 / 4, 2 / 4, 3 / 4, 1.0]
    assert shares[8] == pytest.approx(0.2 + 0.8 * 0.5)  # half of the ten steps that follow the rise
    assert shares[4] == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 10)) / 2)
    assert shares[13] == pytest.approx(0.2)
    assert warmup_cosine(Progress(50, 13, 4), end=0.2) == pytest.approx(0.2)  # stays there


def test_a_rise_is_by_the_step_even_where_the_cosine_is_by_the_epoch() -> None:
    shares = [warmup_cosine(Progress(step, 12, 4), warmup_epochs=1, every="epoch") for step in range(12)]
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, *[1.0] * 4, *[0.5] * 4])


def test_a_cosine_needs_an_end() -> None:
    with pytest.raises(InputError, match=r"trainer\.max_epochs="):
        warmup_cosine(Progress(0, math.inf, 4))


# groups


def test_groups_have_their_rates_names_and_options() -> None:
    parameters = two_groups() | {"graph": [Parameter(torch.ones(1))]}
    made = Optimisation(Adam, 0.1, 0.01, 0.5, groups={"graph": {"lr": 1.0, "weight_decay": 0.0}})
    keys = ("name", "lr", "weight_decay")
    groups = [tuple(group[key] for key in keys) for group in made.make_optimizer(parameters).param_groups]
    assert groups == [("head", 0.1, 0.5), ("backbone", 0.01, 0.5), ("graph", 1.0, 0.0)]
    from_nothing = made.make_optimizer(parameters, own_rate=0.002).param_groups
    assert [group["lr"] for group in from_nothing] == [0.1, 0.002, 1.0]
    with pytest.raises(InputError, match=r"optim\.groups\.graph: no such group; the method has head, backbone"):
        made.make_optimizer(two_groups())


class Plain(Optimizer):
    """Somebody's optimiser, which knows nothing of kernels."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})


@pytest.mark.parametrize(
    ("optimizer", "precision", "fused"),
    [
        (Adam, "32-true", True),
        (SGD, "32-true", True),
        (Adam, "16-mixed", None),
        (partial(Adam, fused=False), "32-true", False),
        (Plain, "32-true", None),
    ],
)
def test_one_kernel_where_it_can_be(optimizer: Callable[..., Optimizer], precision: str, fused: bool | None) -> None:
    trainer: Any = SimpleNamespace(precision=precision)
    made = Optimisation(optimizer, **RATES).configure(two_groups(), None, trainer)
    assert made.defaults.get("fused") is fused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learning_rate": -1.0}, r"optim\.learning_rate=-1\.0.* none may be negative"),
        ({"weight_decay": -1.0}, r"optim\.weight_decay=-1\.0"),
        ({"optimizer": partial(Adam, eps=0.0)}, r"optim\.optimizer\.eps=0"),
        ({"optimizer": partial(Adam, betas=[0.9, 1.5])}, r"optim\.optimizer: Invalid beta"),
        ({"optimizer": partial(SGD, nesterov=True)}, r"optim\.optimizer: Nesterov"),
        ({"optimizer": partial(SGD, lr=3.0)}, r"optim\.optimizer\.lr: .*optim\.learning_rate"),
        ({"groups": {"head": {"weight_decai": 0.0}}}, r"optim\.groups\.head\.weight_decai: no such option"),
        ({"groups": {"head": {"lr": -1.0}}}, r"optim\.groups\.head\.lr=-1\.0: none may be negative"),
        ({"lr_schedule": partial(warmup_cosine, end=-0.1)}, r"optim\.lr_schedule: gives -0\.1"),
        ({"lr_schedule": partial(warmup_cosine, warmup_steps=-1)}, r"optim\.lr_schedule: .* negative"),
        ({"lr_schedule": partial(StepLR, step_size=5)}, r"optim\.lr_schedule: .*swapaqa\.models\.rates is needed"),
        ({"lr_schedule": partial(step_decay, epochs=0, factor=0.5)}, r"optim\.lr_schedule: .*zero"),
    ],
)
def test_what_trains_nothing_is_refused_in_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        Optimisation(**{"optimizer": SGD} | RATES | options)
    assert "\n" not in str(refused.value)


# in a training


class Tiny(Scorer):
    """Least squares of videos alone."""

    def __init__(self) -> None:
        super().__init__(encoder(TinyBackbone(2), plan(8, 8), freeze_bn=False))
        self.head = nn.Linear(self.encoder.feature_size, 1)

    def training_step(self, batch: Sample) -> Tensor:
        return self.losses(*self.encode_batch(batch))["squared_error"]

    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:  # noqa: ARG002
        return {"squared_error": (self.head(videos.mean_feature) - 1).square().mean()}

    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:
        raise NotImplementedError


def videos() -> DataLoader:
    drawn = torch.randint(0, 256, (5, 2, 3, 8, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return DataLoader([made_sample(video) for video in drawn], batch_size=None, shuffle=False)


def fit(model: Scorer, folder: Path, resumed: Path | None = None, **more: Any) -> list[list[float]]:
    """Five batches an epoch, three steps. The rates with which each step was made."""
    rates: list[list[float]] = []

    def seen(optimizer: Optimizer, *_: Any) -> None:
        rates.append([group["lr"] for group in optimizer.param_groups])

    trainer = Trainer(
        **{"max_epochs": 4} | more, accumulate_grad_batches=2, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    handle = register_optimizer_step_pre_hook(seen)
    try:
        trainer.fit(model, videos(), ckpt_path=resumed, weights_only=True)
    finally:
        handle.remove()
    return rates


def tiny(config: Config, *words: str) -> Tiny:
    torch.manual_seed(0)
    model = Tiny().double()
    model.optimisation = hydra.utils.instantiate(config(*words).optim, _convert_="all")
    return model


WARM = ("optim=adamw_warmup", "optim.lr_schedule.warmup_epochs=1")


def test_both_groups_follow_the_schedule_by_the_optimisers_step(config: Config, tmp_path: Path) -> None:
    rates = fit(tiny(config, *WARM), tmp_path)
    shares = [warmup_cosine(Progress(step, 12, 3), warmup_epochs=1, end=0.01) for step in range(12)]
    assert rates == [pytest.approx([1e-4 * share, 1e-5 * share]) for share in shares]
    short = fit(tiny(config, *WARM), tmp_path, max_epochs=-1, max_steps=5)
    shares = [warmup_cosine(Progress(step, 5, 3), warmup_epochs=1, end=0.01) for step in range(5)]
    assert short == [pytest.approx([1e-4 * share, 1e-5 * share]) for share in shares]


def test_without_a_schedule_rates_are_constant(config: Config, tmp_path: Path) -> None:
    optim = config("optim=core").optim
    assert fit(tiny(config, "optim=core"), tmp_path) == 12 * [[optim.learning_rate, optim.backbone_learning_rate]]


def test_a_training_without_a_length_is_refused_where_the_schedule_needs_one(config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trainer\.max_epochs="):
        fit(tiny(config, "optim=sgd_cosine"), tmp_path, max_epochs=-1, max_time="00:00:00:05")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("optim=core",), id="core", marks=pytest.mark.slow),
        pytest.param(("optim=sgd_cosine",), id="cosine", marks=pytest.mark.slow),
        pytest.param(WARM, id="warm"),
    ],
)
def test_a_resumed_training_ends_bit_for_bit(words: tuple[str, ...], config: Config, tmp_path: Path) -> None:
    whole = tiny(config, *words)
    rates = fit(whole, tmp_path)
    first = tiny(config, *words)

    def cut() -> None:
        if first.current_epoch == 1:
            first.trainer.save_checkpoint(tmp_path / "cut.ckpt")

    first.on_train_epoch_end = cut  # type: ignore[method-assign]
    fit(first, tmp_path)
    again = tiny(config, *words)
    assert fit(again, tmp_path, tmp_path / "cut.ckpt") == rates[6:]
    for name, weight in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name


def test_a_model_that_nobody_told_how_to_train_says_so() -> None:
    with pytest.raises(InputError, match="optimisation"):
        Tiny().configure_optimizers()
