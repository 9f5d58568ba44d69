"""What a page begins with: the best setting of every split, and the difference that the comparison finds too."""

import json
from pathlib import Path

from swapaqa.report.answers import answers
from swapaqa.runs.compare import Protocol, compare
from swapaqa.runs.run_folders import read_sweeps

RECORDED = Path(__file__).parent / "recorded"


def test_of_ratios_the_best_is_named_on_every_split_and_that_they_disagree() -> None:
    (answer,) = answers(read_sweeps([RECORDED / "ratio"]), "last")
    assert answer.question == "Scale ratio, core on demo (last epoch)"
    test, shifted, disagree = answer.lines
    assert test.startswith(
        "test: ratio 3 has the highest ρ, 0.473 [-0.20, 0.76] (1 of 2 seeds); ratio 2 is next, 0.301 ±"
    )
    assert "of the seeds that both have" in test
    assert shifted.startswith("shifted: ratio 2 has the highest ρ, 0.248 ± 0.242 (2 seeds); ratio 1 is next, 0.126 ±")
    assert disagree == "The splits disagree: ratio 3 on test, ratio 2 on shifted."


def test_the_difference_is_that_of_the_comparison() -> None:
    (answer,) = answers(read_sweeps([RECORDED / "ratio"]), "last")
    one, other = (f"{RECORDED}/ratio:aug.ratio={ratio}" for ratio in (2, 1))
    said = compare(one, other, Protocol("spearman", "last", "shifted"))
    assert "a difference of +0.1224" in said
    assert "+0.122, 95 % interval [" in answer.lines[1]
    assert answer.lines[1].endswith(said.rpartition(": ")[2])


def test_the_swap_is_compared_with_no_swap_on_every_split() -> None:
    (answer,) = answers(read_sweeps([RECORDED / "plug_and_play"]), "last")  # usdl lacks a job: nothing to say of it
    assert answer.question == "The swap, core + swap, darklabel, ratio 2 on demo (last epoch)"
    assert [line.partition(":")[0] for line in answer.lines] == ["test", "shifted"]
    recorded = json.loads((RECORDED / "expected" / "compare.json").read_text())
    shifted = next(said for question, said in recorded.items() if question.startswith("plug_and_play"))
    assert "a difference of +0.0931" in shifted  # without the swap against with it
    assert "0.260" in answer.lines[1]
    assert "0.353" in answer.lines[1]
    assert "-0.093, 95 % interval" in answer.lines[1]


def test_a_list_of_settings_has_its_best_too() -> None:
    (answer,) = answers(read_sweeps([RECORDED / "factors"]), "last")
    assert answer.lines[1].startswith("shifted: aug=swap has the highest ρ, 0.248")


def test_one_setting_has_no_answer() -> None:
    assert answers(read_sweeps([RECORDED / "ratio" / "0"]), "last") == []
