"""A real dive as a data set, the drawing page as the real program serves it, and a real browser."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.forked import Forked, run_forked

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=1366,768",
)  # fmt: skip


class Served(NamedTuple):
    """A running `src.boxes draw`."""

    process: Forked
    url: str


Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def dive_root(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real dive and three other real videos as `data=videos`."""
    root = tmp_path_factory.mktemp("dive")
    rows = ["video,score,split"]
    names = {"dive": "diving_sample.gif", "arms": "arm_wrestling.mp4", "pencil": "action.avi"}
    for score, (name, file) in enumerate(names.items(), 50):
        copy = root / f"{name}{Path(file).suffix}"
        shutil.copyfile(real_data / "video" / file, copy)
        rows.append(f"{copy.name},{score},{'test' if name == 'pencil' else 'train'}")
    (root / "videos.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Overrides for ten demo videos."""
    counts = (("train", 6), ("test", 2), ("shifted", 2))
    return ["data.action=diving", *(f"data.settings.{split}={count}" for split, count in counts)]


@pytest.fixture
def environment(demo_cache: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("AQA7_ROOT", "MTL_AQA_ROOT")}
    return kept | {"SWAPAQA_CACHE": str(demo_cache), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def command(environment: dict[str, str]) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`command("make", "data=videos", ...)`: `src.boxes` in a process of its own."""
    return lambda *words: run_forked("src.boxes", words, environment | {"COLUMNS": "200"})


@pytest.fixture
def serve(environment: dict[str, str]) -> Iterator[Serve]:
    """`serve("data=videos", ...)`: the page, until the end of the test."""
    running: list[Forked] = []

    def start(*words: str) -> Served:
        process = Forked("src.boxes", ["draw", "--no-browser", *words], environment)
        running.append(process)
        while process.poll() is None:
            for line in process.out.read_text().splitlines(keepends=True):
                if line.startswith("open ") and line.endswith("\n"):
                    return Served(process, line.split()[1])
            time.sleep(0.02)
        raise AssertionError(f"no address; exit status {process.returncode}: {process.err.read_text()}")

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Headless Chromium on a laptop's screen, driven by its own driver."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install selenium)")
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    found = webdriver.Chrome(options=options, service=Service(driver))
    yield found
    found.quit()
