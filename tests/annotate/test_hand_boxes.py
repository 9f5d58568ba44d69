"""The real clips with boxes that we drew by looking: they are read, and moved off the athlete they are more harmful."""

from pathlib import Path

import numpy as np
import pytest

from swapaqa.annotate.box_file import format_row, read_rows
from swapaqa.annotate.examine import Question, examine
from swapaqa.annotate.suspicion import HARM
from swapaqa.boxes.darklabel import DarkLabelBoxes
from swapaqa.video.frames import frame_count

DRAWN = Path(__file__).parent / "hand_boxes"
CLIPS = sorted(path.stem for path in DRAWN.glob("*.txt"))


def test_every_clip_with_something_that_performs_has_boxes_in_its_frames(real_data: Path) -> None:
    """`corrupted.mp4` is a test picture and `rotated_90.mov` a keyboard: nobody is in them."""
    clips = {path.stem: path for path in (real_data / "video").iterdir()}
    assert set(clips) - set(CLIPS) == {"corrupted", "rotated_90"}
    for name in CLIPS:
        rows = read_rows(DRAWN / f"{name}.txt")
        assert rows[-1].frame < frame_count(clips[name])
        assert {row.label for row in rows} <= {"hand", "outside"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aqa7_diving_054", "diving_sample"])
def test_on_real_dives_boxes_beside_the_athlete_are_more_harmful(name: str, real_data: Path, tmp_path: Path) -> None:
    (media,) = (real_data / "video").glob(f"{name}.*")
    rows = [row for row in read_rows(DRAWN / f"{name}.txt") if row.label == "hand"]
    frames = range(rows[0].frame, rows[-1].frame + 1)
    found = []
    for away in (0, 90):
        moved = [(row.frame, np.add(row.box, [away, 0, away, 0])) for row in rows]
        path = tmp_path / f"{away}.txt"
        path.write_text("".join(format_row(frame, "0", box, "hand") for frame, box in moved))
        question = Question(name, "train", "diving", media, frames, [path.with_suffix("")], DarkLabelBoxes(2.0, None))
        examined = examine(question)
        assert not examined.problem
        found.append(next(one.value for one in examined.found if one.measure == HARM))
    assert found[0] < found[1]
