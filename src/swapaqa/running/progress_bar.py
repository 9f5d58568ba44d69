"""The bar of a training."""

import re

from pytorch_lightning.callbacks import RichProgressBar


class ProgressBar(RichProgressBar):
    """Lightning's, with epochs counted from 1 as in tables and files."""

    def _get_train_description(self, current_epoch: int) -> str:
        counted_from_0 = super()._get_train_description(current_epoch)  # Epoch 0/24
        return re.sub(r"\d+", lambda number: str(int(number[0]) + 1), counted_from_0)
