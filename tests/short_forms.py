"""What makes a documented command a matter of seconds, and the files that it names.

A word of the short form takes the place of one of the command with the same key, so `trainer.max_epochs=50` runs one
epoch. What is replaced is composed and checked as it stands by `test_documented.py`.
"""

import re
import shlex
import shutil
from pathlib import Path

import cv2
import hydra
import numpy as np
import torch
from hydra import compose
from PIL import Image

from swapaqa.data.demo_files import write_video
from tests.forked import REPOSITORY
from tests.published_files import fill, published_content
from tests.routine_trees import write_fisv, write_rg
from tests.trees import FINE_DIVES, FINE_TEST, write_aqa7, write_dive, write_finediving, write_mtl_aqa

FRAMES = 112  # of a video: the window of 103, shifted
VIDEO = (360, 640)  # height and width of what stands for the videos in ../shared

TRAINING = ["trainer.max_epochs=1", "+trainer.max_steps=1", "trainer.check_val_every_n_epoch=1", "logger=csv"]
LOADING = ["data.workers=0", "data.batch_size=2"]
DEMO = ["data.settings.train=4", "data.settings.test=3", "data.settings.shifted=3"]
RENDERED = ["data.settings.size=32", "data.settings.frames=16", "data.frames=16", "data.settings.distractors=0"]
RENDERED += [f"data.geometry.{side}=32" for side in ("height", "width", "crop")]
REAL = ["data.geometry.height=40", "data.geometry.width=64", "data.geometry.crop=32"]
TWO = "trainer.devices=2"
SWEEPS = {  # two jobs or so of each
    "ratio": ["data.action=diving", "aug.ratio=1,2"],
    "box_source": ["data.action=diving", "experiment=box_source_none,box_source_tracker", "seed=0"],
    "plug_and_play": ["model=usdl,dae", "aug=none"],
    "aqa7_table": ["data.action=diving", "seed=0"],
    "mtl_aqa_table": ["model=musdl,core"],
    "demo_tables": ["hydra.sweeper.settings=['model=usdl aug=none,swap']"],
    "evidence": ["hydra.sweeper.settings=['aug=none,swap seed=0']", "hydra.sweeper.params.seed=0"],
    "unseen_venue": ["hydra.sweeper.settings=['aug=none,swap seed=0']", "hydra.sweeper.params.seed=0"],
    "evidence_3d": ["hydra.sweeper.settings=['aug=none,swap']", "seed=0"],
}
OPTIONS = {  # of a program with subcommands: a later one wins
    "demo swap": [],
    "boxes make": ["--processes", "1", "boxes.method=kcf", "boxes.max_lost=1", *REAL],
    "boxes check": ["--processes", "1", "--tolerate", "1", *REAL],
    "boxes draw": ["--html", "outputs/page.html", *REAL],
    "boxes import": ["boxes.root=outputs/imported", *REAL],
    "boxes measure": ["--videos", "1"],
    "boxes strip": ["--frames", "4"],
    "bench augment": ["--batch", "2", "--frames", "4", "--size", "32", "--rounds", "1"],
    "bench loader": ["--rounds", "1"],
    "bench folder": ["--images", "200", "--rounds", "1"],
    "bench pairs": ["--videos", "300"],
    "bench start": ["--rounds", "1"],
    "bench reports": ["--runs", "12", "--videos", "20"],
    "bench step": ["--rounds", "0", "--frames", "16", "--size", "32", "data.batch_size=1"],
    "bench evaluation": [],
    "bench backbones": ["--backbone", "tiny"],
    "bench methods": ["--experiment", "gdlt_mtl_aqa", "--rounds", "0"],
}
PUBLISHED = {  # files of others: whose program saves such a one, and its preset
    "CoRe.pth": ("core", "core_as_published"),
    "USDL.pt": ("usdl", "usdl_as_published"),
    "rgb_imagenet.pt": ("usdl", "usdl_as_published"),
}
PLACEHOLDERS = [
    (
        r"checkpoint=(?:outputs/)?(?:\.\.\.)(?:/checkpoints)?(?:/last\.ckpt)?(?= |$)",
        "checkpoint=outputs/A/checkpoints/last.ckpt",
    ),
    (r"also=\.\.\.", "also=outputs/B/checkpoints/last.ckpt"),
    (r"=([AB])\.ckpt", r"=outputs/\1/checkpoints/last.ckpt"),
    (r"RUN_([AB])", r"outputs/\1"),
    (r" data\.root=(?:\.\.\.|FOLDER)", ""),  # the environment names the made trees
    (r" data=\.\.\.", " data=aqa7"),
    (r"^train \.\.\.$", "train"),
    (r"data\.action=gym_vault", "data.action=diving"),
    (r"FILES_OR_FOLDERS", "drawn"),
    (r"hydra\.sweeper\.settings=\[\.\.\.\]", "hydra.sweeper.settings=['aug=none']"),
    (r"(?<=[ =])TIME\.pack\.ckpt", "outputs/NAME/TIME.pack.ckpt"),
    (r"diving/01[36]", "diving/005"),  # one of the few
    (r"(outputs/ratio)/3", r"\1/1"),
    (r"\[(--[^\]]+)\]", r"\1"),
]
OWN_BOXES = "boxes make data=videos data.root=my_videos source=tracker"
MAKERS = [  # what a command reads, and the command that writes it
    (r"outputs/ratio\b", "train --multirun +sweeps=ratio"),
    (r"outputs/box_source\b", "train --multirun +sweeps=box_source seed=0,1,2"),
    (r"outputs/evidence\b", "train --multirun +sweeps=evidence"),
    (r"outputs/unseen_venue\b", "train --multirun +sweeps=unseen_venue"),
    (r"outputs/demo_tables\b", "train --multirun +sweeps=demo_tables"),
    (r"outputs/aqa7_table\b", "train --multirun +sweeps=aqa7_table experiment=core_as_published,sbs_as_published"),
    (r"outputs/demo\b", "demo compare"),
    (r"outputs/evaluate\b", "evaluate checkpoint=.../last.ckpt probe=background"),
    (r"outputs/A\b|RUN_A|=A\.ckpt|checkpoint=[\w/]*\.\.\.", "train aug=none hydra.run.dir=outputs/A"),
    (r"outputs/B\b|RUN_B|=B\.ckpt|also=\.\.\.", "train hydra.run.dir=outputs/B"),
    (
        r"checkpoint=outputs/OWN\b",
        "train model=core data=finediving data.without=mtl_aqa hydra.run.dir=outputs/OWN",
    ),
    (r"outputs/NAME/TIME\b", "train hydra.run.dir=outputs/NAME/TIME"),
    (
        r"pretrained=outputs/PECOP\b",
        "pretrain data=mtl_aqa backbone.pretrained=rgb_imagenet.pt hydra.run.dir=outputs/PECOP",
    ),
    (r"TIME\.pack\.ckpt", "report pack outputs/NAME/TIME"),
    (r"features/demo\b", "extract model=gdlt aug=swap copies=4 out=features/demo"),
    (r"features/aqa7\b", "extract data=aqa7 model=gdlt backbone.pretrained=rgb_imagenet.pt out=features/aqa7"),
    (
        r"my_videos boxes=darklabel|^boxes (check|draw) .*my_videos",
        "boxes make data=videos data.root=my_videos source=tracker",
    ),
]


def shortened(command: str, number: int) -> tuple[str, list[str]]:
    """Program and words of the short form; `number`: of the folder of a sweep that no other command reads."""
    text = command
    for pattern, value in PLACEHOLDERS:
        text = re.sub(pattern, value, text)
    program, *words = [word for part in shlex.split(text) for word in braces(part)]
    return program, replaced(words, short_words(program, words, number, command))


def short_words(program: str, words: list[str], number: int, command: str) -> list[str]:
    """The words that make a command short."""
    if program == "train":
        return training_words(words, number, command)
    if program == "pretrain":
        real = any(word.startswith("data=") for word in words)
        return [*TRAINING, *LOADING, *(REAL if real else DEMO), "pretext.repeats=1", "pretext.plan.frames=8"]
    if program == "extract":
        real = any(word.startswith("data=") for word in words)
        pretrained = any(word.startswith("backbone.pretrained") for word in words)
        return [
            "data.workers=0",
            *([*REAL, "data.frames=16", *([] if pretrained else ["backbone=tiny"])] if real else DEMO),
        ]
    if program == "doctor":
        return of_data(words)
    if program == "evaluate" and any(word in words for word in ("checkpoint=CoRe.pth", "checkpoint=USDL.pt")):
        return [*REAL, *LOADING]
    if program in ("evaluate", "gradcam", "report"):
        return ["videos=1"] if program == "gradcam" and not any("videos=" in word for word in words) else []
    if program == "demo" and words[0] == "compare":
        return [*DEMO, *TRAINING, *LOADING]
    own = OPTIONS[f"{program} {words[0]}"]
    if program == "demo":
        return ["--out", "outputs/swap", *of_data(words)] if "--video" not in words else own
    return own


def of_data(words: list[str], sweep: str | None = None) -> list[str]:
    """Few and small videos of the data set that `words` name, or that `sweep` is on."""
    data = next((word.partition("=")[2] for word in words if word.startswith("data=")), None)
    if data == "demo_3d" or sweep == "evidence_3d":
        return [*DEMO, *RENDERED]
    return DEMO if data in (None, "demo") else REAL


def training_words(words: list[str], number: int, command: str) -> list[str]:
    sweep = next((word.partition("=")[2] for word in words if word.startswith("+sweeps=")), None)
    data = next((word.partition("=")[2] for word in words if word.startswith("data=")), None)
    preset = any(word.startswith("experiment=") and word != "experiment=none" for word in words)
    rendered = "demo_3d" if sweep == "evidence_3d" else data
    made = rendered is None and sweep in (None, "evidence", "demo_tables")
    real = preset or not (made or rendered in ("demo", "demo_3d"))
    short = [*TRAINING, *LOADING, *(REAL if real else of_data(words, sweep))]
    short += [f"boxes.root=boxes_{found[1]}" for found in re.finditer(r"data_fmt=\[(\w+)", command)]
    pretrained = any(word.startswith("backbone.pretrained") for word in words)
    if real and not pretrained and not {"reader=features", "data=features"} & set(words):
        short.append("backbone=tiny")
    if pretrained or "boxes=tracker" in words:
        short.append("data.frames=16")  # one clip a video
    if "batch=scaled" in words:
        short = [TWO, *(word for word in short if "batch_size" not in word)]
    if sweep:
        own = [word for word in SWEEPS[sweep] if not (data == "demo" and word.startswith("experiment="))]
        short += [word for word in own if not (word.startswith("model=") and real)]
    elif "--multirun" in words:
        short += ["data.action=diving", "aug.ratio=1,2"]
    if "--multirun" in words and command not in {maker for _, maker in MAKERS}:
        short.append(f"hydra.sweep.dir=outputs/sweep_{number}")
    return short


def replaced(words: list[str], short: list[str]) -> list[str]:
    """`words` without those whose keys or options `short` has, and `short`."""
    keys = {key_of(word) for word in short if "=" in word and not word.startswith("-")}
    options = {word for word in short if word.startswith("--")}
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word not in options and before not in options and (word.startswith("--") or key_of(word) not in keys)
    ]
    return [*few_variants(kept), *short]


def few_variants(words: list[str]) -> list[str]:
    """The words with the first and the last `--also` of several: what a benchmark compares is built one by one."""
    places = [place for place, word in enumerate(words) if word == "--also"]
    left_out = {place + offset for place in places[1:-1] for offset in (0, 1)}
    return [word for place, word in enumerate(words) if place not in left_out]


def key_of(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def braces(word: str) -> list[str]:
    """As a shell expands `a/{b,c}`."""
    found = re.fullmatch(r"(.*/)\{(.*)\}", word)
    return [found[1] + part for part in found[2].split(",")] if found else [word]


def write_home(parent: Path) -> Path:
    """A folder with everything that the pages name: data sets, videos, boxes, and files of others."""
    home = parent / "home"
    home.mkdir()
    write_aqa7(parent / "aqa7", train=4, test=3, frames=FRAMES)
    write_mtl_aqa(parent / "mtl_aqa", "cut", FRAMES, more={(2, 1): (20, 3.0, "107B"), (3, 1): (24, 3.0, "207B")})
    write_finediving(parent / "finediving")
    for name, write in (("rg", write_rg), ("fisv", write_fisv)):
        shutil.copytree(write(parent / name), home / name)
    write_own_videos(home)
    write_own_features(home)
    write_published_material(home)
    write_shared_videos(parent / "shared" / "data" / "video")
    shutil.copytree(REPOSITORY / "docs" / "figures" / "boxes", home / "docs" / "figures" / "boxes")
    drawn = home / "tests" / "annotate" / "hand_boxes"
    drawn.mkdir(parents=True)
    shutil.copy(home / "docs" / "figures" / "boxes" / "diving_sample.txt", drawn)
    (home / "drawn" / "diving").mkdir(parents=True)
    shutil.copy(parent / "aqa7" / "boxes" / "diving" / "001.txt", home / "drawn" / "diving")
    write_other_formats(parent / "aqa7" / "boxes" / "diving", home)
    (home / "darklabel.yml").write_text(
        "%YAML:1.0\n---\nformat5: {data_fmt: [fn, id, x1, y1, w, h, cname], gt_file_ext: txt, gt_merged: 1}\n"
    )
    return home


def write_other_formats(boxes: Path, home: Path) -> None:
    """The boxes of AQA-7 in DarkLabel's formats `fn,cname,id,x1,y1,w,h` and `classid,ncx,ncy,nw,nh`, a file a frame."""
    height, width = 40, 64
    for file in sorted(boxes.iterdir()):
        rows = [line.split(",") for line in file.read_text().splitlines()]
        merged, images = home / "boxes_fn" / "diving" / file.name, home / "boxes_classid" / "diving" / file.stem
        merged.parent.mkdir(parents=True, exist_ok=True)
        images.mkdir(parents=True)
        merged.write_text("".join(f"{fn},{label},{n},{x},{y},{w},{h}\n" for fn, n, x, y, w, h, label in rows))
        for fn, _, *box, _ in rows:
            x, y, w, h = map(int, box)
            shares = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            (images / f"{int(fn):05d}.txt").write_text(" ".join(map(str, (0, *shares))) + "\n")


def write_published_material(home: Path) -> None:
    """A log by epoch, predictions of the test dives of FineDiving's tree, and a table of RG."""
    (home / "LOG.csv").write_text("run,epoch,spearman,relative_l2_x100\na,0,0.5,3\na,1,0.75,2\na,2,0.7,2.5\n")
    np.save(home / "PRED.npy", np.array([60.0, 20.0]))
    np.save(home / "TRUE.npy", np.array([FINE_DIVES[key][0] for key in FINE_TEST]))
    (home / "hoop.csv").write_text("pred,true\n90,16.7\n91,11.7\n88,14\n")


def write_own_videos(home: Path) -> None:
    """`my_videos` and its table, and one more video."""
    made = home / "made"
    made.mkdir()
    for index in range(1, 12, 2):  # those that are files
        write_dive(made, index, FRAMES, (40, 64))
    files = sorted((made / "diving-out").glob("*.avi"))
    (home / "my_videos").mkdir()
    for file in files:
        file.rename(home / "my_videos" / file.name)
    rows = [f"{file.name},{40 + 7 * place}" for place, file in enumerate(files)]
    (home / "my_videos" / "videos.csv").write_text("\n".join(["video,score", *rows]) + "\n")
    shutil.copy(home / "my_videos" / files[0].name, home / "dive.mp4")
    shutil.rmtree(made)


def write_own_features(home: Path) -> None:
    """`my_features` and its table: sequences of several lengths."""
    folder, generator = home / "my_features", np.random.default_rng(0)
    folder.mkdir()
    for number in range(6):
        np.save(folder / f"{number}.npy", generator.normal(size=(60 + 4 * number, 16)).astype(np.float32))
    rows = [f"{number},{40 + 7 * number}" for number in range(6)]
    (folder / "videos.csv").write_text("\n".join(["video,score", *rows]) + "\n")


def write_shared_videos(folder: Path) -> None:
    """Videos under the names of those in ../shared: a camera passes a wall of noise, before which a square falls."""
    folder.mkdir(parents=True)
    height, width = VIDEO
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8 + FRAMES, 3), dtype=np.uint8)
    large = cv2.resize(noise, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    frames = np.stack([large[:, 2 * t : 2 * t + width] for t in range(FRAMES)])
    for t, frame in enumerate(frames):
        frame[2 * t : 2 * t + 80, width // 2 : width // 2 + 60] = (230, 60, 20)
    for name in ("arm_wrestling.mp4", "action.avi", "flipping_a_pancake.mkv"):
        write_video(folder / name, frames)
    first, *rest = (Image.fromarray(frame) for frame in frames)
    first.save(folder / "diving_sample.gif", save_all=True, append_images=rest)


def write_published(home: Path, name: str) -> None:
    """A file with seeded weights as the program of CoRe or USDL saves it, or of the I3D alone."""
    system, preset = PUBLISHED[name]
    with hydra.initialize_config_module("swapaqa.conf", version_base="1.3"):
        cfg = compose("evaluate", [f"checkpoint={name}", "name=evaluate", f"experiment={preset}"])
    model = hydra.utils.instantiate(cfg.model)
    fill(model)
    content = published_content(model, system, parallel=False)
    torch.save(content["i3d"] if name == "rgb_imagenet.pt" else content, home / name)
