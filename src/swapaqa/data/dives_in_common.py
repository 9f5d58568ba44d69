"""The dives that AQA-7 and MTL-AQA have in common: all 370 of AQA-7's, single dives from the platform.

Found by comparing the annotations. AQA-7's dives are, in the order of their numbers, those of MTL-AQA's competitions
03, 02 and 01, but for dives 03_009 and 01_070, which AQA-7 has not. UNLV-Dive, which is the same 370 dives, gives their
difficulties: score and difficulty of 367 agree, the other three (73, 133 and 345) differ in the score by 0.1 or in the
difficulty by 0.3. No picture was compared.
"""

from typing import NamedTuple

from swapaqa.data.footage import Footage

AQA7, MTL_AQA = "aqa7", "mtl_aqa"  # their names in `data=`


class Run(NamedTuple):
    """Dives that follow each other in both data sets: `first` to `last` in AQA-7, from `dive` on in `competition`."""

    first: int
    last: int
    competition: int
    dive: int


RUNS = (
    Run(1, 8, 3, 1),
    Run(9, 72, 3, 10),
    Run(73, 180, 2, 1),
    Run(181, 243, 1, 1),
    Run(244, 248, 1, 65),  # MTL-AQA has no dive 01_064
    Run(249, 370, 1, 71),
)


def in_mtl_aqa(index: int) -> tuple[int, int] | None:
    """Competition and dive in MTL-AQA of the dive of AQA-7 with this number; None for a number that it has not."""
    run = next((run for run in RUNS if run.first <= index <= run.last), None)
    return None if run is None else (run.competition, run.dive + index - run.first)


def in_aqa7(competition: int, dive: int) -> int | None:
    """The number in AQA-7 of a dive of MTL-AQA; None where AQA-7 has it not."""
    for run in RUNS:
        index = run.first + dive - run.dive
        if run.competition == competition and run.first <= index <= run.last:
            return index
    return None


def mtl_aqa_footage(competition: int, dive: int) -> Footage:
    """A dive of MTL-AQA, whichever data set lists it."""
    also_in = () if in_aqa7(competition, dive) is None else (AQA7,)
    return Footage(f"{MTL_AQA}/{competition:02d}_{dive:03d}", also_in)


def aqa7_footage(video_id: str) -> Footage:
    """A video of AQA-7 by its id, "diving/001": of a dive what it is in MTL-AQA."""
    action, _, index = video_id.partition("/")
    found = in_mtl_aqa(int(index)) if action == "diving" else None
    return Footage(f"{AQA7}/{video_id}") if found is None else mtl_aqa_footage(*found)._replace(also_in=(MTL_AQA,))
