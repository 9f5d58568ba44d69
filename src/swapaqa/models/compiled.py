"""A network through torch.compile where that works, and as it is where it does not."""

import logging
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from swapaqa.out_of_memory import is_out_of_memory

log = logging.getLogger(__name__)


class Compiled:
    """Calls `network` compiled; the first failure is said in one line, and from then on it is called as it is.

    Not a module, so that the names of the network's parameters stay what they are. What has to be compiled shows when
    it is called: with another device, type or number of dimensions, with or without gradients. Another batch size is
    compiled once more, for any.

    Args:
        network: (N, ...) -> (N, D).
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._failed = False
        self._tried = False  # whether a backward pass has been compiled

    def __call__(self, inputs: Tensor) -> Tensor:
        if self._failed:
            return cast(Tensor, self.network(inputs))
        try:
            if self._compiled is None:
                self._compiled = torch.compile(self._plain)
            if torch.is_grad_enabled() and not self._tried:
                self._try_backward(self._compiled, inputs)
            return self._compiled(inputs)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self._failed, self._compiled = True, None
            reason = " ".join(str(error).split())[:200]
            log.warning(
                "backbone.compile=true: torch.compile failed (%s: %s); the backbone runs without it",
                type(error).__name__, reason,
            )  # fmt: skip
            return cast(Tensor, self.network(inputs))

    def _plain(self, inputs: Tensor) -> Tensor:
        return cast(Tensor, self.network(inputs))

    def _try_backward(self, compiled: Callable[[Tensor], Tensor], inputs: Tensor) -> None:
        """One pass for nothing: what fails only in a backward pass would otherwise fail out of our reach."""
        parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        statistics = [buffer.clone() for buffer in self.network.buffers()]
        if parameters:
            torch.autograd.grad(compiled(inputs).sum(), parameters, allow_unused=True)
        with torch.no_grad():
            for buffer, before in zip(self.network.buffers(), statistics, strict=True):
                buffer.copy_(before)
        self._tried = True
