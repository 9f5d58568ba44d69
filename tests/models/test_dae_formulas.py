"""DAE: the likelihood and its optimum, sampling, calibration, DAE-MT, and the tree of DAE-CoRe."""

import math

import pytest
import torch
from torch import Tensor

from swapaqa.models.dae_core import GaussianRegressionTree, decode_relative_std, gaussian_tree_loss
from swapaqa.models.gaussian_score import (
    GaussianHead,
    calibrated_std,
    gaussian_likelihood_loss,
    likelihood_terms,
    sample_score,
    scale_by_difficulty,
    squared_error_pair_loss,
)
from swapaqa.models.score_groups import decode_relative_score
from swapaqa.models.tree_loss import contrastive_tree_loss

GROUPS = torch.tensor([[-10, -3], [-3, 0], [0, 3], [3, 10]], dtype=torch.float64)


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_parameters_and_first_prediction_of_the_head() -> None:
    head = GaussianHead(1024, initial_mean=70.0)
    assert sum(parameter.numel() for parameter in head.parameters()) == 295_554
    mean, log_variance = head(torch.randn(5, 1024))
    assert mean.shape == log_variance.shape == (5,)
    assert (mean - 70).abs().max() < 2
    assert log_variance.abs().max() < 1
    with torch.no_grad():
        head.log_variance.bias.fill_(50)
    assert head(torch.randn(5, 1024))[1].tolist() == [10] * 5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert {output.dtype for output in head(torch.randn(5, 1024))} == {torch.float32}


@pytest.mark.parametrize(("variance", "loss"), [(25.0, 1.887550), (37.5, 1.849736)])
def test_values_of_the_likelihood_loss(variance: float, loss: float) -> None:
    value = gaussian_likelihood_loss(double(75), double(math.log(variance)), double(80))
    assert value.item() == pytest.approx(loss, abs=5e-7)


def test_equal_weights_are_the_exact_likelihood() -> None:
    mean, log_variance, target = double(75, 60), double(3.0, 1.0), double(80, 58.5)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    exact = -normal.log_prob(target).mean() - math.log(2 * math.pi) / 2
    loss = gaussian_likelihood_loss(mean, log_variance, target, alpha=0.5, beta=0.5)
    torch.testing.assert_close(loss, exact)


def test_the_learned_variance_is_one_and_a_half_times_the_squared_error() -> None:
    log_variance = double(math.log(37.5)).requires_grad_()
    gaussian_likelihood_loss(double(75), log_variance, double(80)).backward()
    assert log_variance.grad.item() == pytest.approx(0, abs=1e-12)
    assert calibrated_std(log_variance.detach()).item() == pytest.approx(5)
    assert calibrated_std(double(0)).item() == pytest.approx(0.8165, abs=5e-5)


def test_rescaling_the_target_only_shifts_the_variance() -> None:
    mean, log_variance, target = double(75, 60), double(3.0, 1.0), double(80, 58.5)
    small = gaussian_likelihood_loss(mean / 100, log_variance - 2 * math.log(100), target / 100)
    shift = 0.4 * 2 * math.log(100)
    assert small.item() + shift == pytest.approx(gaussian_likelihood_loss(mean, log_variance, target).item())


def test_samples_have_the_predicted_spread() -> None:
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sample = sample_score(double(75), double(math.log(25.0)), noise)
    assert sample.mean().item() == pytest.approx(75, abs=0.05)
    assert sample.std().item() == pytest.approx(5, abs=0.05)


def test_published_pair_loss_has_the_expectation_that_drives_the_variance_to_zero() -> None:
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, log_variance, target = (
        double(75).expand(200_000),
        double(math.log(25.0)),
        double(78).expand(200_000),
    )
    loss = squared_error_pair_loss(mean, sample_score(mean, log_variance, noise), target)
    assert loss.item() / 200_000 == pytest.approx(2 * 9 + 25, rel=0.01)
    summed = squared_error_pair_loss(double(1, 2), double(2, 2), double(0, 0))
    assert summed.item() == (4 + 4) + (1 + 4)


def test_difficulty_leaves_the_gradients_as_on_completeness() -> None:
    """DAE-MT: the loss against the final score is that against the completeness plus 2 beta ln d."""
    difficulty, score = double(3.2, 1.5), double(88, 40)
    gradients, losses = [], []
    for scaled in (True, False):
        mean, log_variance = double(25, 28).requires_grad_(), double(1.0, 0.5).requires_grad_()
        if scaled:
            loss = gaussian_likelihood_loss(*scale_by_difficulty(mean, log_variance, difficulty), score)
        else:
            loss = gaussian_likelihood_loss(mean, log_variance, score / difficulty)
        gradients.append(torch.autograd.grad(loss, (mean, log_variance)))
        losses.append(loss.item())
    torch.testing.assert_close(gradients[0], gradients[1])
    assert losses[0] - losses[1] == pytest.approx(2 * 0.4 * difficulty.log().mean().item())


def test_tree_of_gaussians() -> None:
    tree = GaussianRegressionTree(33, 16, 5)
    log_prob, offset, log_variance = tree(torch.randn(4, 33))
    assert log_prob.shape == offset.shape == log_variance.shape == (4, 16)
    full = GaussianRegressionTree(2049, 256, 5)
    assert sum(parameter.numel() for parameter in full.parameters()) == 2_510_382 + 16 * 257


def test_loss_of_the_tree_is_the_likelihood_on_the_owning_leaf() -> None:
    generator = torch.Generator().manual_seed(1)
    log_prob, offset, log_variance = torch.randn(3, 6, 4, generator=generator, dtype=torch.float64)
    log_prob, delta = log_prob.log_softmax(dim=1), double(1, 1.5, -4, -1, -1.5, 4)
    loss = gaussian_tree_loss(log_prob, offset, log_variance, delta, GROUPS)
    leaf, label = [2, 2, 0, 1, 1, 3], double(1 / 3, 1 / 2, 6 / 7, 2 / 3, 1 / 2, 1 / 7)
    terms = likelihood_terms(offset[range(6), leaf], log_variance[range(6), leaf], label)
    expected = (terms[0] + terms[1]) / 2 + terms[2] + (terms[3] + terms[4]) / 2 + terms[5]
    torch.testing.assert_close(loss["regression"], expected, rtol=0, atol=1e-4)  # labels of rounded differences
    core = contrastive_tree_loss(log_prob, offset, delta, GROUPS)
    torch.testing.assert_close(loss["classification"], core["classification"])
    unit = gaussian_tree_loss(log_prob, offset, torch.zeros_like(offset), delta, GROUPS)
    torch.testing.assert_close(unit["regression"], 0.6 * core["regression"])


def test_decoded_spread_is_that_of_the_decoded_leaf() -> None:
    log_prob = torch.tensor([[0.1, 0.1, 0.1, 0.7], [0.1, 0.6, 0.2, 0.1]]).log()
    log_variance = torch.zeros(2, 4)
    std = decode_relative_std(log_prob, log_variance, GROUPS)
    torch.testing.assert_close(std, double(7, 3) * (2 / 3) ** 0.5, rtol=1e-6, atol=0)
    per_sample = decode_relative_std(log_prob, log_variance, torch.stack([GROUPS, 2 * GROUPS]))
    torch.testing.assert_close(per_sample, double(7, 6) * (2 / 3) ** 0.5, rtol=1e-6, atol=0)
    empty = torch.zeros(4, 2, dtype=torch.float64)
    assert decode_relative_std(log_prob, log_variance, empty)[0].item() == pytest.approx((2 / 3) ** 0.5)
    assert decode_relative_score(log_prob, log_variance, GROUPS).tolist() == [3, -3]
