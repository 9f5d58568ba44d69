"""The walls of the house, read from the source: who imports whom, and what has no room anywhere."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
LIBRARY = SOURCE / "swapaqa"
FILES = sorted(SOURCE.rglob("*.py"))
PROGRAMS = LIBRARY / "programs"
IN_LIBRARY = sorted(path for path in LIBRARY.rglob("*.py") if PROGRAMS not in path.parents)


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imported(path: Path) -> set[str]:
    """The modules that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def attributes(path: Path, owner: str) -> set[str]:
    """The attributes that a file takes of the variable `owner`."""
    return {
        node.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner
    }


def strings(path: Path) -> Iterator[str]:
    """The strings of a file that are not docstrings."""
    found = tree(path)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(found)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(found):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_the_files_are_found() -> None:
    assert len(IN_LIBRARY) > 20
    assert LIBRARY / "models" / "scorer.py" in IN_LIBRARY


BELOW = {  # the rooms whose files a room may import
    "files": set(),  # what may be wrong with one
    "video": {"files"},  # pixels
    "boxes": {"files", "video"},  # where the athlete is in them
    "data": {"files", "video", "boxes", "scene3d"},
    "scene3d": set(),  # films of dives, of arrays alone
    "augment": set(),
    "models": {"files"},
    "backbones": {"files", "models"},  # networks of libraries, as the encoders of methods
    "annotate": {"files", "video", "boxes", "data"},
}
IN_NO_ROOM = {"batch", "command", "console", "errors", "metrics", "pool", "seeds", "statistics", "__init__", "__main__"}


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_from_those_below_it(room: str) -> None:
    assert rooms()[room] - IN_NO_ROOM <= BELOW[room]


def test_the_hall_holds_what_every_room_asks_for() -> None:
    assert {path.stem for path in LIBRARY.glob("*.py")} == IN_NO_ROOM


def test_only_the_data_module_knows_lightning_in_its_room() -> None:
    """Whoever asks a data set what it is asks a source: `swapaqa.data.source`."""
    knowing = {
        path.name
        for room in ("video", "boxes", "data")
        for path in (LIBRARY / room).glob("*.py")
        if any(module.startswith(("pytorch_lightning", "lightning")) for module in imported(path))
    }
    assert knowing == {"datamodule.py", "pace_datamodule.py", "upload.py"}


def test_the_data_module_is_asked_by_those_alone_who_need_batches() -> None:
    """Everybody else asks its source: lists, files, windows, labels, groups, the reader of a sample."""
    asking = {str(path.relative_to(SOURCE)) for path in FILES if "swapaqa.data.datamodule" in imported(path)}
    assert asking == {
        "swapaqa/data/pace_datamodule.py",
        "swapaqa/gradcam/maps.py",
        "swapaqa/bench/evaluation.py",
        "swapaqa/extraction/extracting.py",
        "swapaqa/extraction/facts.py",
        "swapaqa/extraction/units.py",
        "swapaqa/running/feature_extraction.py",
        "swapaqa/running/features.py",
        "swapaqa/bench/growth.py",
        "swapaqa/bench/synthetic.py",
        "swapaqa/probing/design.py",
        "swapaqa/probing/picture.py",
        "swapaqa/running/assembly.py",
        "swapaqa/running/checkpoint.py",
        "swapaqa/configuration/data_sets.py",
        "swapaqa/running/cost_estimate.py",
        "swapaqa/running/published_checkpoint.py",
        "swapaqa/running/gradcam_study.py",
        "swapaqa/running/evaluation.py",
        "swapaqa/running/video_score.py",
        "swapaqa/running/training.py",
    }


def test_there_is_one_copy_of_every_module() -> None:
    assert not [path for path in FILES if any(module.startswith("src.swapaqa") for module in imported(path))]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("__init__.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_init_files_are_empty(path: Path) -> None:
    version = r'__version__ = "[\d.]+"\n' if path.parent == LIBRARY else ""
    assert re.fullmatch(version, path.read_text())


BY_NAME = ("clip_plan.py", "__init__")  # of ClipPlans: keeps what it is given by names of the user's


def test_nothing_is_printed_and_no_keyword_is_swallowed() -> None:
    for path, node in ((file, node) for file in FILES for node in ast.walk(tree(file))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{path}: {node.lineno}"
        if isinstance(node, ast.FunctionDef):
            assert node.args.kwarg is None or (path.name, node.name) == BY_NAME, f"{path}: {node.name}"
        if isinstance(node, ast.Attribute):  # torch.cuda is a module
            assert node.attr != "cuda" or isinstance(node.value, ast.Name), f"{path}: {node.lineno}"


def test_modules_are_named_by_what_they_hold() -> None:
    nothing = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}
    assert not [path for path in FILES if path.stem.strip("_") in nothing]


def test_only_the_scorer_and_the_pretext_task_log() -> None:
    loggers = {path.name for path in IN_LIBRARY if attributes(path, "self") & {"log", "log_dict"}}
    assert loggers == {"scorer.py", "segment_pace.py"}


def test_only_the_scorer_and_the_data_modules_know_the_trainer() -> None:
    """Wider than DESIGN.md, which names the data module alone: the scorer asks for the number of processes."""
    knowing = {str(path.relative_to(LIBRARY)) for path in IN_LIBRARY if "trainer" in attributes(path, "self")}
    assert knowing <= {"data/datamodule.py", "data/pace_datamodule.py", "models/scorer.py"}


def test_wandb_is_known_in_one_place() -> None:
    knowing = {path.name for path in FILES if any(module.split(".")[0] == "wandb" for module in imported(path))}
    assert knowing == {"tracking.py"}


def test_files_are_written_whole_and_named() -> None:
    """Else a full disk tears what was there before, and its error names no file: `swapaqa.files.whole_file`."""
    ways = {"write_text", "write_bytes", "savefig", "imwrite", "VideoWriter", "tofile", "to_csv"}
    own = {"whole_file.py", "film.py", "figures.py"}  # the one way of each kind
    as_text = {"render.py", "report.py"}  # pandas' `to_csv` without a file
    in_a_folder_that_is_moved = {"demo_files.py", "frame_store.py"}
    for_a_moment = {"desk.py", "memory.py", "loader.py", "folder.py", "made_aqa7.py"}
    writing = {
        path.name
        for path in FILES
        if any(isinstance(node, ast.Attribute) and node.attr in ways for node in ast.walk(tree(path)))
    }
    assert writing <= own | as_text | in_a_folder_that_is_moved | for_a_moment


def test_video_files_are_opened_in_one_place() -> None:
    """Else a count, a check and a training would see different frames; decord is imported where it is used."""
    decoders = {
        "av": {"pyav_reader.py", "index.py", "film.py"},  # the last one writes
        "decord": {"sequential_readers.py"},
        "torchvision": set(),
        "torchcodec": set(),
        "imageio": set(),
    }
    for module, rooms in decoders.items():
        knowing = {path.name for path in FILES if any(name.split(".")[0] == module for name in imported(path))}
        assert knowing == rooms, module
    captures = {path.name for path in FILES if "VideoCapture" in attributes(path, "cv2")}
    assert captures == {"sequential_readers.py"}
    top = {
        alias.name
        for node in tree(LIBRARY / "video" / "sequential_readers.py").body
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert "decord" not in top


def test_whoever_reads_a_data_set_hands_on_its_reader() -> None:
    """Every call outside the rooms `video`, `boxes` and `data` says how: else it would read with the default."""
    readers = {"read_frames": 3, "decode": 3, "frame_count": 2}  # arguments, the unpacked `decoding` being one
    without_a_data_set = {"strip.py", "known.py", "loader.py", "folder.py", "made_aqa7.py"}
    for path in FILES:
        if path.parent.name in ("video", "boxes", "data") or path.name in without_a_data_set:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in readers:
                assert len(node.args) + len(node.keywords) >= readers[node.func.id], f"{path.name}: {node.lineno}"


def test_the_library_does_not_know_the_programs_or_the_configuration() -> None:
    for path in IN_LIBRARY:
        modules = imported(path)
        assert not any(module == "src" or module.startswith(("src.", "swapaqa.programs")) for module in modules), path
        if path.parent.name not in ("configuration", "running"):
            assert not any(module.split(".")[0] in ("hydra", "omegaconf") for module in modules), path.name


# FineDiving contains MTL-AQA; the rehearsal is of that size
NAMED_ELSEWHERE = {("finediving", "mtl_aqa"), ("made_aqa7", "aqa7"), ("rehearsal", "aqa7")}


def test_a_data_set_is_named_in_its_own_file_only() -> None:
    presets = {path.stem for path in (SOURCE.parent / "conf" / "experiment").glob("*.yaml")}
    names = {
        "aqa7": r"AQA7|aqa7|AQA-7",
        "finefs": "FINEFS|[Ff]ine[Ff][Ss]",
        "fisv": "FISV|[Ff]is-?[Vv]",
        "logo": r"LOGO",
        "finediving": "FINEDIVING|[Ff]ine[Dd]iving",
        "mtl_aqa": r"MTL_AQA|mtl_aqa|MTL-AQA|MTLAQA",
        "unlv_dive": r"UNLV|unlv",
    }
    for path in IN_LIBRARY:
        for owner, pattern in names.items() if path.stem != "dives_in_common" else ():
            own = path.stem.removesuffix("_annotations")
            contained = (own, owner) in NAMED_ELSEWHERE
            if own != owner and not contained and (LIBRARY / "data" / f"{owner}.py").exists():
                named = [text for text in strings(path) if re.search(pattern, text) and text not in presets]
                assert not named, path.name


FOR_ALL_METHODS = ("scorer", "encoder", "clip_plan", "backbone", "frame_backbone", "normalisation", "gradcam",
                   "optimisation", "rates", "batch_norm", "segment_pace")  # fmt: skip


def test_a_model_is_named_in_its_own_file_only() -> None:
    """Class names of methods: no other file switches by them."""
    methods = {
        node.name: path
        for path in (LIBRARY / "models").glob("*.py")
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and path.stem not in FOR_ALL_METHODS
    }
    assert "CoRe" in methods
    for path in IN_LIBRARY:
        if path.parent.name != "models" and path.stem not in ("upgrade", "calibration_tau"):  # old names; a paper's
            used = set(re.findall(r"\w+", " ".join(strings(path)))) | {
                node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)
            }
            assert not used & set(methods), path.name


def test_files_and_functions_fit_in_a_head() -> None:
    """DESIGN.md's sizes with some room: 400 lines a file, 60 a function."""
    for path in FILES:
        assert len(path.read_text().splitlines()) <= 400, path.name
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{path.name}: {node.name}"


@functools.cache
def rooms() -> dict[str, set[str]]:
    """By folder or module of the hall, which others it imports, at the top of a file or inside a function."""
    found: dict[str, set[str]] = {}
    for path in IN_LIBRARY:
        room = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
        parts = [name.split(".") for name in imported(path) if name.startswith("swapaqa.")]
        found.setdefault(room, set()).update(part[1] for part in parts if part[1] != room)
    return {room: others & found.keys() for room, others in found.items()}


def reached(imports: dict[str, set[str]], room: str) -> set[str]:
    """The rooms that a room imports, and those that these import."""
    seen: set[str] = set()
    waiting = [room]
    while waiting:
        new = imports[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def circles(imports: dict[str, set[str]]) -> set[frozenset[str]]:
    """The groups of rooms in which each reaches every other."""
    reach = {room: reached(imports, room) for room in imports}
    return {
        frozenset(other for other in reach[room] if room in reach[other]) for room in imports if room in reach[room]
    }


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {frozenset("abc")}
    assert {"report", "running", "probing", "batch"} <= rooms().keys()
    assert "running" in rooms()["report"]


def test_no_room_imports_another_in_a_circle() -> None:
    assert not circles(rooms())


def test_training_does_not_carry_what_it_does_not_need() -> None:
    knowing = {path for path in FILES if any(module.split(".")[0] == "pandas" for module in imported(path))}
    assert {path.parent.name for path in knowing} == {"report", "runs"}
    assert not {"report", "runs", "bench", "annotate", "dashboards"} & set().union(
        *(reached(rooms(), room) for room in ("running", "data", "models"))
    )


def test_what_a_file_offers_says_what_it_is() -> None:
    """Methods that a class above documents need no second word; `main` is the file's own docstring."""
    for path in FILES:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith(("_", "main")):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
