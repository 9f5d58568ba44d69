"""A detector of the demo's athlete in an ONNX file: a few hand-set convolutions in the layout of YOLOv8.

The demo's suits are red and nothing else is: red less green and blue, summed over a torso, is the score. `onnx` is no
dependency, so the file is written by the writer inside of torch, whose public exporter only asks for `onnx` to check.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.onnx import OperatorExportTypes
from torch.onnx._internal.torchscript_exporter import utils

STRIDE, TORSO, SIDE = 2, 7, 13  # pixels of the demo's frames


class TinyDetector(nn.Module):
    """(1, 3, S, S) RGB from 0 to 1 -> (1, 4 + 2, N): a box around each cell, scores of a person and of nothing."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.redness = nn.Conv2d(3, 1, TORSO, stride=STRIDE, padding=TORSO // 2)
        weight = torch.tensor([1.0, -0.6, -0.6])[None, :, None, None].expand(1, 3, TORSO, TORSO)
        self.redness.weight = nn.Parameter(weight / TORSO**2)
        self.redness.bias = nn.Parameter(torch.zeros(1))
        count = self.redness(torch.zeros(1, 3, size, size)).shape[-1]
        middles = torch.arange(count) * STRIDE + 0.5
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        side = torch.full((count * count,), float(SIDE))
        self.register_buffer("boxes", torch.stack([x.flatten(), y.flatten(), side, side])[None])

    def forward(self, pictures: Tensor) -> Tensor:
        score = torch.sigmoid(25 * self.redness(pictures) - 2).flatten(2)
        return torch.cat([self.boxes, score, 0 * score], dim=1)


class TinySegmenter(TinyDetector):
    """As the layout of YOLOv8-seg: 32 values a box beside, and 32 pictures; the first picture is what is red."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        found = super().forward(pictures)
        first = torch.cat([torch.ones_like(found[:, :1]), torch.zeros_like(found[:, :1]).expand(-1, 31, -1)], dim=1)
        red = pictures[:, :1] - pictures[:, 1:2] - 0.1
        return torch.cat([found, first], dim=1), red.expand(-1, 32, -1, -1) * 1.0


def write_detector(path: Path, size: int = 64) -> Path:
    """Write the tiny detector for pictures of `size` pixels a side."""
    return write_network(path, TinyDetector(size).eval(), torch.zeros(1, 3, size, size))


def write_network(path: Path, network: nn.Module, example: Tensor) -> Path:
    """Write any network of one input as ONNX."""
    graph, parameters, _ = utils._model_to_graph(network, (example,))
    written = graph._export_onnx(parameters, 17, {}, False, OperatorExportTypes.ONNX, False, True, {}, True, "", {})
    path.write_bytes(written[0])
    return path
