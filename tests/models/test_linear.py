"""Ridge and the linear SVR are at their optimum, whatever finds it; and they want features that stay."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.models.feature_encoder import FeatureEncoder
from swapaqa.models.linear import SVR, Ridge, ridge_line, svr_line
from swapaqa.models.tiny import TinyBackbone
from tests.made_videos import encoder, made_sample, noise


def table(videos: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(videos)
    features = torch.randn(videos, width, dtype=torch.float64, generator=generator) + 3
    labels = 50 + 8 * features[:, 0] - 4 * features[:, 1] + 2 * torch.randn(videos, generator=generator).double()
    return features, labels


@pytest.mark.parametrize("shape", [(30, 4), (6, 20)])
@pytest.mark.parametrize("penalty", [0.1, 100.0])
def test_ridge_is_the_normal_equations(shape: tuple[int, int], penalty: float) -> None:
    features, labels = table(*shape)
    weights, intercept = ridge_line(features, labels, penalty)
    wide = torch.cat([features, torch.ones(len(features), 1, dtype=torch.float64)], dim=1)
    cost = penalty * torch.diag(torch.tensor([*[1.0] * shape[1], 0.0], dtype=torch.float64))
    expected = torch.linalg.solve(wide.T @ wide + cost, wide.T @ labels)
    torch.testing.assert_close(torch.cat([weights, intercept[None]]), expected)


@pytest.mark.parametrize(("cost", "epsilon"), [(1.0, 0.5), (0.01, 2.0), (100.0, 0.0)])
def test_the_svr_has_no_gap_between_primal_and_dual(cost: float, epsilon: float) -> None:
    """No line near it is better, and its own objective is that of subgradient descent's limit."""
    features, labels = table(40, 5)
    weights, intercept = svr_line(features, labels, cost, epsilon)
    centre, middle = features.mean(dim=0), labels.median()

    def objective(line: Tensor) -> float:
        own = line[-1] - middle + line[:-1] @ centre  # the intercept that is penalised
        errors = (features @ line[:-1] + line[-1] - labels).abs()
        return float((line[:-1].square().sum() + own.square()) / 2 + cost * (errors - epsilon).relu().sum())

    line = torch.cat([weights, intercept[None]])
    best = objective(line)
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(200):
            other = line + scale * torch.randn(len(line), dtype=torch.float64, generator=generator)
            assert objective(other) > best - 1e-6 * abs(best)


def test_a_backbone_that_trains_is_refused() -> None:
    sample = made_sample(noise())
    for model in (Ridge(encoder(TinyBackbone(2)), 1.0), SVR(encoder(TinyBackbone(2)), 1.0, 0.1)):
        with pytest.raises(InputError, match="fits features that stay"):
            model.check_sample(sample)
    Ridge(FeatureEncoder(4), 1.0).check_sample(sample)


@pytest.mark.parametrize("values", [{"penalty": 0.0}, {"penalty": -1.0}])
def test_a_penalty_is_above_0(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"model\.penalty"):
        Ridge(FeatureEncoder(4), **values)


def test_ridge_on_the_real_table_has_the_known_correlation(real_data: Path) -> None:
    """0.852 at lambda 10^4 and 0.811 at 1 on the 70 test dives, as the table's description says."""
    found = np.load(real_data / "features/diving_p3d.npz")
    train = torch.from_numpy(found["split"] == "train")
    features, scores = torch.from_numpy(found["feature"]).double(), torch.from_numpy(found["score"])
    for penalty, expected in ((1e4, 0.852), (1.0, 0.811)):
        weights, intercept = ridge_line(features[train], scores[train], penalty)
        predicted = features[~train] @ weights + intercept
        assert spearmanr(predicted, scores[~train]).statistic == pytest.approx(expected, abs=5e-4)
