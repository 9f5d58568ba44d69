"""A head that learns to say what a commentator said of a video: S2VT (Venugopalan et al., ICCV 2015), as in MTL-AQA.

Two recurrent networks: the first reads the clips, the second what the first found, joined with the word before. Here
they learn beside a score and say nothing at test time (greedy decoding is not built). Dropout between layers draws by
video.
"""

import torch
from torch import Tensor, nn

from swapaqa.models.sample_dropout import SampleDropout

END = 0  # the number of the word that ends a caption, and of what follows it
LAYERS = 2


class Recurrent(nn.Module):
    """Two gated recurrent layers (Cho et al., 2014), with dropout between them."""

    def __init__(self, in_features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        sizes = [in_features, *(LAYERS - 1) * [hidden]]
        self.layers = nn.ModuleList(nn.GRU(size, hidden, batch_first=True) for size in sizes)
        self.dropout = SampleDropout(dropout)

    def forward(self, steps: Tensor) -> Tensor:
        """(N, t, in_features) -> (N, t, hidden)."""
        for number, layer in enumerate(self.layers):
            steps, _ = layer(self.dropout(steps) if number else steps)
        return steps


class CaptionHead(nn.Module):
    """S2VT (24,810,131 parameters as published, on features of 8192).

    Args:
        in_features: length of a clip's feature.
        words: of the vocabulary.
        hidden, word_size: of the recurrent networks, and of a word.
        dropout: between their layers.
    """

    def __init__(self, in_features: int, words: int, hidden: int, word_size: int, dropout: float) -> None:
        super().__init__()
        self.words, self.hidden, self.word_size = words, hidden, word_size
        self.watch = Recurrent(in_features, hidden, dropout)
        self.tell = Recurrent(hidden + word_size, hidden, dropout)
        self.embedding = nn.Embedding(words, word_size)
        self.out = nn.Linear(hidden, words)

    def forward(self, clips: Tensor, caption: Tensor) -> Tensor:
        """Log-probabilities of every next word, under the words before.

        Args:
            clips: (N, n, in_features).
            caption: (N, L) int64, words below `words`.

        Returns:
            (N, L - 1, words).
        """
        told = self.embedding(caption[:, :-1])
        silence = clips.new_zeros(len(clips), clips.shape[1], self.word_size)
        darkness = clips.new_zeros(len(clips), told.shape[1], clips.shape[2])
        seen = self.watch(torch.cat([clips, darkness], dim=1))
        said = self.tell(torch.cat([seen, torch.cat([silence, told], dim=1)], dim=2))
        logits: Tensor = self.out(said[:, clips.shape[1] :])
        return logits.log_softmax(dim=2)


def said_so_far(caption: Tensor) -> Tensor:
    """(N, L) bool: True up to the first `END`, which is the last word of a caption."""
    ended = (caption == END).long().cumsum(dim=1)
    return ended - (caption == END).long() == 0


def caption_loss(head: CaptionHead, clips: Tensor, caption: Tensor) -> Tensor:
    """Minus the log-probability of a caption's words, summed over it, mean over the videos.

    A word that the vocabulary has no place for is not learnt, and stands as `END` before the next one.

    Args:
        head: that tells them.
        clips: (N, n, in_features).
        caption: (N, L) int64.

    Returns:
        ().
    """
    known = (caption >= 0) & (caption < head.words)
    taught = (said_so_far(caption) & known)[:, 1:]
    caption = torch.where(known, caption, END)
    found = head(clips, caption).gather(2, caption[:, 1:, None]).squeeze(2)
    loss: Tensor = -(found * taught).sum() / len(caption)
    return loss
