"""Files as the programs of published methods save them, made from a model of ours.

The names are written down a second time here, from ours to theirs, so that a wrong one on either side is found.
"""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swapaqa.models.scorer import Scorer

LINEAR = {"0": "layer1", "2": "layer2", "4": "layer3"}
PIERGIAJS_BRANCH = {"0": "b0", "1.0": "b1a", "1.1": "b1b", "2.0": "b2a", "2.1": "b2b", "3.1": "b3b"}


def core_head(name: str) -> str:
    level = r"tree\.(expand|classify)\.(\d+)\.(weight|bias)"
    if found := re.fullmatch(level, name):
        which, number, kind = found.groups()
        return f"feature_layers.{number}.0.{kind}" if which == "expand" else f"clf_layers.{number}.{kind}"
    return name.replace("tree.root.", "first_layer.0.").replace("tree.regress.", "reg_layer.")


def musdl_head(name: str) -> str:
    _, _, judge, _, layer, kind = name.split(".")  # heads.judges.3.layers.2.weight
    return f"evaluator.{judge}.{LINEAR[layer]}.{kind}"


def usdl_head(name: str) -> str:
    _, _, layer, kind = name.split(".")
    return f"evaluator.{LINEAR[layer]}.{kind}"


def dae_head(name: str) -> str:
    names = {"head.layers.0": "fc1", "head.layers.2": "fch", "head.mean": "fc2_mean", "head.log_variance": "fc2_logvar"}
    layer, _, kind = name.rpartition(".")
    return f"{names[layer]}.{kind}"


def piergiajs(name: str) -> str:
    name = re.sub(r"branch_(\d(?:\.\d)?)\.", lambda found: PIERGIAJS_BRANCH[found[1]] + ".", name)
    name = name.replace("batch3d", "bn")
    return name[0].upper() + name[1:]


def hgcn_head(name: str) -> str:
    relation = {"learnt": "C", "gain": "alpha", "query.weight": "conv_q.weight", "key.weight": "conv_k.weight"}
    before = {
        "head.scene.shots.relate.": "scene_gen.shot_gcn.adp_adj.",
        "head.scene.assign.relate.": "scene_gen.trans_gcn.adp_adj.",
        "head.sequence.relate.": "mot_agg.adp_A.",
    }
    for ours, theirs in before.items():
        if name.startswith(ours):
            return theirs + relation[name.removeprefix(ours)]
    names = {
        "head.refine.state": "shot_gen.state_gen.0",
        "head.refine.mix": "shot_gen.info_trans.0",
        "head.scene.shots.mix": "scene_gen.shot_gcn.shot_agg.0",
        "head.scene.assign.mix": "scene_gen.trans_gcn.shot_agg.0",
        "head.read": "mot_agg.mlp.0",
        "head.mean": "fc2_mean",
        "head.log_variance": "fc2_logvar",
    }
    if name in ("head.scene.share", "head.scene.gain"):
        return "scene_gen.trans_gcn." + ("S" if name.endswith("share") else "alpha")
    layer, _, kind = name.rpartition(".")
    return f"{names[layer]}.{kind}"


def tpt_head(name: str) -> str:
    if name.startswith("tree."):
        _, part, rest = name.split(".", 2)
        return {"pair": "pair_encoder.mlp", "classify": "cls", "regress": "reg"}[part] + f".{rest}"
    name = name.replace("decoder.names.", "decoder.query_embed.").replace("temperature", "temp")
    return "action_" + re.sub(r"\.(key|value|query)\.", r".\1_embed.", name)


def t2cr_head(name: str) -> str:
    """Its entry comes first: `taa.`, `decoder.` or `regressor.`."""
    whole, _, kind = name.rpartition(".")
    names = {
        **{f"attention.stretch.{place}": f"taa.inconv.conv.{place}" for place in (0, 1, 3, 4)},
        "attention.features.narrow": "taa.selayer.fc.0", "attention.features.widen": "taa.selayer.fc.2",
        "attention.clips.narrow": "taa.cbam.ca.se.0", "attention.clips.widen": "taa.cbam.ca.se.2",
        "attention.places.conv": "taa.cbam.sa.conv", "attention.layers.0": "taa.fc1", "attention.layers.2": "taa.fc2",
        "attention.score": "taa.fc_score", "attention.dive": "taa.fc_class", "attention.unused.0": "taa.mlp.fc1",
        "attention.unused.1": "taa.mlp.fc2", "attention.unused.2.narrow": "taa.ca.se.0",
        "attention.unused.2.widen": "taa.ca.se.2",
        "decoder.mix_full": "decoder.conv1", "decoder.mix_thin": "decoder.conv2",
        "decoder.attention.weigh": "decoder.sa.fc_i", "decoder.attention.key": "decoder.sa.fc_k",
        "decoder.attention.value": "decoder.sa.fc_v", "decoder.attention.out": "decoder.sa.fc_o",
        "regress.layers.0": "regressor.layer1", "regress.layers.2": "regressor.layer2",
        "regress.last": "regressor.layer3",
        "regress.features.narrow": "regressor.selayer.fc.0", "regress.features.widen": "regressor.selayer.fc.2",
    }  # fmt: skip
    of_layer = {
        "norm_query": "norm_q", "norm_memory": "norm_v", "norm": "norm2", "query": "attn.q_map", "key": "attn.k_map",
        "value": "attn.v_map", "out": "attn.proj", "forward_part.0": "mlp.fc1", "forward_part.2": "mlp.fc2",
    }  # fmt: skip
    names |= {
        f"decoder.layers.{number}.{our}": f"decoder.model.{number}.{theirs}"
        for number in range(3)
        for our, theirs in of_layer.items()
    }
    return f"{names[whole.removeprefix('head.')]}.{kind}"


def tsa_net_head(name: str) -> str:
    """Its entry comes first: `evaluator.` or `TSA_module.`."""
    if name.startswith("head."):
        return f"evaluator.{usdl_head(name)}"
    ours, _, kind = name.removeprefix("encoder.tube.").rpartition(".")
    return f"TSA_module.NL_1D.{ {'value': 'g', 'out': 'W.0', 'norm': 'W.1'}[ours] }.{kind}"


def tsa_head(name: str) -> str:
    """Its entry comes first: `psnet_model.`, `decoder.` or `regressor_delta.`."""
    _, part, place, rest = name.split(".", 3)
    if part == "regress":
        return f"regressor_delta.{LINEAR[place]}.{rest}"
    if part == "decoder":
        return t2cr_head(f"head.decoder.layers.{place}.{rest}")
    number, _, rest = rest.partition(".")
    if place == "transit":
        return f"psnet_model.tas.{LINEAR[number]}.{rest}"
    return "psnet_model." + ("inc.conv.conv" if number == "0" else f"down{number}.mpconv.1.conv") + f".{rest}"


def gdlt_head(name: str) -> str:
    names = {"project": "in_proj", "transformer": "transformer", "grades": "prototype", "respond": "regressor"}
    _, part, rest = name.split(".", 2)
    return f"{names[part]}.{rest}"


def cofinal_head(name: str) -> str:
    if name == "head.prototypes":
        return "etf_vec1"
    names = {
        "head.respond_reverse.": "regressor_revert.",
        "head.fine.attention.": "regi.0.",
        "head.fine.layers.0.": "regressori.0.1.",
        "head.fine.layers.1.": "regressori.0.2.",
    }
    found = next((theirs + name.removeprefix(ours) for ours, theirs in names.items() if name.startswith(ours)), None)
    return found or gdlt_head(name)


def c3d_lstm_head(name: str) -> str:
    return name.removeprefix("head.").replace("score.", "fc_final_score.")


def rica2_head(name: str) -> str:
    """A part of the whole model's state dict: `backbone.`, `neck.` or `quality_score_head.`."""
    layer = {
        "norm_attention": "ln1", "norm_mlp": "ln2", "near.0": "attn.query_conv.conv", "near.1": "attn.key_conv.conv",
        "near.2": "attn.value_conv.conv", "norms.0": "attn.query_norm", "norms.1": "attn.key_norm",
        "norms.2": "attn.value_norm", "attention.query": "attn.query", "attention.key": "attn.key",
        "attention.value": "attn.value", "attention.out": "attn.proj", "mlp.0": "mlp.0", "mlp.3": "mlp.3",
        "add_attention": "drop_path_attn", "add_mlp": "drop_path_mlp",
    }  # fmt: skip
    step = {
        "norm_steps": "ln_xattn_q", "norm_clips": "ln_xattn_kv", "norm_near": "xattn.q_norm", "norm_mlp": "ln_ffn",
        "near": "xattn.q_conv.conv", "attention.query": "xattn.xattn.query", "attention.key": "xattn.xattn.key",
        "attention.value": "xattn.xattn.value", "attention.out": "xattn.xattn.proj", "mlp.0": "ffn.fc",
        "mlp.3": "ffn.proj", "add_mlp": "drop_path_ffn",
    }  # fmt: skip
    names = {
        **{f"encoder.embed.{number}": f"backbone.embd.{number}.conv" for number in range(2)},
        **{f"encoder.layers.{n}.{our}": f"backbone.encoder_blocks.{n}.{layer[our]}" for n in (0, 1) for our in layer},
        **{f"decoder.layers.{n}.{our}": f"neck.layers.{n}.{step[our]}" for n in (0, 1) for our in step},
        "decoder.norm": "neck.ln_out", "decoder.project": "neck.text_queries_projection",
        "base.0": "quality_score_head.common_base.0",
    }  # fmt: skip
    sequences = {
        "read": "scoring_head", "gaussian": "mean_var_linear", "of_group": "phase_composer.level_2_mlp",
        "unused": "phase_composer.level_3_mlp",
    }  # fmt: skip
    names |= {f"{our}.{n}": f"quality_score_head.{their}.{n}" for n in (0, 2) for our, their in sequences.items()}
    single = {
        "head.decoder.texts": "neck.text_queries.weight",
        "head.unused_temperature": "quality_score_head.temperature",
    }
    whole, _, kind = name.rpartition(".")
    return single.get(name) or f"{names[whole.removeprefix('head.')]}.{kind}"


HEADS = {
    "core": core_head, "musdl": musdl_head, "usdl": usdl_head, "dae": dae_head, "hgcn": hgcn_head, "gdlt": gdlt_head,
    "cofinal": cofinal_head, "tpt": tpt_head, "t2cr": t2cr_head, "tsa_net": tsa_net_head, "c3d_lstm": c3d_lstm_head,
    "rica2": rica2_head, "tsa": tsa_head,
}  # fmt: skip
ENTRIES = {  # of a file that has the head in several, after that of the I3D
    "t2cr": ("base_model", "taa", "decoder", "regressor"),
    "tsa_net": ("i3d", "evaluator", "TSA_module"),
    "tsa": ("base_model", "psnet_model", "decoder", "regressor_delta"),
}
HASSONYS = ("core", "hgcn", "tpt", "t2cr", "rica2", "tsa")  # hassony2's layout of I3D, in a module that cuts the clips


def seeded(shape: torch.Size, name: str, seed: int) -> Tensor:
    """Weights that keep the size of activations, so that scores differ between videos."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(shape, generator=generator)
    if name.endswith("running_var"):
        return 0.5 + drawn.abs()
    if len(shape) >= 2:
        return 1.4 * drawn / shape[1:].numel() ** 0.5
    return 1 + 0.2 * drawn if name.endswith("weight") else 0.2 * drawn


def fill(model: Scorer) -> None:
    """Give a model seeded weights."""
    with torch.no_grad():
        for seed, (name, value) in enumerate(model.state_dict().items()):
            if value.is_floating_point() and (name.startswith("encoder.") or name in dict(model.named_parameters())):
                value.copy_(seeded(value.shape, name, seed))


def published_content(model: Scorer, system: str, parallel: bool) -> dict[str, Any]:
    """What the program of `system` would save of the weights of `model`, with the classifier that its I3D has."""
    prefix = "module." if parallel else ""
    network = model.encoder.network.state_dict()
    i3d = {f"backbone.{name}" if system in HASSONYS else piergiajs(name): value for name, value in network.items()}
    classifier = "backbone.conv3d_0c_1x1.conv3d" if system in HASSONYS else "logits.conv3d"
    i3d |= {f"{classifier}.weight": torch.zeros(4, 1024, 1, 1, 1), f"{classifier}.bias": torch.zeros(4)}
    head = {HEADS[system](name): value for name, value in weights_of_head(model).items()}
    optimizer = torch.optim.Adam(model.parameters()).state_dict()
    common = {"epoch": 41, "optimizer": optimizer, "rho_best": np.float64(0.9)}
    parts = {
        name: {prefix + key: value for key, value in part.items()} for name, part in (("i3d", i3d), ("head", head))
    }
    if system == "rica2":
        of_i3d = {f"feat_extractor.i3d.{key.removeprefix('backbone.')}": value for key, value in i3d.items()}
        whole = {prefix + key: value for key, value in (of_i3d | head).items()}
        return {"state_dict": whole, "epoch": 41, "optimizer": optimizer, "scheduler": {"last_epoch": np.float64(3)}}
    if system == "tpt":
        return {"backbone": parts["i3d"], "model": parts["head"]} | common
    if system in ENTRIES:
        of_i3d, *of_head = ENTRIES[system]
        entries = {
            entry: {prefix + key.removeprefix(f"{entry}."): head[key] for key in head if key.startswith(f"{entry}.")}
            for entry in of_head
        }
        return {of_i3d: parts["i3d"]} | entries | common
    if system in HASSONYS:
        best = {"epoch_best": 40, "L2_min": np.float64(3.0), "RL2_min": np.float32(0.003)}
        return {"base_model": parts["i3d"], "regressor": parts["head"]} | common | best
    return {"i3d": parts["i3d"], "dae" if system == "dae" else "evaluator": parts["head"]} | common


def weights_of_head(model: Scorer) -> dict[str, Tensor]:
    """By our names: parameters, and statistics of BatchNorm."""
    statistics = {name: value for name, value in model.named_buffers() if "running_" in name}
    whole = dict(model.named_parameters()) | statistics
    return {name: value.detach() for name, value in whole.items() if not name.startswith("encoder.network.")}


def published_head(model: Scorer, system: str, parallel: bool) -> dict[str, Tensor]:
    """What the program of a `system` that trains on features would save: the state dict of the head alone."""
    prefix, state = "module." if parallel else "", model.state_dict()
    own = {name: value for name, value in state.items() if name.startswith("head.")}
    return {prefix + HEADS[system](name): value for name, value in own.items()}


def rewrite_for_numpy_1(path: Path) -> None:
    """Name NumPy's numbers in a saved file as NumPy 1 did, under which the authors' programs ran."""
    with zipfile.ZipFile(path) as archive:
        parts = {part.filename: archive.read(part) for part in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
