"""Checkpoints as the programs of published methods save them, brought to our names.

Such a file is a dictionary with one state dict for the I3D, one for the head, and what training had beside them; a
program that trained on features, or under a frozen network (GDLT, CoFInAl, C3D-LSTM, PCLN), saves the head's state dict
alone, and those of MTL-AQA one file for each part (`swapaqa.models.published_parts`). A program that ran on several
devices (DataParallel) has put `module.` in front of every key.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from swapaqa.files.foreign_file import shown

PARALLEL, BACKBONE = "module.", "backbone."  # CoRe's I3D lies in a module that cuts the clips
EXTRACTOR = "feat_extractor.i3d."  # before the I3D's names in a file of RICA2, which holds one state dict
BATCH_COUNT = "num_batches_tracked"  # only in files saved by PyTorch 0.4.1 and later, unused with a fixed momentum
SCALARS = (np.float64, np.float32, np.int64, np.int32, np.bool_)


class System(NamedTuple):
    """What one program saves.

    `name`: of the system; `model`: what our `model=` calls it; `preset`: what `experiment=` calls its settings; `i3d`,
    `head`: entries of the file, `i3d` (its backbone) None of one that is a head's state dict and nothing else;
    `names`: patterns of the head's keys, and what they are in our model; `mark`: pattern of a key that no other system
    has, None for any of `names`; `lacking`: what its scoring needs of the training labels and the file has not;
    `beside`: further entries that belong to the head. Keys of such a head begin with their entry, as `taa.fc1.weight`.
    """

    name: str
    model: str
    preset: str
    i3d: str | None
    head: str
    names: tuple[tuple[str, str], ...]
    mark: str | None = None
    lacking: str | None = None
    backbone: str = "i3d"  # what `backbone=` calls its network
    beside: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[str, ...]:
        """Of the file, all that have weights."""
        return (*((self.i3d,) if self.i3d else ()), self.head, *self.beside)


ALONE = "head"  # under which `with_entries` puts a head's state dict that is a file of its own
GRADES = (
    (r"in_proj\.", "head.project."),
    (r"transformer\.", "head.transformer."),
    (r"prototype\.", "head.grades."),
    (r"regressor\.", "head.respond."),
)
RELATION = ((r"C$", "learnt"), (r"alpha$", "gain"), (r"conv_q\.", "query."), (r"conv_k\.", "key."))
SEPARABLE = (("i", "weigh"), ("k", "key"), ("v", "value"), ("o", "out"))
CROSS = (
    ("norm_q", "norm_query"), ("norm_v", "norm_memory"), ("norm2", "norm"),
    (r"attn\.q_map", "query"), (r"attn\.k_map", "key"), (r"attn\.v_map", "value"), (r"attn\.proj", "out"),
    (r"mlp\.fc1", "forward_part.0"), (r"mlp\.fc2", "forward_part.2"),
)  # fmt: skip
ATTRIBUTES = (
    ("position", "position"),
    ("armstand", "armstand"),
    ("rot_type", "rotation"),
    ("ss_no", "half_somersaults"),
    ("tw_no", "half_twists"),
)
TELLING = (
    *((rf"{theirs}\.(.*)_l(\d)$", rf"{our}.layers.\2.\1_l0") for theirs, our in (("rnn1", "watch"), ("rnn2", "tell"))),
    (r"embedding\.", "embedding."),
    (r"out\.", "out."),
)
CONTEXT = (
    (r"head_conv1\.", "context.narrow."),
    *((rf"cntxt_conv{number}\.", f"context.convolutions.{number - 1}.") for number in range(1, 6)),
    *((rf"cntxt_bn{number}\.", f"context.norms.{number - 1}.") for number in range(1, 6)),
    (r"cntxt_conv6\.", "context.join."),
    (r"head_bn1\.", "context.join_norm."),
    (r"head_conv2\.", "context.refine."),
    (r"head_bn2\.", "context.refine_norm."),
    *((rf"head_conv3_{theirs}\.", f"read.{our}.") for theirs, our in ATTRIBUTES),
    (r"head_conv3\.", "read."),
)
RUBRIC = (
    (r"backbone\.embd\.(\d)\.conv\.", r"head.encoder.embed.\1."),
    *(
        (rf"backbone\.encoder_blocks\.(\d)\.{theirs}\.", rf"head.encoder.layers.\1.{our}.")
        for theirs, our in (
            ("ln1", "norm_attention"), ("ln2", "norm_mlp"), ("mlp", "mlp"), ("drop_path_attn", "add_attention"),
            ("drop_path_mlp", "add_mlp"), (r"attn\.proj", "attention.out"),
            *((rf"attn\.{part}", f"attention.{part}") for part in ("query", "key", "value")),
            *((rf"attn\.{part}_conv\.conv", f"near.{place}") for place, part in enumerate(("query", "key", "value"))),
            *((rf"attn\.{part}_norm", f"norms.{place}") for place, part in enumerate(("query", "key", "value"))),
        )
    ),
    *(
        (rf"neck\.layers\.(\d)\.{theirs}\.", rf"head.decoder.layers.\1.{our}.")
        for theirs, our in (
            (r"xattn\.q_conv\.conv", "near"), (r"xattn\.q_norm", "norm_near"), (r"xattn\.xattn\.proj", "attention.out"),
            (r"xattn\.xattn", "attention"), ("ln_xattn_q", "norm_steps"), ("ln_xattn_kv", "norm_clips"),
            (r"ffn\.fc", "mlp.0"), (r"ffn\.proj", "mlp.3"), ("ln_ffn", "norm_mlp"), ("drop_path_ffn", "add_mlp"),
        )
    ),
    (r"neck\.ln_out\.", "head.decoder.norm."),
    (r"neck\.text_queries\.weight$", "head.decoder.texts"),
    (r"neck\.text_queries_projection\.", "head.decoder.project."),
    (r"quality_score_head\.common_base\.", "head.base."),
    (r"quality_score_head\.scoring_head\.", "head.read."),
    (r"quality_score_head\.mean_var_linear\.", "head.gaussian."),
    (r"quality_score_head\.phase_composer\.level_2_mlp\.", "head.of_group."),
    (r"quality_score_head\.phase_composer\.level_3_mlp\.", "head.unused."),
    (r"quality_score_head\.temperature$", "head.unused_temperature"),
)  # fmt: skip
LINEAR = ((1, 0), (2, 2), (3, 4))  # linear layers, from 1, and their places in our Sequential
SYSTEMS = (
    System("CoRe", "core", "core_as_published", "base_model", "regressor", (
        (r"first_layer\.0\.", "tree.root."),
        (r"feature_layers\.(\d+)\.0\.", r"tree.expand.\1."),
        (r"clf_layers\.(\d+)\.", r"tree.classify.\1."),
        (r"reg_layer\.", "tree.regress."),
    ), lacking="group borders"),
    System("TSA-Net", "tsa_net", "tsa_net_mtl_aqa", "i3d", "evaluator", (
        *((rf"evaluator\.evaluator\.layer{number}\.", f"head.layers.{place}.") for number, place in LINEAR),
        (r"TSA_module\.NL_1D\.g\.", "encoder.tube.value."),
        (r"TSA_module\.NL_1D\.W\.0\.", "encoder.tube.out."),
        (r"TSA_module\.NL_1D\.W\.1\.", "encoder.tube.norm."),
    ), mark=r"TSA_module\.", beside=("TSA_module",)),
    System("MUSDL", "musdl", "musdl_as_published", "i3d", "evaluator", tuple(
        (rf"evaluator\.(\d+)\.layer{number}\.", rf"heads.judges.\1.layers.{place}.") for number, place in LINEAR
    )),
    System("USDL", "usdl", "usdl_as_published", "i3d", "evaluator", tuple(
        (rf"evaluator\.layer{number}\.", f"head.layers.{place}.") for number, place in LINEAR
    )),
    System("DAE", "dae", "dae_as_published", "i3d", "dae", (
        (r"fc1\.", "head.layers.0."),
        (r"fch\.", "head.layers.2."),
        (r"fc2_mean\.", "head.mean."),
        (r"fc2_logvar\.", "head.log_variance."),
    )),
    System("HGCN", "hgcn", "hgcn_as_published", "base_model", "regressor", (
        (r"shot_gen\.state_gen\.0\.", "head.refine.state."),
        (r"shot_gen\.info_trans\.0\.", "head.refine.mix."),
        (r"scene_gen\.shot_gcn\.shot_agg\.0\.", "head.scene.shots.mix."),
        (r"scene_gen\.trans_gcn\.shot_agg\.0\.", "head.scene.assign.mix."),
        (r"scene_gen\.trans_gcn\.S$", "head.scene.share"),
        (r"scene_gen\.trans_gcn\.alpha$", "head.scene.gain"),
        *((rf"scene_gen\.shot_gcn\.adp_adj\.{theirs}", f"head.scene.shots.relate.{our}") for theirs, our in RELATION),
        *((rf"scene_gen\.trans_gcn\.adp_adj\.{theirs}", f"head.scene.assign.relate.{our}") for theirs, our in RELATION),
        *((rf"mot_agg\.adp_A\.{theirs}", f"head.sequence.relate.{our}") for theirs, our in RELATION),
        (r"mot_agg\.(?:mlp|mot_agg)\.0\.", "head.read."),  # plain, graph
        (r"fc2_mean\.", "head.mean."),
        (r"fc2_logvar\.", "head.log_variance."),
    ), mark=r"shot_gen\."),
    System("TPT", "tpt", "tpt_as_published", "backbone", "model", (
        (r"action_decoder\.query_embed\.", "decoder.names."),
        (r"action_decoder\.layers\.(\d)\.temp$", r"decoder.layers.\1.temperature"),
        (r"action_decoder\.layers\.(\d)\.(key|value|query)_embed\.", r"decoder.layers.\1.\2."),
        (r"action_decoder\.layers\.(\d)\.", r"decoder.layers.\1."),
        (r"pair_encoder\.mlp\.", "tree.pair."),
        (r"cls\.", "tree.classify."),
        (r"reg\.", "tree.regress."),
    ), mark=r"action_decoder\.", lacking="group borders"),
    System("T2CR", "t2cr", "t2cr_as_published", "base_model", "taa", (
        (r"taa\.inconv\.conv\.", "head.attention.stretch."),
        (r"taa\.selayer\.fc\.0\.", "head.attention.features.narrow."),
        (r"taa\.selayer\.fc\.2\.", "head.attention.features.widen."),
        (r"taa\.cbam\.ca\.se\.0\.", "head.attention.clips.narrow."),
        (r"taa\.cbam\.ca\.se\.2\.", "head.attention.clips.widen."),
        (r"taa\.cbam\.sa\.", "head.attention.places."),
        (r"taa\.fc1\.", "head.attention.layers.0."),
        (r"taa\.fc2\.", "head.attention.layers.2."),
        (r"taa\.fc_score\.", "head.attention.score."),
        (r"taa\.fc_class\.", "head.attention.dive."),
        (r"taa\.mlp\.fc1\.", "head.attention.unused.0."),
        (r"taa\.mlp\.fc2\.", "head.attention.unused.1."),
        (r"taa\.ca\.se\.0\.", "head.attention.unused.2.narrow."),
        (r"taa\.ca\.se\.2\.", "head.attention.unused.2.widen."),
        (r"decoder\.conv1\.", "head.decoder.mix_full."),
        (r"decoder\.conv2\.", "head.decoder.mix_thin."),
        *((rf"decoder\.sa\.fc_{theirs}\.", f"head.decoder.attention.{our}.") for theirs, our in SEPARABLE),
        *((rf"decoder\.model\.(\d)\.{theirs}\.", rf"head.decoder.layers.\1.{our}.") for theirs, our in CROSS),
        (r"regressor\.layer1\.", "head.regress.layers.0."),
        (r"regressor\.layer2\.", "head.regress.layers.2."),
        (r"regressor\.layer3\.", "head.regress.last."),
        (r"regressor\.selayer\.fc\.0\.", "head.regress.features.narrow."),
        (r"regressor\.selayer\.fc\.2\.", "head.regress.features.widen."),
    ), beside=("decoder", "regressor")),
    System("TSA", "tsa", "tsa_as_published", "base_model", "psnet_model", (
        (r"psnet_model\.inc\.conv\.conv\.", "head.parser.blocks.0."),
        (r"psnet_model\.down(\d)\.mpconv\.1\.conv\.", r"head.parser.blocks.\1."),
        *((rf"psnet_model\.tas\.layer{number}\.", f"head.parser.transit.{place}.") for number, place in LINEAR),
        *((rf"decoder\.model\.(\d)\.{theirs}\.", rf"head.decoder.\1.{our}.") for theirs, our in CROSS),
        *((rf"regressor_delta\.layer{number}\.", f"head.regress.{place}.") for number, place in LINEAR),
    ), mark=r"psnet_model\.", beside=("decoder", "regressor_delta")),
    System("CoFInAl", "cofinal", "cofinal_as_published", None, ALONE, (
        *GRADES,
        (r"regressor_revert\.", "head.respond_reverse."),
        (r"regi\.0\.", "head.fine.attention."),
        (r"regressori\.0\.1\.", "head.fine.layers.0."),
        (r"regressori\.0\.2\.", "head.fine.layers.1."),
        (r"etf_vec1$", "head.prototypes"),
    ), mark=r"regressor_revert\."),
    System("C3D-LSTM", "c3d_lstm", "c3d_lstm_as_published", None, ALONE, (
        (r"rnn\.", "head.rnn."),
        (r"fc_final_score\.", "head.score."),
    ), mark=r"rnn\.weight", lacking="deviation of the scores"),
    System("C3D-AVG-MTL", "c3d_avg_mtl", "c3d_avg_mtl_as_published", "model_CNN", "parts", (
        (r"my_fc6\.fc\.", "head.fc6."),
        (r"score_regressor\.fc_final_score\.", "head.score."),
        *((rf"dive_classifier\.fc_{theirs}\.", f"head.attributes.read.{our}.") for theirs, our in ATTRIBUTES),
        *((rf"caption\.{theirs}", f"head.caption.{our}") for theirs, our in TELLING),
    ), mark=r"my_fc6\.", backbone="c3d"),
    System("MSCADC-MTL", "mscadc", "mscadc_as_published", "model_CNN", "parts", (
        *((rf"caption\.{theirs}", f"head.captions.caption.{our}") for theirs, our in TELLING),
        *(
            (rf"{part}\.{theirs}", f"head.{our_part}.{our}")
            for part, our_part in (
                ("score_regressor", "score"), ("position_classifier", "attributes"), ("caption", "captions"),
            )
            for theirs, our in CONTEXT
        ),
    ), mark=r"\w+\.cntxt_conv", backbone="dilated_c3d"),
    System("PCLN", "pcln", "pcln_aqa7", None, ALONE, (
        *((rf"encoder_backbone\.conv{number}\.", f"head.encode.{place}.") for number, place in ((1, 0), (2, 4))),
        *((rf"mlp\.fc{number}\.", f"head.regress.{place}.") for number, place in LINEAR),
        (r"conv1d\.", "pairs.narrow."),
        *((rf"conv2d_{number}\.", f"pairs.compare.{place}.") for number, place in ((1, 0), (2, 2))),
        *((rf"fc_{number}\.", f"pairs.regress.{place}.") for number, place in LINEAR),
    ), mark=r"encoder_backbone\."),
    System("GDLT", "gdlt", "gdlt_aqa7", None, ALONE, GRADES, mark=r"in_proj\.\d"),
    System("RICA2", "rica2", "rica2_as_published", "i3d", "rica2", RUBRIC, mark=r"quality_score_head\."),
)  # fmt: skip


@contextmanager
def numpy_scalars() -> Iterator[None]:
    """Let `torch.load(weights_only=True)` read NumPy's numbers, as these files hold their best correlation."""
    scalar: Any = np.float64().__reduce__()[0]  # in the module that this NumPy has it in, and named by that of theirs
    names = [f"numpy.{core}.multiarray.scalar" for core in ("core", "_core")]
    kinds = [type(np.dtype(kind)) for kind in SCALARS]
    with torch.serialization.safe_globals([*((scalar, name) for name in names), np.dtype, *kinds]):
        yield


def system_of(content: Any) -> System | None:
    """The system whose program saved the content of a file; None if none of them did."""
    if not isinstance(content, dict):
        return None
    for system in SYSTEMS:
        if all(isinstance(content.get(entry), dict) for entry in system.entries):
            marks = [system.mark] if system.mark else [pattern for pattern, _ in system.names]
            if any(re.match(mark, key) for key, _ in _head(content, system) for mark in marks):
                return system
    return None


def with_entries(content: Any) -> Any:
    """The content of a file, in entries also where it is the state dict of a head alone, or of a whole model."""
    if not isinstance(content, dict):
        return content
    if content.keys() == {"state_dict", "optimizer", "epoch"}:  # PCLN's
        alone = {ALONE: content["state_dict"], "epoch": content["epoch"]}
    else:
        alone = {ALONE: content}
    return alone if system_of(alone) else in_parts(content)


def in_parts(content: Any) -> Any:
    """The content of a file, where it is RICA2's, whose state dict is the whole model's, in entries as others have."""
    whole = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(whole, dict) or not any(_plain(key).startswith(EXTRACTOR) for key in whole):
        return content
    parts: dict[str, dict[str, Any]] = {"i3d": {}, "rica2": {}}
    for key, value in whole.items():
        entry = "i3d" if _plain(key).startswith(EXTRACTOR) else "rica2"
        parts[entry][_plain(key).removeprefix(EXTRACTOR)] = value
    return parts | {"epoch": content.get("epoch", 0)}


def fault_of(content: Mapping[str, Any], system: System) -> str | None:
    """What is wrong with the content of a file that the program of `system` saved; None if nothing is."""
    for part in system.entries:
        wrong = next((key for key, value in content[part].items() if not isinstance(value, Tensor)), None)
        if wrong is not None:
            return f"its {part} holds {shown(wrong)}, which is no tensor"
    known = re.compile("|".join(f"(?:{pattern})" for pattern, _ in system.names))
    strange = next((key for key, _ in _head(content, system) if not known.match(key)), None)
    if strange is not None:
        return f"{shown(strange)} is no weight of its {system.head}"
    epoch = content.get("epoch", 0)
    return None if isinstance(epoch, int | np.integer) and epoch >= 0 else f"its epoch is {shown(epoch)}"


def i3d_weights(content: Mapping[str, Any], system: System) -> dict[str, Tensor]:
    """The I3D's weights under the names of its published layout: hassony2's for CoRe, piergiaj's for the others."""
    i3d = content[system.i3d] if system.i3d else {}
    return {_plain(key).removeprefix(BACKBONE): value for key, value in i3d.items()}


def head_weights(content: Mapping[str, Any], system: System) -> dict[str, Tensor]:
    """The head's weights under the names of our model, if `fault_of` the content is None."""
    named = _head(content, system)
    return {our_name(key, system): value for key, value in named if not key.endswith(BATCH_COUNT)}


def _head(content: Mapping[str, Any], system: System) -> Iterator[tuple[str, Any]]:
    """The weights of the head, as `System.names` has them."""
    for entry in (system.head, *system.beside):
        first = f"{entry}." if system.beside else ""
        yield from ((first + _plain(key), value) for key, value in content[entry].items())


def _plain(key: Any) -> str:
    return str(key).removeprefix(PARALLEL)


def our_name(key: str, system: System) -> str:
    """What a weight of a published head is called in our model."""
    pattern, ours = next(pair for pair in system.names if re.match(pair[0], key))
    return re.sub(f"^{pattern}", ours, key)
