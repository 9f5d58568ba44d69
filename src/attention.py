"""Where a checkpoint looks: `python -m src.attention checkpoint=A/checkpoints/last.ckpt also=B/checkpoints/last.ckpt`.

Grad-CAM of the predicted score on the backbone's last block (`swapaqa.models.attention`), for every test video. Written
are `attention.json` with the share of each map's mass that lies in the athlete's box, and for some videos a strip and
a film of the maps over the frames, the checkpoints side by side, as in the paper's Fig. 2. A report of the folder shows
them. One checkpoint alone works too.

The boxes are those that a checkpoint was trained with, or the data set's default; `boxes=` names others.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import seed_everything
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.utils.data import DataLoader

from src.evaluate import NO_BOXES, as_trained, build, prepare, read_checkpoint
from swapaqa.augment.background import inside_bounds
from swapaqa.augment.none import NoAugmentation
from swapaqa.augment.swap import ScaledBackgroundSwap, pixel_bounds, scale_boxes
from swapaqa.batch import Sample
from swapaqa.config import TOP_LEVEL, check, one_line_errors, run_recipe
from swapaqa.console import quieten
from swapaqa.data.boxes import NoBoxes
from swapaqa.data.datamodule import VideoData
from swapaqa.data.dataset import EvaluationVideos
from swapaqa.data.pooling import channels_first
from swapaqa.errors import InputError
from swapaqa.models.attention import Explained, explain, mass_share, through_grid
from swapaqa.models.clips import VideoEncoder
from swapaqa.models.scorer import CONFIG_KEY, Encoded, Scorer
from swapaqa.report.attention import ATTENTION_FILE, COLUMNS, Inside, Look, as_json, difference, rows, summary
from swapaqa.report.attention_pictures import Scene, Seen, attention_film, attention_strip
from swapaqa.result import device_name, git_commit
from swapaqa.whole_file import write_whole
