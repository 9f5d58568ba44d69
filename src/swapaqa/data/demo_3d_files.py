"""The files of `data=demo_3d`: what each holds, and how one dive is written.

Under one folder of the cache, in the layout of AQA-7 and with more beside it (docs/demo_3d.md):

    diving-out/001.avi ...                     motion JPEG
    Split_4/split_4_{train,test,shifted}_list.mat
    Split_4/judges.csv                         action, index, difficulty, the seven judges' scores
    Split_4/dives.csv                          everything else that is known of a dive
    Split_4/sha256.json                        digests of the lists and the tables
    boxes/diving/001.txt ...                   DarkLabel keyframes of an annotator
    boxes/diving/001.json ...                  exact masks of every frame, as COCO's run lengths
    boxes_exact/diving/001.txt ...             exact boxes of every frame, as DarkLabel's
    poses/001.npy ...                          exact joints of every frame
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from swapaqa.data.demo_3d_rule import Judged, judge
from swapaqa.data.demo_files import DIGESTS, JUDGES_FILE, write_list, write_masks, write_video
from swapaqa.errors import InputError
from swapaqa.files.whole_file import whole, write_whole
from swapaqa.scene3d.dive import ENTRY_SHARE
from swapaqa.scene3d.film import Filmed, Shot, film_dive
from swapaqa.scene3d.skeleton import PLACE
from swapaqa.scene3d.venue import CUES, Cue, draw_venue, tell

VERSION = 1  # raised whenever what is written changes, so that no old cache is served
SEED_WORD = 3  # beside seed and index: other draws than those of the stick figures
SPLITS = ("train", "test", "shifted")
DIVES_FILE, FACTS = "dives.csv", "facts"
MOSTLY = 0.4  # of the usual area of the athlete in the picture
CLASS = 1.0  # of the dives in the lists
COCO = (  # COCO's 17 keypoints, where they are on the skeleton; those of a face lie on its skull
    *("skull",) * 5,
    *(f"{side}_{name}" for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in "lr"),
)


@dataclass(frozen=True)
class Demo3DSettings:
    """What the films look like.

    Attributes:
        train, test, shifted: films in these lists.
        cue_strength: share of the films in `train` and `test` whose venue tells the score; the others' tell nothing.
        keyframes: boxes of a film that are written; between them they are interpolated.
        cue: what carries the cue: `banner`, `pool`, `light`, or `venue` for all three.
        distractors: other people who walk beside the pool.
        athlete: size of the athlete in the picture.
        box_shift, box_size: errors of the written boxes: moved and scaled by up to this share of their sides.
        frames, size: of a film; rows and columns in pixels.
    """

    train: int
    test: int
    shifted: int
    cue_strength: float
    keyframes: int
    seed: int
    cue: Cue = "venue"
    distractors: int = 2
    athlete: float = 1.0
    box_shift: float = 0.05
    box_size: float = 0.1
    frames: int = 32
    size: int = 112

    def __post_init__(self) -> None:
        for key, most in (("cue_strength", 1), ("box_shift", 1), ("box_size", 0.9)):
            if not 0 <= getattr(self, key) <= most:
                raise InputError(f"data.settings.{key}={getattr(self, key)}: a share from 0 to {most} is needed")
        for key, least in (("train", 2), ("test", 2), ("shifted", 2), ("distractors", 0), ("frames", 8), ("size", 16)):
            if getattr(self, key) < least:
                raise InputError(f"data.settings.{key}={getattr(self, key)}: at least {least} is needed")
        if not 0.4 <= self.athlete <= 1.6:
            raise InputError(f"data.settings.athlete={self.athlete}: from 0.4 to 1.6 the athlete is seen and fits")
        if self.cue not in CUES:
            raise InputError(f"data.settings.cue={self.cue}: one of {', '.join(CUES)} is needed")
        if not 2 <= self.keyframes <= self.frames:
            raise InputError(f"data.settings.keyframes={self.keyframes}: between 2 and {self.frames} are possible")

    @property
    def digest(self) -> str:
        """Names the folder: other settings or another version are another one."""
        return hashlib.sha256(repr((VERSION, sorted(asdict(self).items()))).encode()).hexdigest()[:12]

    def split_of(self, index: int) -> str:
        """The list of dive `index`, which counts from 1."""
        ends = np.cumsum([getattr(self, split) for split in SPLITS])
        return SPLITS[int(np.searchsorted(ends, index))]

    @property
    def count(self) -> int:
        return self.train + self.test + self.shifted


def draw(settings: Demo3DSettings, index: int) -> tuple[Judged, Filmed, dict[str, Any]]:
    """Dive `index`: what was judged, its film, and what else is known of it, as a row of `dives.csv`.

    All draws are of seed and index alone, so that it is the same whoever draws it.
    """
    rng = np.random.default_rng((settings.seed, index, SEED_WORD))
    of_dive, of_venue, of_film = rng.spawn(3)  # so that another cue leaves dive and film as they are
    judged = judge(of_dive, 0.0 if settings.split_of(index) == "shifted" else settings.cue_strength)
    told = tell(judged.cue, settings.cue, of_venue)
    shot = Shot(settings.frames, settings.size, judged.splash, settings.athlete, settings.distractors)
    filmed = film_dive(of_film, judged.dive, draw_venue(of_venue, told), shot)
    return judged, filmed, {"index": index, "number": judged.number} | _facts(judged, filmed, told._asdict())


def _facts(judged: Judged, filmed: Filmed, told: Mapping[str, float]) -> dict[str, Any]:
    times, flight = filmed.moved.times, filmed.moved.flight
    gone = ~filmed.masks.any(axis=(1, 2))
    under = int(gone.argmax()) if gone.any() else len(times) - 1

    def share(moment: float) -> float:
        """Of the film."""
        return round(float((moment - times[0]) / (times[-1] - times[0])), 4)

    return {
        "entry_error": round(judged.dive.entry_error, 2),
        "form": round(judged.dive.form, 4),
        "splash": round(judged.splash, 4),
        "takeoff": share(0.0),
        "stretched": share(ENTRY_SHARE * flight),
        "entry": share(flight),
        "under_water": round(max(under / (len(times) - 1), share(flight)), 4),
        "cue": round(judged.cue, 4),
        **{name: round(value, 4) for name, value in told.items()},
    }


def write_dive(root: Path, settings: Demo3DSettings, index: int) -> None:
    """Write the files of dive `index`, its facts last: where they are, all others are whole."""
    judged, filmed, known = draw(settings, index)
    boxes = exact_boxes(filmed.masks)
    shown = ~np.isnan(boxes[:, 0])
    rng = np.random.default_rng((settings.seed, index, SEED_WORD, 1))
    keys = drawn_keyframes(filmed.masks, settings.keyframes)
    drawn = np.where(shown[:, None], boxes, filmed.entries)[keys]
    name, folder = f"{index:03d}", root / "boxes" / "diving"
    for place in (root / "diving-out", folder, root / "boxes_exact" / "diving", root / "poses", root / FACTS):
        place.mkdir(parents=True, exist_ok=True)
    with whole(root / "diving-out" / f"{name}.avi", ".avi") as unfinished:
        write_video(unfinished, filmed.frames)
    write_whole(folder / f"{name}.txt", darklabel(keys, annotated(drawn, settings, rng)))
    write_masks(folder / f"{name}.json", filmed.masks)
    everywhere = np.flatnonzero(shown)
    write_whole(root / "boxes_exact" / "diving" / f"{name}.txt", darklabel(everywhere, boxes[everywhere]))
    poses = io.BytesIO()
    np.save(poses, filmed.joints[:, [PLACE[joint] for joint in COCO]])
    write_whole(root / "poses" / f"{name}.npy", poses.getvalue())
    facts = {"difficulty": judged.difficulty, "judges": judged.judges, "score": judged.score, "known": known}
    write_whole(root / FACTS / f"{name}.json", json.dumps(facts))


def exact_boxes(masks: np.ndarray) -> np.ndarray:
    """Around the athlete in every frame (T, 4), inclusive x1 y1 x2 y2; NaN where he is not to be seen."""
    boxes = np.full((len(masks), 4), np.nan)
    for t, mask in enumerate(masks):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            boxes[t] = columns[0], rows[0], columns[-1], rows[-1]
    return boxes


def drawn_keyframes(masks: np.ndarray, count: int) -> np.ndarray:
    """The frames in which an annotator draws: spread from the first to the last one that shows most of the athlete, and
    the last one of the film, in which the place of the entry is marked.
    """
    areas = masks.sum(axis=(1, 2))
    most = np.flatnonzero(areas > MOSTLY * np.median(areas[areas > 0]))
    spread = most[0] + np.linspace(0, most[-1] - most[0], count - 1).round()
    return np.unique([*spread, len(masks) - 1]).astype(int)


def annotated(boxes: np.ndarray, settings: Demo3DSettings, rng: np.random.Generator) -> np.ndarray:
    """`boxes` (K, 4) as somebody draws them who is neither exact nor blind: see `Demo3DSettings`."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2 + settings.box_shift * sides * rng.uniform(-1, 1, sides.shape)
    drawn = np.maximum(sides * (1 + settings.box_size * rng.uniform(-1, 1, sides.shape)), 1)
    return np.concatenate([middles - (drawn - 1) / 2, middles + (drawn - 1) / 2], axis=1)


def darklabel(frames: Sequence[int] | np.ndarray, boxes: np.ndarray) -> str:
    """Lines of frame, id, x, y, w, h, label."""
    lines = [
        f"{t},0,{x1:.1f},{y1:.1f},{x2 - x1 + 1:.1f},{y2 - y1 + 1:.1f},athlete"
        for t, (x1, y1, x2, y2) in zip(frames, boxes, strict=True)
    ]
    return "".join(f"{line}\n" for line in lines)


def write_lists(root: Path, settings: Demo3DSettings) -> None:
    """Write lists, tables and digests from the facts of all dives."""
    lists = root / "Split_4"
    facts = [json.loads((root / FACTS / f"{index:03d}.json").read_text()) for index in range(1, settings.count + 1)]
    judges = [["diving", index, fact["difficulty"], *fact["judges"]] for index, fact in enumerate(facts, 1)]
    _write_table(lists / JUDGES_FILE, ["action", "index", "difficulty", *(f"judge_{i}" for i in range(1, 8))], judges)
    _write_table(lists / DIVES_FILE, list(facts[0]["known"]), [list(fact["known"].values()) for fact in facts])
    for split in SPLITS:
        rows = [
            (CLASS, float(index), fact["score"])
            for index, fact in enumerate(facts, 1)
            if settings.split_of(index) == split
        ]
        write_list(lists / f"split_4_{split}_list.mat", {f"consolidated_{split}_list": np.array(rows)})
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(lists.iterdir())}
    write_whole(lists / DIGESTS, json.dumps(digests))


def _write_table(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    table = io.StringIO(newline="")
    csv.writer(table).writerows([head, *rows])
    write_whole(path, table.getvalue())
