"""A scripted user draws demo videos and real clips in the page, by mouse and by keyboard: seconds and IoU are printed.

    python -m pytest tests/annotate/test_scripted_user.py -s

By keyboard presses are counted too: a person's time for them is theirs times KEYSTROKE, and THINKING for each box.

The hand knows the true boxes and misses each side by a normal error of HAND_ERROR of the box: what is measured is how
many boxes are drawn, how long the page takes for them, and what the loader makes of them. A person looks and aims too.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from swapaqa.annotate.box_file import read_rows
from swapaqa.annotate.follow import read_small
from swapaqa.annotate.known import VARIANTS, Known, known_clips, known_video
from swapaqa.annotate.measure import HAND_ERROR, harm_of
from swapaqa.boxes.tracker import overlap
from swapaqa.data.boxes import read_darklabel
from swapaqa.video.film import write_film
from tests.annotate.test_page import END, HOME, LEFT, RIGHT, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HANDS = Path(__file__).parent / "hand_boxes"
EVERY = 12  # frames: a careful user draws a box that often
KEYSTROKE, THINKING = 0.2, 1.35  # seconds: K of a skilled typist and M, Card, Moran and Newell, CACM 23 (1980)


def draw_box(page: Page, box: list[float]) -> None:
    """A new box with the mouse, from corner to corner; Shift, because another one may be there."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    canvas = page.driver.find_element("id", "stage")
    scale, width, height = page.js(
        "const r = at('stage').getBoundingClientRect(); return [stage.scale, r.width, r.height]"
    )
    corners = np.clip(np.array(box).reshape(2, 2) * scale, 1, [width - 2, height - 2]) - [width / 2, height / 2]
    (x1, y1), (x2, y2) = corners.round().astype(int).tolist()
    hand = ActionChains(page.driver, duration=20).key_down(Keys.SHIFT).move_to_element_with_offset(canvas, x1, y1)
    hand.click_and_hold().move_to_element_with_offset(canvas, x2, y2).release().key_up(Keys.SHIFT).perform()


def draw_video(page: Page, video: Known, scale: float, keys: list[int], rng: np.random.Generator) -> float:
    """Draw boxes in frames `keys` of the open video; the seconds until all are saved."""
    begin = time.perf_counter()
    for key in keys:
        page.js("go(arguments[0])", key)  # as a click on the scrubber
        box = video.boxes[key] + video.side * rng.normal(0, HAND_ERROR, 4) + [0, 0, 1, 1]
        draw_box(page, (box / scale).tolist())
    page.saved()
    return time.perf_counter() - begin


def steps(distance: float, keys: str) -> str:
    """Presses that go `distance` pixels: the first of two keys forwards, the second back, capitals ten at a time."""
    key = keys[0] if distance > 0 else keys[1]
    tens, ones = divmod(round(abs(distance)), 10)
    if ones > 5:  # ten and back is shorter
        back = keys[1] if key == keys[0] else keys[0]
        return key.upper() * (tens + 1) + back * (10 - ones)
    return key.upper() * tens + key * ones


def key_box(page: Page, at: int, target: np.ndarray) -> int:
    """Go to a frame by arrows, set a key and bring its box onto `target` (4,); how many presses that took."""
    now, last = page.js("return [now.position, now.video.frames.length - 1]")
    tens, ones = divmod(abs(at - now), 10)
    arrow = RIGHT if at > now else LEFT
    way = HOME if at == 0 else END if at == last else arrow * ones
    if way == arrow * ones and tens:
        page.press_together(arrow * tens, shift=True)
    page.press_together(way + "b")
    x1, y1, x2, y2 = target - np.array(page.js("return now.annotation.athlete.boxAt(now.video.frames[now.position])"))
    words = steps((x1 + x2) / 2, "da") + steps((y1 + y2) / 2, "sw") + steps(x2 - x1, "lj") + steps(y2 - y1, "ik")
    page.press_together(words)
    return tens * (way == arrow * ones) + len(way) + 1 + len(words)


def key_video(page: Page, video: Known, scale: float, keys: list[int], rng: np.random.Generator) -> tuple[float, int]:
    """As `draw_video` by keyboard alone: seconds, and how many presses."""
    begin, presses = time.perf_counter(), 0
    for key in keys:
        box = video.boxes[key] + video.side * rng.normal(0, HAND_ERROR, 4)
        presses += key_box(page, key, (box + 0.5) / scale - 0.5)
    page.saved()
    return time.perf_counter() - begin, presses


def careful(video: Known) -> list[int]:
    """A box every EVERY frames that show the athlete, and those of the quick user."""
    return sorted({*video.keys.tolist(), *np.flatnonzero(video.shown)[::EVERY].tolist()})


def judge(video: Known, path: Path, scale: float) -> tuple[float, float]:
    """Mean IoU with the truth of what the loader reads, and the share of the athlete that the swap replaces."""
    boxes = (read_darklabel(path, range(len(video.frames))) + 0.5) * scale - 0.5
    shown = video.shown
    return float(overlap(boxes[shown], video.boxes[shown]).mean()), harm_of(boxes, video.boxes)


@pytest.fixture
def clips(real_data: Path, tmp_path: Path) -> tuple[Path, list[tuple[Known, float]]]:
    """Six demo videos and the real clips as one `data=videos`, each with its truth and the scale of that."""
    root = tmp_path / "clips"
    root.mkdir()
    found = []
    for index in range(1, 7):
        video = known_video(index, VARIANTS["broadcast" if index > 3 else "demo"])
        video = video._replace(name=f"demo_{index}")
        write_film(root / f"{video.name}.avi", video.frames[..., ::-1], ["FFV1", "MJPG"], 10)
        found.append((video, 1.0))
    for video in known_clips(real_data / "video", HANDS):
        media = next(path for path in (real_data / "video").iterdir() if path.stem == video.name)
        copyfile(media, root / media.name)
        found.append((video, read_small(media, [0])[1]))
    rows = [
        f"{path.name},{number},{'test' if number < 2 else 'train'}"
        for number, path in enumerate(sorted(root.iterdir()))
    ]
    (root / "videos.csv").write_text("\n".join(["video,score,split", *rows]) + "\n")
    return root, found


def test_a_video_takes_few_seconds_and_its_boxes_hold_the_athlete(
    clips: tuple[Path, list[tuple[Known, float]]], serve: Callable, browser: Any, tmp_path: Path
) -> None:
    root, videos = clips
    rng = np.random.default_rng(0)
    harms = []
    for video, scale in videos:
        words = ["data=videos", f"data.root={root}", f"boxes.root={tmp_path / 'boxes'}"]
        page = Page(browser, serve(*words, f"data.frames={len(video.frames)}", "--id", video.name).url)
        assert page.js("return now.video.id") == video.name
        quick = video.keys.tolist()
        more = sorted(set(careful(video)) - set(quick))
        seconds, line = 0.0, f"{video.name}:"
        for how, keys in (("quick", quick), ("careful", more)):
            seconds += draw_video(page, video, scale, keys, rng) if keys else 0
            iou, harm = judge(video, tmp_path / "boxes" / f"{video.name}.txt", scale)
            count = len(quick) + (len(more) if how == "careful" else 0)
            line += f" {how} {count} boxes, {seconds:.1f} s, IoU {iou:.2f}, harm {harm:.2f};"
            harms.append(harm)
        sys.stdout.write(f"{line}\n")
    assert np.mean(harms[::2]) < 0.1
    assert np.mean(harms[1::2]) < 0.05


def test_the_keyboard_alone_draws_as_well(
    clips: tuple[Path, list[tuple[Known, float]]], serve: Callable, browser: Any, tmp_path: Path
) -> None:
    root, videos = clips
    rng, harms, persons = np.random.default_rng(0), [], []
    for video, scale in videos:
        words = ["data=videos", f"data.root={root}", f"boxes.root={tmp_path / 'keyed'}"]
        page = Page(browser, serve(*words, f"data.frames={len(video.frames)}", "--id", video.name).url)
        keys = video.keys.tolist()
        seconds, presses = key_video(page, video, scale, keys, rng)
        rows = read_rows(tmp_path / "keyed" / f"{video.name}.txt")
        assert [row.frame for row in rows] == keys
        iou, harm = judge(video, tmp_path / "keyed" / f"{video.name}.txt", scale)
        persons.append(presses * KEYSTROKE + len(keys) * THINKING)
        harms.append(harm)
        sys.stdout.write(f"{video.name}: {len(keys)} boxes, {presses} presses, the script {seconds:.1f} s, a person "
                         f"{persons[-1]:.0f} s, IoU {iou:.2f}, harm {harm:.2f}\n")  # fmt: skip
    assert np.mean(harms) < 0.1


def test_all_videos_of_aqa7_are_listed_without_lag(
    serve: Callable, browser: Any, aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree(train=2, test=2)
    rows = np.array([[1.0, index, 50.0 + index % 40] for index in range(1, 1107)])
    savemat(root / "Split_4" / "split_4_train_list.mat", {"consolidated_train_list": rows[:803]})
    savemat(root / "Split_4" / "split_4_test_list.mat", {"consolidated_test_list": rows[803:]})
    page = Page(browser, serve("data=aqa7", f"data.root={root}", "data.frames=16").url)
    assert page.js("return at('list').children.length") == 1106
    timed = page.js(
        "const times = {}, time = (name, action) => {"
        "  const start = performance.now(); action(); at('list').getBoundingClientRect();"
        "  times[name] = performance.now() - start; };"
        "time('fill', fillList); time('filter', () => { at('filter').value = '77'; filterList(); });"
        "time('all', () => { at('filter').value = ''; filterList(); }); time('mark', () => markList('diving/900'));"
        "return times"
    )
    sys.stdout.write(f"milliseconds: { {name: round(value, 1) for name, value in timed.items()} }\n")
    assert set(timed) == {"fill", "filter", "all", "mark"}
