"""`+sweeps=unseen_venue`: no venue of a test is in its training, on the real lists of both data sets."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from swapaqa.configuration.data_sets import make_source
from swapaqa.data.footage import names_of
from swapaqa.data.records import Record
from swapaqa.data.source import VideoSource
from swapaqa.running.sweep_jobs import jobs_of
from tests.forked import REPOSITORY

Config = Callable[..., DictConfig]
ROOTS = {"mtl_aqa": "mtl_aqa", "finediving": "finediving"}
FOLDS = {"mtl_aqa": [339, 361, 359, 353], "finediving": [1001, 679, 671, 649]}
SETTINGS = {
    ("aug=none",),
    ("aug=fame",),
    ("aug=swap", "aug.variant=paper", "boxes=tracker"),
    ("aug=swap", "aug.variant=clean", "boxes=tracker"),
}


@pytest.fixture(scope="module")
def jobs() -> list[list[str]]:
    words = ["+sweeps=unseen_venue"]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return jobs_of(compose("train", words, return_hydra_config=True).hydra.sweeper, words)


def of_data(job: list[str]) -> tuple[str, ...]:
    return tuple(word for word in job if word.startswith("data"))


def test_four_settings_of_every_fold_and_list_and_all_of_a_seed_before_the_next(jobs: list[list[str]]) -> None:
    assert [job[0] for job in jobs] == [f"seed={seed}" for seed in (0, 1, 2) for _ in range(40)]
    by_data: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for job in jobs[:40]:
        by_data.setdefault(of_data(job), set()).add(tuple(w for w in job if w.startswith(("aug", "boxes"))))
    assert len(by_data) == 10
    assert all(settings == SETTINGS for settings in by_data.values())


@pytest.fixture(scope="module")
def sources(jobs: list[list[str]], real_data: Path) -> dict[tuple[str, ...], VideoSource]:
    """The sources of the sweep on the real annotations, by their words; the lists of each data set are read once."""
    found: dict[tuple[str, ...], VideoSource] = {}
    lists: dict[str, Callable[[str], list[Record]]] = {}
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        for words in sorted({of_data(job) for job in jobs}):
            root = real_data / ROOTS[words[0].partition("=")[2]]
            source = make_source(compose("train", [*words, f"data.root={root}"]).data)
            source.read_list = lists.setdefault(words[0], functools.cache(source.read_list))  # type: ignore[method-assign]
            found[words] = source
    return found


def events(source: VideoSource, records: Sequence[Record]) -> set[str | None]:
    return set(map(source.event, records))


@pytest.mark.slow
@pytest.mark.parametrize("data", ROOTS)
def test_no_venue_of_a_test_fold_is_in_training_and_every_video_is_tested_once(
    sources: dict[tuple[str, ...], VideoSource], data: str
) -> None:
    folds = {words[-1]: one for words, one in sources.items() if words[0] == f"data={data}" and len(words) > 1}
    tested: list[str] = []
    sizes = []
    for name in sorted(folds):
        source = folds[name]
        train, test = source.read_splits().values()
        assert not events(source, train) & events(source, test)
        assert None not in events(source, test)
        assert not names_of(train, source.footage) & names_of(test, source.footage)
        assert len(train) + len(test) == sum(FOLDS[data])
        tested += [record.video_id for record in test]
        sizes.append(len(test))
    assert sizes == FOLDS[data]
    assert len(tested) == len(set(tested)) == sum(FOLDS[data])


@pytest.mark.slow
@pytest.mark.parametrize("data", ROOTS)
def test_the_published_lists_beside_them_have_every_test_venue_in_training(
    sources: dict[tuple[str, ...], VideoSource], data: str
) -> None:
    source = sources[(f"data={data}",)]
    train, test = source.read_splits().values()
    assert events(source, test) <= events(source, train)


@pytest.mark.slow
def test_from_one_data_set_to_the_other_no_dive_is_left_that_was_trained_on(
    sources: dict[tuple[str, ...], VideoSource], config: Config, real_data: Path
) -> None:
    trained = sources[("data=mtl_aqa",)]
    words = ("data=finediving", f"data.root={real_data / 'finediving'}")
    seen = names_of(trained.read_split("train"), trained.footage)
    other = make_source(config(*words, "data.without=mtl_aqa").data)
    test = other.read_split("test")
    assert len(test) == 424
    assert not seen & names_of(test, other.footage)
    everything = sources[("data=finediving",)].read_split("test")
    assert len(seen & names_of(everything, other.footage)) == 249  # what would leak without it
