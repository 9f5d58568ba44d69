"""The drawing page in a real browser: drawn with mouse and keyboard, saved, read back by the loader."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from scipy.io import savemat

from swapaqa.annotate.box_file import read_rows
from swapaqa.annotate.known import VARIANTS
from swapaqa.augment.swap import pixel_bounds, scale_boxes
from swapaqa.data.boxes import BoxRequest, read_darklabel
from swapaqa.data.demo_files import draw, write_masks
from swapaqa.data.geometry import Geometry

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Page:
    """The page under a person's hands."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        driver.get_log("browser")  # forgets what earlier pages said
        driver.get(url)
        self.wait("document.body.dataset.ready === 'yes'")

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.js(f"return {condition}"):
            assert time.monotonic() < end, f"{condition}: {self.js('return document.body.innerText')}"
            time.sleep(0.05)

    def press(self, *keys: str, times: int = 1) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        for _ in range(times):
            ActionChains(self.driver).send_keys(*keys).perform()

    def press_together(self, keys: str, shift: bool = False) -> None:
        """All of `keys` one after the other, as fast as the browser takes them."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        hand = ActionChains(self.driver)
        if shift:
            hand.key_down(Keys.SHIFT)
        hand.send_keys(*keys)
        if shift:
            hand.key_up(Keys.SHIFT)
        hand.perform()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """From one point of the frame to another, in pixels of the video."""
        from selenium.webdriver.common.action_chains import ActionChains

        canvas = self.driver.find_element("id", "stage")
        scale, width, height = self.js(
            "const r = at('stage').getBoundingClientRect(); return [stage.scale, r.width, r.height]"
        )
        points = [(round(x * scale - width / 2), round(y * scale - height / 2)) for x, y in (start, end)]
        hand = ActionChains(self.driver).move_to_element_with_offset(canvas, *points[0]).click_and_hold()
        hand.move_to_element_with_offset(canvas, *points[1]).release().perform()

    def saved(self) -> None:
        self.wait("document.body.dataset.saved === 'yes'")

    def boxes(self) -> np.ndarray:
        """What the page shows in every frame of the window: (T, 4)."""
        return np.array(self.js("return now.video.frames.map((frame) => now.annotation.unionAt(frame))"))

    def check_console(self) -> None:
        assert [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """Equal but for the last bits of the interpolation between keyframes."""
    return np.allclose(first, second, rtol=0, atol=1e-9)


HOME, END, LEFT, RIGHT, ESCAPE, ENTER = "\ue011", "\ue010", "\ue012", "\ue014", "\ue00c", "\ue007"


@pytest.fixture
def dive(serve: Callable, browser: Any, dive_root: Path, tmp_path: Path) -> Page:
    words = [f"data.root={dive_root}", f"boxes.root={tmp_path}", "data.frames=21"]
    return Page(browser, serve("data=videos", *words).url)


def test_three_boxes_on_the_real_dive_are_read_back_to_the_same_numbers(dive: Page, tmp_path: Path) -> None:
    dive.drag((218, 24), (250, 200))  # with the mouse, on the first frame
    dive.press(RIGHT, times=10)
    dive.press("b")  # with the keyboard
    dive.press("d", times=3)
    dive.press("S")  # ten pixels
    dive.press("l", times=2)
    dive.press(END)
    dive.drag((300, 220), (400, 270))  # far from the box shown there: a new one
    dive.saved()
    rows = read_rows(tmp_path / "dive.txt")
    assert [(row.frame, row.label) for row in rows] == [(0, "hand"), (10, "hand"), (20, "hand")]
    assert np.allclose(rows[0].box, [218, 24, 249, 199], atol=1.5)  # a pixel of the screen is half a pixel of the dive
    assert np.allclose(np.subtract(rows[1].box, rows[0].box), [2, 10, 4, 10])
    assert np.allclose(rows[2].box, [300, 220, 399, 269], atol=1.5)
    assert same(read_darklabel(tmp_path / "dive.txt", range(21)), dive.boxes())
    dive.check_console()


def test_the_keyboard_alone_finds_draws_undoes_and_accepts(dive: Page, tmp_path: Path) -> None:
    dive.press("/")
    dive.press("penc", ENTER)
    dive.wait("now.video && now.video.id === 'pencil'")
    dive.press("b")
    dive.press("L", times=2)  # ten pixels wider each
    dive.press(RIGHT, times=3)
    dive.press("b")
    dive.press("w", times=4)
    dive.saved()
    two = (tmp_path / "pencil.txt").read_text()
    assert two.count("\n") == 2
    dive.press("z")
    dive.wait("now.annotation.athlete.keys.size === 2 && document.body.dataset.saved === 'yes'")
    dive.press("z")
    dive.wait("now.annotation.athlete.keys.size === 1 && document.body.dataset.saved === 'yes'")
    dive.press("y")
    dive.press("y")
    dive.wait("now.annotation.athlete.keys.size === 2 && document.body.dataset.saved === 'yes'")
    assert (tmp_path / "pencil.txt").read_text() == two
    dive.press("g")
    dive.wait("at('state').textContent === 'accepted'")
    assert "accepted" in (tmp_path / "boxes_ledger.csv").read_text()
    dive.press("/")
    dive.press(ESCAPE)  # the whole list again
    dive.press("n")
    dive.wait("now.video && now.video.id !== 'pencil'")
    assert dive.js("return now.overview.videos.find((video) => video.id === 'pencil').state") == "accepted"


def test_two_athletes_are_saved_apart_and_read_as_their_union(
    dive: Page, tmp_path: Path, config: Callable[..., DictConfig]
) -> None:
    dive.drag((50, 50), (90, 120))
    dive.press("o")
    dive.drag((300, 80), (350, 160))
    dive.press(END)
    dive.press("b")
    dive.press("A", times=3)
    dive.saved()
    rows = read_rows(tmp_path / "dive.txt")
    assert [(row.frame, row.object_id) for row in rows] == [(0, "0"), (0, "1"), (20, "1")]
    source = hydra.utils.instantiate(config("boxes=darklabel").boxes, root=str(tmp_path), several="union")
    read = source.read(BoxRequest([tmp_path / "dive"], (281, 500), range(21)))
    assert same(read, dive.boxes())
    assert read[0, 0] < 60
    assert read[0, 2] > 340
    dive.check_console()


def test_the_trackers_proposal_is_corrected_by_a_keyframe(dive: Page, tmp_path: Path) -> None:
    dive.drag((218, 24), (250, 200))
    dive.press("t")
    dive.wait("now.busy === '' && now.annotation.athlete.track.size > 10 && document.body.dataset.saved === 'yes'", 120)
    tracked = read_darklabel(tmp_path / "dive.txt", range(21))
    dive.press(RIGHT, times=4)
    dive.press("D")
    dive.wait("now.annotation.athlete.keys.size === 2 && document.body.dataset.saved === 'yes'")
    corrected = read_darklabel(tmp_path / "dive.txt", range(21))
    moved = corrected[:, 0] - tracked[:, 0]
    assert np.allclose(moved[:5], [0, 2.5, 5, 7.5, 10], atol=0.02)  # the first box stays, the correction grows
    assert np.allclose(moved[5:], 10, atol=0.02)
    assert same(corrected, dive.boxes())
    labels = {row.frame: row.label for row in read_rows(tmp_path / "dive.txt")}
    assert labels[0] == labels[4] == "hand"
    assert labels[2] == "csrt"


def test_the_swap_of_the_page_is_that_of_the_training(dive: Page) -> None:
    rng = np.random.default_rng(0)
    boxes = np.round(rng.uniform(-80, 500, (400, 4)), 2)
    boxes[:, 2:] = boxes[:, :2] + rng.uniform(0, 300, (400, 2)).round(2)
    ratios = rng.choice([0.5, 1.0, 1.1, 2.0, 2.5, 3.7], 400)
    size = (224, 224)
    found = dive.js(
        "return arguments[0].map((box, i) => [scaleBox(box, arguments[1][i], arguments[2]),"
        " pixelBounds(box, arguments[1][i], arguments[2])])",
        boxes.tolist(), ratios.tolist(), size,
    )  # fmt: skip
    for box, ratio, (scaled, bounds) in zip(boxes, ratios.tolist(), found, strict=True):
        assert scaled == scale_boxes(torch.from_numpy(box), ratio, size).tolist()
        assert bounds == pixel_bounds(torch.from_numpy(box), ratio, size, truncate=False).tolist()
    geometry = Geometry(height=256, width=455, crop=224, random_crop=True, flip=0.5)
    placed = dive.js(
        "return arguments[0].map((box) => placeBox(box, [281, 500], now.overview.geometry))", boxes.tolist()
    )
    assert np.allclose(placed, geometry.crop_boxes(boxes, (281, 500), geometry.centre()), atol=1e-9)
    overview = dive.js("return now.overview.geometry")
    assert (overview["top"], overview["left"]) == geometry.centre()[:2] == (16, 116)


def test_the_preview_shows_the_donor_outside_of_the_scaled_box_at_any_ratio(dive: Page) -> None:
    dive.drag((200, 100), (300, 180))
    shares = []
    for ratio in (1.0, 2.0, 5.0):
        dive.js("setRatio(arguments[0])", ratio)
        dive.wait("at('share').textContent.includes('%')")
        time.sleep(0.2)
        pixels = dive.js(
            "const c = at('preview'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "const b = swapBounds(now.annotation.unionAt(now.video.frames[0]));"
            "const p = (x, y) => [...d.slice(4 * (y * c.width + x), 4 * (y * c.width + x) + 3)];"
            "return {bounds: b, inside: p(b[0] + 1, b[1] + 1), corner: p(0, 0)}"
        )
        left, top, right, bottom = pixels["bounds"]
        shares.append(1 - (right - left) * (bottom - top) / 224**2)
        assert dive.js("return at('share').textContent").startswith(f"{100 * shares[-1]:.0f} %")
        assert (pixels["inside"] != pixels["corner"]) or ratio == 5.0
    assert shares[0] > shares[1] > shares[2]


def test_a_kill_of_the_program_loses_nothing_that_was_saved(
    serve: Callable, browser: Any, dive_root: Path, tmp_path: Path
) -> None:
    served = serve("data=videos", f"data.root={dive_root}", f"boxes.root={tmp_path}", "data.frames=21")
    page = Page(browser, served.url)
    page.drag((218, 24), (250, 200))
    page.saved()
    kept = page.boxes()
    served.process.kill()
    served.process.wait()
    assert same(read_darklabel(tmp_path / "dive.txt", range(21)), kept)
    page.press("d")
    page.wait("at('saved').textContent.startsWith('NOT SAVED')")
    page.js("now.dirty = false")  # or the browser asks before it leaves
    again = serve("data=videos", f"data.root={dive_root}", f"boxes.root={tmp_path}", "data.frames=21")
    page = Page(browser, again.url)
    page.press("/")
    page.press("dive", ENTER)
    page.wait("now.video && now.video.id === 'dive'")
    assert same(page.boxes(), kept)


def test_a_file_that_changed_meanwhile_is_not_written_over(dive: Page, tmp_path: Path) -> None:
    dive.drag((218, 24), (250, 200))
    dive.saved()
    (tmp_path / "dive.txt").write_text("0,0,1,2,30,40,elsewhere\n")
    dive.press("d")
    dive.wait("!at('conflict').hidden")
    assert (tmp_path / "dive.txt").read_text() == "0,0,1,2,30,40,elsewhere\n"
    dive.press(ENTER)  # on the button that loads the file
    dive.wait("at('conflict').hidden && now.annotation.unionAt(0)[0] === 1")
    assert dive.boxes()[0].tolist() == [1, 2, 30, 41]


def test_the_page_fits_on_a_laptop_and_opens_the_demo(
    serve: Callable, browser: Any, small: list[str], tmp_path: Path
) -> None:
    page = Page(browser, serve(*small, f"boxes.root={tmp_path}").url)
    fits = page.js(
        "const page = document.documentElement;"
        "return [page.scrollHeight <= innerHeight, page.scrollWidth <= innerWidth,"
        " at('commands').scrollHeight <= at('commands').clientHeight, at('stage').clientHeight > 0.7 * innerHeight]"
    )
    assert fits == [True] * 4
    page.drag((10, 10), (24, 26))
    page.press(END)
    page.drag((40, 40), (52, 54))
    page.press(LEFT, times=7)
    page.press("b")
    page.press("w", times=2)
    page.saved()
    first = page.js("return now.video.id")
    assert same(read_darklabel(tmp_path / f"{first}.txt", range(16)), page.boxes())
    assert len(read_rows(tmp_path / f"{first}.txt")) == 3
    page.check_console()


def test_a_thousand_videos_are_listed_and_one_is_loaded(
    serve: Callable, browser: Any, aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree(train=2, test=2)
    shutil.rmtree(root / "boxes")
    rows = np.array([[1.0, index, 50.0 + index % 40] for index in range(1, 1001)])
    savemat(root / "Split_4" / "split_4_train_list.mat", {"consolidated_train_list": rows[:998]})
    savemat(root / "Split_4" / "split_4_test_list.mat", {"consolidated_test_list": rows[998:]})
    words = ["data=aqa7", f"data.root={root}", "data.frames=16"]
    page = Page(browser, serve(*words).url)
    assert page.js("return at('list').children.length") == 1000
    page.wait("performance.getEntriesByType('resource').filter((entry) => entry.name.includes('frame?')).length >= 16")
    time.sleep(0.5)
    asked = page.js("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len({name.split("id=")[1].split("&")[0] for name in asked if "frame?" in name}) <= 2  # and the donor's
    page.press("p")  # the last one, which has no video: a message, not an end
    page.wait("at('saved').textContent.includes('1000: no such folder of images and no video file')")
    page.press("n")
    page.wait("now.video && now.video.id === 'diving/001'")


def test_the_contact_sheet_leads_into_the_page_at_the_worst_frame(
    command: Callable, serve: Callable, browser: Any, small: list[str], tmp_path: Path
) -> None:
    words = [*small, f"boxes.root={tmp_path / 'boxes'}"]
    (tmp_path / "boxes" / "diving").mkdir(parents=True)
    rows = [f"{t},0,{50 if t == 7 else 20},20,13,13,hand" for t in range(16)]  # a jump in frame 7
    (tmp_path / "boxes" / "diving" / "004.txt").write_text("\n".join(rows) + "\n")
    checked = command("check", *words, "--out", str(tmp_path / "out"), "--processes", "1")
    assert checked.returncode == 1, checked.stderr
    page = Page(browser, serve(*words, "--check", str(tmp_path / "out" / "check.csv")).url)
    page.press("h")
    page.driver.switch_to.window(page.driver.window_handles[-1])
    page.driver.find_element("partial link text", "diving/004").click()
    page.wait("document.body.dataset.ready === 'yes'")
    assert page.js("return [now.video.id, now.video.frames[now.position]]") == ["diving/004", 7]
    page.check_console()
    page.driver.close()
    page.driver.switch_to.window(page.driver.window_handles[0])


def test_the_page_as_one_file(command: Callable, browser: Any, dive_root: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    words = ["data=videos", f"data.root={dive_root}", f"boxes.root={tmp_path / 'boxes'}", "data.frames=21"]
    done = command("draw", *words, "--html", str(file), "--id", "dive", "--id", "pencil")
    assert done.returncode == 0, done.stderr
    assert str(dive_root) not in file.read_text()
    page = Page(browser, file.as_uri())
    page.drag((218, 24), (250, 200))
    page.press(END)
    page.press("b")
    page.press("D")
    page.saved()
    text, shown = page.js("return now.annotation.text()"), page.boxes()
    page = Page(browser, file.as_uri())  # loaded again: the browser has kept them
    page.wait("now.video.id === 'pencil'")  # the first one without boxes
    page.press("p")
    page.wait("now.video.id === 'dive'")
    assert same(page.boxes(), shown)
    sent = tmp_path / "sent" / "dive.txt"
    sent.parent.mkdir()
    sent.write_text(text)
    done = command("import", *words, str(sent))
    assert done.returncode == 0, done.stdout + done.stderr
    assert same(read_darklabel(tmp_path / "boxes" / "dive.txt", range(21)), shown)


def test_the_program_previews_masks_in_every_variant(
    serve: Callable, browser: Any, small: list[str], tmp_path: Path
) -> None:
    words = [*small, "data.settings.masks=true", "boxes=masks", f"boxes.root={tmp_path / 'boxes'}"]
    videos = [draw(np.random.default_rng((0, index)), "diving", "train", VARIANTS["demo"])[1] for index in range(1, 7)]
    (tmp_path / "boxes" / "diving").mkdir(parents=True)
    for index, video in enumerate(videos, 1):
        write_masks(tmp_path / "boxes" / "diving" / f"{index:03d}.json", video.masks)
    drawn = videos[0]
    page = Page(browser, serve(*words, "--id", "diving/001").url)
    assert page.js("return [...at('variant').options].map(({value}) => value)") == ["paper", "official", "clean"]
    buttons = "[...document.querySelectorAll('#commands button')]"
    seen = page.js(f"return {buttons}.filter((button) => button.offsetParent).map(({{firstChild}}) => firstChild.data)")
    assert "variant" in seen
    assert "sheet" not in seen  # nothing was checked
    page.wait("now.masks.length === 16 && Boolean(now.masks[0])")
    tinted = page.js(
        "const canvas = document.createElement('canvas'), context = canvas.getContext('2d');"
        "context.drawImage(now.masks[0], 0, 0); return [...context.getImageData(0, 0, 64, 64).data]"
    )
    assert np.array_equal(np.array(tinted).reshape(64, 64, 4)[..., 3] > 0, drawn.masks[0])
    shown, donor = {}, videos[int(page.js("return now.donor.id").split("/")[1]) - 1]
    for variant in ("paper", "official", "clean"):
        page.js("setVariant(arguments[0])", variant)
        page.wait("at('preview').ariaBusy === 'false'")
        pixels = page.js("const {data} = at('preview').getContext('2d').getImageData(0, 0, 64, 64); return [...data]")
        shown[variant] = np.array(pixels, int).reshape(64, 64, 4)[..., :3]
        own = np.abs(shown[variant] - drawn.frames[0].astype(int)).max(axis=-1)
        assert np.median(own[drawn.masks[0]]) < 25  # but for two JPEGs
    there = donor.masks[0] & ~drawn.masks[0]
    assert np.median(shown["official"][there]) < 40 < np.median(shown["clean"][there])  # painted black; filled
    assert np.abs(shown["paper"] - donor.frames[0])[there].mean() < 30  # the donor's athlete stays
    page.check_console()
