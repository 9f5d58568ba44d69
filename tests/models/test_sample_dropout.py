"""Dropout by video: its share, what a draw depends on, and what it does not."""

import pytest
import torch
from torch import nn

from swapaqa.models.sample_dropout import SampleDropout, dropout_by_video
from swapaqa.models.transformer import Transformer

POSITION = torch.tensor([7, 3, 40, 11])


def drawn(position: torch.Tensor, epoch: int = 2, share: float = 0.3, places: int = 1) -> torch.Tensor:
    """(N, 50, 40) ones after the last of so many places."""
    layer, ones = SampleDropout(share), torch.ones(len(position), 50, 40)
    with dropout_by_video(position, epoch):
        return [layer(ones) for _ in range(places)][-1]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_so_many_elements_are_zero_and_the_mean_stays(share: float) -> None:
    values = drawn(torch.arange(20), share=share)
    assert values.unique().tolist() == pytest.approx([0, 1 / (1 - share)])
    zeros = (values == 0).double()
    assert zeros.mean().item() == pytest.approx(share, abs=0.01)
    for axis in ((1, 2), (0, 2), (0, 1)):  # none of the axes has a pattern
        assert zeros.mean(dim=axis).std().item() < 3 * (share * (1 - share) / (zeros.numel() / zeros.shape[0])) ** 0.5


def test_a_video_draws_the_same_in_any_batch() -> None:
    whole = drawn(POSITION)
    assert torch.equal(drawn(POSITION.flip(0)), whole.flip(0))
    assert torch.equal(drawn(POSITION[1:2]), whole[1:2])


def test_another_video_epoch_place_and_seed_draw_otherwise() -> None:
    torch.manual_seed(5)
    found = [drawn(POSITION), drawn(POSITION, epoch=3), drawn(POSITION, places=2), drawn(POSITION + 1)]
    torch.manual_seed(6)
    found.append(drawn(POSITION))
    rows = [row for one in found for row in (one == 0).flatten(1).double()]
    correlation = torch.corrcoef(torch.stack(rows))
    assert (correlation - torch.eye(len(rows))).abs().max() < 0.12  # 2000 elements: five deviations


def test_no_number_is_drawn_from_pytorch() -> None:
    before = torch.get_rng_state()
    drawn(POSITION)
    assert torch.equal(torch.get_rng_state(), before)


def test_outside_of_a_pass_it_is_pytorchs_and_in_evaluation_nothing() -> None:
    values = torch.ones(4, 100)
    layer, theirs = SampleDropout(0.5), nn.Dropout(0.5)
    torch.manual_seed(0)
    found = layer(values)
    torch.manual_seed(0)
    assert torch.equal(found, theirs(values))
    with dropout_by_video(POSITION, 0):
        assert torch.equal(layer.eval()(values), values)


def test_the_attention_weights_are_thinned_too() -> None:
    """As PyTorch's: all of its places draw, one of them of (heads, queries, keys)."""
    torch.manual_seed(0)
    model = Transformer(8, 2, 1, 1, 0.5)
    shapes = []
    for layer in model.modules():
        if isinstance(layer, SampleDropout):
            layer.register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape[1:])))
    with dropout_by_video(POSITION, 0):
        model(torch.rand(4, 5, 8), torch.rand(4, 3, 8))
    encoder = [(2, 5, 5), (5, 8), (5, 24), (5, 8)]
    decoder = [(2, 3, 3), (3, 8), (2, 3, 5), (3, 8), (3, 24), (3, 8)]
    assert shapes == encoder + decoder
