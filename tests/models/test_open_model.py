"""A method in a package of one's own trains, and takes part in a sweep, without a file changed here."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from textwrap import dedent

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from swapaqa.batch import TrainingLabels
from swapaqa.configuration.checking import check
from swapaqa.configuration.data_sets import make_data
from swapaqa.errors import InputError
from swapaqa.running.program import keywords_explained
from swapaqa.running.training import build_model

METHOD = """
    import torch
    from torch import Tensor, nn

    from swapaqa.batch import Encoded
    from swapaqa.models.scorer import Predicted, Scorer


    class LeastSquares(Scorer):
        def __init__(self, encoder: nn.Module, scale: float) -> None:
            super().__init__(encoder)
            self.head = nn.Linear(encoder.feature_size, 1)
            self.scale = scale

        def losses(self, videos: Encoded, exemplars: Encoded | None) -> dict[str, Tensor]:
            error = self.predict(videos.mean_feature) - videos.labels.label
            return {"squared_error": error.square().mean()}

        def score(self, videos: Encoded, exemplars: Encoded | None) -> Predicted:
            label = self.predict(videos.mean_feature)
            return Predicted(label, torch.full_like(label, torch.nan))

        def predict(self, feature: Tensor) -> Tensor:
            return self.scale * self.head(feature).squeeze(-1).double()
"""

YAML = """
    # @package _global_
    # Least squares on the mean clip feature.
    model:
      _target_: my_methods.least_squares.LeastSquares
      encoder: ${backbone}
      scale: 100.0
    optim:
      learning_rate: 1.0e-3
    schedule:
      epochs: 3
      batch_size: 4
      accumulate: 1
"""


@pytest.mark.slow
def test_a_method_of_ones_own_trains_in_a_sweep(
    tmp_path: Path, train_process: Callable[..., "CompletedProcess[str]"], small_demo: list[str]
) -> None:
    package, model = tmp_path / "my_methods", tmp_path / "my_conf" / "model"
    package.mkdir()
    model.mkdir(parents=True)
    (package / "least_squares.py").write_text(dedent(METHOD))
    (model / "least_squares.yaml").write_text(dedent(YAML).lstrip())
    done = train_process(
        tmp_path, *small_demo, "trainer.max_epochs=1", "model=least_squares", "model.scale=50,100",
        f"hydra.searchpath=[file://.,file://{tmp_path / 'my_conf'}]", f"hydra.sweep.dir={tmp_path / 'sweep'}",
        "--multirun", PYTHONPATH=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for job, scale in (("0", 50), ("1", 100)):
        found = json.loads((tmp_path / "sweep" / job / "result.json").read_text())
        assert found["name"] == "least_squares_demo_swap"
        assert found["config"]["model"]["scale"] == scale
        assert "calibration" not in found["metrics"]["last"]["splits"]["test"]  # it says nothing of its uncertainty
        header = (tmp_path / "sweep" / job / "predictions_test.csv").read_text().splitlines()[0]
        assert header == "video_id,action,true,last,best_on_test"


WITH_KEYWORDS = """
    from swapaqa.data.demo import Demo
    from swapaqa.models.core import CoRe
    from swapaqa.models.tiny import TinyBackbone


    class Mine(CoRe):
        def __init__(self, margin: float, **kwargs):
            super().__init__(**kwargs)
            self.margin = margin


    def network(**options):
        return TinyBackbone(options["width"] * options["times"])


    class MyDemo(Demo):
        def __init__(self, note, **kwargs):
            super().__init__(**kwargs)
            self.note = note
"""


def test_constructors_with_keywords_take_what_they_hand_on(
    tmp_path: Path, config: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_keywords.py").write_text(dedent(WITH_KEYWORDS))
    monkeypatch.syspath_prepend(str(tmp_path))
    targets = ("model=with_keywords.Mine", "backbone.network=with_keywords.network", "data=with_keywords.MyDemo")
    given = [target.replace("=", "._target_=") for target in targets]
    composed = config(*given, "+backbone.network.times=2", "+data.note=hello", "name=mine", "logger.save_dir=x")
    with pytest.raises(InputError, match=r"model\.margin: missing"):
        check(composed)
    composed = config(*given, "+backbone.network.times=2", "+data.note=hello", "name=mine", "logger.save_dir=x",
                      "+model.margin=0.5", "model.voters=3")  # fmt: skip
    check(composed)
    labels, one = torch.linspace(0, 100, 20, dtype=torch.float64), torch.zeros(20, dtype=torch.int64)
    model = build_model(composed, TrainingLabels(labels, one, one, 100.0))
    assert (type(model).__name__, model.margin) == ("Mine", 0.5)
    plain = config("backbone.network.width=32", "name=plain", "logger.save_dir=x")
    assert (
        model.encoder.feature_size == build_model(plain, TrainingLabels(labels, one, one, 100.0)).encoder.feature_size
    )
    data = make_data(composed.data)
    assert (data.source.note, data.voters) == ("hello", 3)


def test_a_keyword_that_nobody_takes_is_one_line(
    tmp_path: Path, config: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_misspelt.py").write_text(dedent(WITH_KEYWORDS))
    monkeypatch.syspath_prepend(str(tmp_path))
    composed = config("model._target_=with_misspelt.Mine", "+model.margin=0.5", "+model.vtoers=3", "name=mine")
    line = r"^model\.vtoers: no such key of with_misspelt\.Mine, nor of what it hands it on to$"
    with pytest.raises(InputError, match=line), keywords_explained(composed):
        instantiate(composed.model)
