"""The LightningModule of every method: encoding, losses, scores, and an evaluation that encodes each video once.

A method is a subclass with the methods `losses` and `score` over videos whose clips are encoded already: it sees no
pixel and never calls the backbone. The loops, the optimiser's two groups, logging, the metrics and what a checkpoint
carries are here and nowhere else.
"""

import logging
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.distributed.nn.functional import all_gather
from torch.nn import Module, ModuleDict, Parameter

from swapaqa.batch import Encoded, Labels, Pair, Sample, TrainingLabels, concatenate, map_columns, pooled, take_rows
from swapaqa.errors import InputError
from swapaqa.metrics import SpearmanById, relative_l2_x100
from swapaqa.models.auxiliary import AuxiliaryTasks
from swapaqa.models.batch_norm import batch_norm_settings, has_live_batch_norm, restore_batch_norm_settings
from swapaqa.models.encoder import VideoEncoder
from swapaqa.models.optimisation import BACKBONE, Optimisation
from swapaqa.models.sample_dropout import dropout_by_video
from swapaqa.models.stored_exemplars import EXEMPLARS_KEY, from_plain

log = logging.getLogger(__name__)

SCORED_AT_ONCE = 4096  # videos of an evaluation: with ten voters of 2,049 features each a third of a GiB
Target = Literal["score", "completeness"]  # what a label is, where the data set knows the difficulty
# in a checkpoint, beside Lightning's own
CONFIG_KEY, BATCH_NORM_KEY, TRAINED_ON_KEY = "swapaqa_config", "swapaqa_batch_norm", "swapaqa_trained_on"
FORMAT_KEY, FORMAT = "swapaqa_format", 3  # see swapaqa.running.upgrade; absent: 1, with the best epoch in last.ckpt


class Predicted(NamedTuple):
    """Predicted labels, and how sure the method itself is of each."""

    label: Tensor  # (N,) float64
    std: Tensor  # (N,) float64, standard deviation in the label's unit; NaN where the method has none


class Scorer(LightningModule):
    """Base of all methods.

    Attributes:
        needs_difficulty: whether scoring multiplies by the video's difficulty, whatever the labels are.
        needs: names of what it looks for in `side`; a run on data without them is refused before it starts.
        reads_boxes: whether its encoder looks at the boxes: a run without any is refused before it starts, and an
            evaluation reads those of training.
        learns_from: names of what it looks for there in training only.
        clip_count: how many clips it takes; None: any number. A run with another is refused before it starts.
        scale_given: whether its parameters say what `learn_scale` would learn, so that no training label is needed.
        couples_batch: whether a term of the loss compares the videos of a batch with each other. `losses` then gets
            those of all processes, with the gradient of each.
        config: the resolved configuration of the run, which every checkpoint carries; None until the recipe sets it.
        trained_on: the names of the footage that its weights are trained on, which every checkpoint carries; see
            `swapaqa.data.footage`. None: not known.
        optimisation: what trains it; None until the recipe sets it.
        auxiliary: what is learnt beside the score, whatever the method; None unless the recipe sets it.
        exemplars: the training videos encoded under the present weights, by position; None where there are none.

    Args:
        encoder: the backbone with its clips.
    """

    needs_difficulty: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    reads_boxes: ClassVar[bool] = False
    learns_from: tuple[str, ...] = ()
    clip_count: ClassVar[int | None] = None
    scale_given: bool = False
    couples_batch: ClassVar[bool] = False

    def __init__(self, encoder: VideoEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.spearman = ModuleDict()
        self.config: dict[str, Any] | None = None
        self.trained_on: frozenset[str] | None = None
        self.optimisation: Optimisation | None = None
        self.auxiliary: AuxiliaryTasks | None = None
        self.exemplars: Encoded | None = None
        self._epoch_of_weights: int | None = None
        self._parts: dict[str, list[Encoded]] = defaultdict(list)
        self.register_load_state_dict_pre_hook(adopt_buffer_sizes)  # type: ignore[no-untyped-call]  # PyTorch's own

    @abstractmethod
    def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
        """The scalar terms of the loss of N training videos, with a graph; their sum is minimised.

        Of several processes each has equally many rows of the batch, and the mean of a term over processes has to be
        that of the whole batch: true of any mean over rows, and of whatever `couples_batch`.

        Args:
            videos: N.
            exemplars: N, one for each, where the method has voters; else None.
        """

    @abstractmethod
    def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:
        """Predicted labels of N encoded `videos`. `exemplars`: the training videos by position."""

    def differentiable_label(self, videos: Encoded, exemplars: Encoded | None) -> Tensor:
        """(N,) predicted labels with a gradient by the videos' features: what pictures of Grad-CAM are of.

        A method whose `score` has no gradient (the most probable of several bins) gives the nearest one that has.
        """
        return self.score(videos, exemplars).label

    def learn_scale(self, labels: TrainingLabels) -> None:
        """Derive constants from the training labels, before training. They belong into buffers."""

    def adopt_published(self) -> None:
        """Predict labels as they are, where the method learns them on a scale of its own: its weights come from a file
        of the published program."""

    def check_sample(self, sample: Sample) -> None:
        """Refuse data whose labels lack what the method needs, before training: `sample` has a few training videos.

        Raises:
            InputError: naming what is missing.
        """

    @property
    def epoch(self) -> int:
        """The epoch of the weights, from 0: of the training that runs, or that the loaded checkpoint was written in."""
        return self.current_epoch if self._epoch_of_weights is None else self._epoch_of_weights

    def on_train_start(self) -> None:
        self._epoch_of_weights = None
        own = self.encoder if self.couples_batch else self  # which else has a share of the batch in its head too
        if self.trainer.world_size > 1 and has_live_batch_norm(own):
            log.warning(
                "BatchNorm statistics are live and every one of the %d processes computes them from its own share of "
                "the batch, so results depend on their number: use one process, or backbone.freeze_bn=true",
                self.trainer.world_size,
            )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002
        self.exemplars = None  # features of the weights that are about to change

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint carries the resolved configuration, so that evaluation can build the same model again."""
        checkpoint[CONFIG_KEY], checkpoint[FORMAT_KEY] = self.config, FORMAT
        checkpoint[BATCH_NORM_KEY] = batch_norm_settings(self.encoder)
        if self.trained_on is not None:
            checkpoint[TRAINED_ON_KEY] = sorted(self.trained_on)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The weights are Lightning's part; here what is stored beside them."""
        self._epoch_of_weights = checkpoint.get("epoch")
        restore_batch_norm_settings(self.encoder, checkpoint.get(BATCH_NORM_KEY, {}))
        stored = checkpoint.get(EXEMPLARS_KEY)
        self.exemplars = from_plain(stored) if stored else None

    def configure_optimizers(self) -> Any:
        """What `optim=` describes, over `parameter_groups`."""
        if self.optimisation is None:
            raise InputError("nothing says how to train: set the model's `optimisation`, as swapaqa.running.training")
        groups = self.parameter_groups()
        if self.auxiliary is not None:
            known = {id(parameter) for own in groups.values() for parameter in own}
            groups["head"] += [parameter for parameter in self.auxiliary.parameters() if id(parameter) not in known]
        return self.optimisation.configure(groups, self.encoder.learning_rate, self._trainer)

    def parameter_groups(self) -> dict[str, list[Parameter]]:
        """All parameters, by the name of the group whose rate they have: `backbone`, and `head` for the rest.

        A method whose parts have rates of their own gives more groups; `optim.groups` names them.
        """
        backbone = list(self.encoder.parameters())
        known = {id(parameter) for parameter in backbone}
        head = [parameter for parameter in self.parameters() if id(parameter) not in known]
        return {"head": head, BACKBONE: backbone}

    def training_step(self, batch: Sample | Pair) -> Tensor:
        videos, exemplars = self.encode_batch(batch)
        terms = self.losses(videos, exemplars)
        if self.auxiliary is not None:
            with dropout_by_video(videos.labels.position, self.epoch):
                terms |= self.auxiliary(videos)
        loss = torch.stack(list(terms.values())).sum()
        query = batch.query if isinstance(batch, Pair) else batch
        values = {f"train/{name}": term for name, term in terms.items()}
        whole = mean_over_processes(values | {"train/replaced_share": query.replaced.mean(), "train/loss": loss})
        whole_loss = whole.pop("train/loss")
        self.log_dict(whole, batch_size=len(query.video))
        self.log("train/loss", whole_loss, prog_bar=True, on_epoch=True, batch_size=len(query.video))
        return loss

    def encode_batch(self, batch: Sample | Pair) -> tuple[Encoded, Encoded | None]:
        """The videos of a training batch and their exemplars, in one pass over all clips."""
        whole = self.encode(pooled(batch))
        if not isinstance(batch, Pair):
            return self.of_all_processes(whole), None
        half = len(batch.query.video)
        videos, exemplars = take_rows(whole, slice(half)), take_rows(whole, slice(half, None))
        return self.of_all_processes(videos), self.of_all_processes(exemplars)

    def of_all_processes(self, videos: Encoded) -> Encoded:
        """With `couples_batch` the videos of all processes in the order that one would have; else those of this one.

        Every process then has the loss of the whole batch, and features the gradients that all processes ask of them:
        divided by the number of processes, as averaging divides, they are those of one process.
        """
        if not self.couples_batch or process_count() == 1:
            return videos
        ids = [""] * (process_count() * len(videos.video_id))  # a loss compares features and labels
        return map_columns(videos._replace(video_id=[]), of_all_processes)._replace(video_id=ids)

    def validation_step(self, batch: Sample, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        """Encode; scores follow at the end of the epoch, when all exemplars are there."""
        self._parts[batch.split[0]].append(self.encode(batch))

    def encode(self, batch: Sample) -> Encoded:
        """The videos of a batch on this device after the backbone."""
        return Encoded(self.encoder(batch), batch.labels, batch.side, list(batch.video_id))

    def on_validation_epoch_end(self) -> None:
        """Score every split but train and log its metrics: `<split>/spearman`, `<split>/relative_l2_x100`."""
        encoded = {split: self._gathered(parts, split) for split, parts in self._parts.items()}
        self._parts.clear()
        train = encoded.pop("train", None)
        self.exemplars = train[0] if train else self._stored()
        for split, tables in encoded.items():
            parts = [part for videos in tables for part in in_parts(videos, SCORED_AT_ONCE)]
            predicted = [in_points(self.score(part, self.exemplars), part) for part in parts]
            self._measure(split, concatenate(predicted), concatenate([part.labels for part in parts]))

    def _of_all(self, column: Tensor) -> Tensor:
        """(B, ...) -> (processes * B, ...), one process after the other."""
        return cast(Tensor, self.all_gather(column)).flatten(0, 1)

    def _stored(self) -> Encoded | None:
        """The exemplars of a checkpoint, on the model's device."""
        return self.exemplars and map_columns(self.exemplars, lambda column: column.to(self.device))

    def _measure(self, split: str, predicted: Predicted, labels: Labels) -> None:
        if split not in self.spearman:
            self.spearman[split] = SpearmanById().to(self.device)
        metric = cast(SpearmanById, self.spearman[split])
        metric.reset()
        metric.update(predicted.label, labels.score, labels.position, predicted.std)
        _, pred, target = metric.predictions()
        self.log(f"{split}/spearman", metric.compute().float(), prog_bar=True)
        self.log(f"{split}/relative_l2_x100", relative_l2_x100(pred, target).float())

    def _gathered(self, parts: list[Encoded], split: str) -> list[Encoded]:
        """The tables of a split, one of each number of clips. The training videos, in their order, are one, and shared
        by all processes."""
        by_clips = defaultdict[int, list[Encoded]](list)
        for part in parts:
            by_clips[part.feature.shape[1]].append(part)
        tables = [concatenate(alike) for alike in by_clips.values()]
        if split != "train":
            return tables
        (whole,) = tables  # the data module refuses exemplars of different numbers
        if self.trainer.world_size > 1:
            ids = gathered_ids(whole.video_id)
            of_all = map_columns(whole._replace(video_id=[]), self._of_all)
            whole = of_all._replace(video_id=ids)
        position = whole.labels.position.tolist()
        first = {int(place): row for row, place in reversed(list(enumerate(position)))}
        return [take_rows(whole, [first[place] for place in sorted(first)])]


def in_parts(videos: Encoded, most: int) -> Iterator[Encoded]:
    """The same videos, at most so many at a time."""
    for start in range(0, len(videos.feature), most):
        yield take_rows(videos, slice(start, start + most))


def process_count() -> int:
    """How many processes train or evaluate together."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if distributed else 1


def of_all_processes(column: Tensor) -> Tensor:
    """(B, ...) of each process -> (processes * B, ...) with its gradient; process r holds every r-th row."""
    parts = all_gather(column.contiguous())
    for part in parts:
        if part.requires_grad:
            # gloo writes what it exchanges into a gradient's memory row by row, whatever the strides are.
            part.register_hook(Tensor.contiguous)
    return torch.stack(parts, dim=1).flatten(0, 1)


def gathered_ids(ids: list[str]) -> list[str]:
    """The ids of all processes, one process after the other."""
    found: list[list[str]] = [[]] * process_count()
    torch.distributed.all_gather_object(found, ids)
    return [one for of_process in found for one in of_process]


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, without gradient. Queued on the device: the host does not wait for it."""
    if process_count() == 1:
        return values.detach()
    whole = values.detach().clone()
    torch.distributed.all_reduce(whole)
    return whole


def mean_over_processes(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Scalars as their means over all processes, without gradient, in one exchange.

    Lightning's `sync_dist` would exchange every value by itself and let the host wait for each.
    """
    whole = sum_over_processes(torch.stack(list(values.values()))) / process_count()
    return dict(zip(values, whole.unbind(), strict=True))


def in_points(predicted: Predicted, videos: Encoded) -> Predicted:
    """From the label's unit to points: offset + factor * label, and factor * deviation."""
    labels = videos.labels
    return Predicted(labels.offset + labels.factor * predicted.label, labels.factor * predicted.std)


def from_points(score: Tensor, std: Tensor, videos: Encoded) -> Predicted:
    """The inverse, for methods that compute the score itself."""
    labels = videos.labels
    return Predicted((score - labels.offset) / labels.factor, std / labels.factor)


def adopt_buffer_sizes(module: Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Before loading: give the module's own buffers the stored sizes, as what training labels taught has its own."""
    for name, buffer in module.named_buffers(recurse=False):
        stored = state.get(prefix + name)
        if stored is not None and stored.shape != buffer.shape:
            setattr(module, name, buffer.new_empty(stored.shape))


def predictions(scorer: Scorer) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """(position, predicted, true) in points by split, of the last evaluation; every process must call it."""
    return {split: cast(SpearmanById, metric).predictions() for split, metric in scorer.spearman.items()}


def predicted_stds(scorer: Scorer) -> dict[str, Tensor]:
    """The standard deviations in points that go with `predictions`, NaN for none; every process must call it."""
    return {split: cast(SpearmanById, metric).predicted_std() for split, metric in scorer.spearman.items()}
