"""C3D-AVG-MTL, its attributes and its captions against what the published code computes, and by hand."""

import re
from collections.abc import Callable
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from swapaqa.data.dive_numbers import dive_attributes, dive_number
from swapaqa.data.mtl_aqa import read_records
from swapaqa.data.unpickler import load_pickle
from swapaqa.errors import InputError
from swapaqa.models.attributes import CLASSES, UNKNOWN, AttributeHeads, attribute_losses, attribute_targets
from swapaqa.models.c3d_avg_mtl import C3DAVGMTL, AverageHead, AverageMTL
from swapaqa.models.captions import CaptionHead, caption_loss, said_so_far
from swapaqa.models.i3d import I3D
from swapaqa.models.scorer import in_points
from swapaqa.models.tiny import TinyBackbone
from tests.golden import Arrays, doubles, equal, equal_gradients, golden, load, state_of
from tests.made_videos import encoder, made_encoded, made_side

ATTRIBUTES = {
    "position": "position",
    "armstand": "armstand",
    "rotation": "rot_type",
    "half_somersaults": "ss_no",
    "half_twists": "tw_no",
}  # fmt: skip  ours: as published


def ours(key: str) -> str:
    """Our name of a published weight."""
    for mine, theirs in ATTRIBUTES.items():
        key = key.replace(f"dive_classifier.fc_{theirs}.", f"attributes.read.{mine}.")
    key = key.replace("my_fc6.fc.", "fc6.").replace("score_regressor.fc_final_score.", "score.")
    return of_caption(key)


def of_caption(key: str) -> str:
    names = {"1": "watch", "2": "tell"}
    return re.sub(r"rnn(\d)\.(.*)_l(\d)$", lambda m: f"{names[m[1]]}.layers.{m[3]}.{m[2]}_l0", key)


def without_dropout(module: torch.nn.Module) -> None:
    for layer in module.modules():
        if hasattr(layer, "share"):
            layer.share = 0.0


def as_side(classes: Tensor) -> Tensor:
    """Published classes (N, 5): position, armstand, rotation, half somersaults, half twists; as our side `dive`."""
    position, armstand, rotation, somersaults, twists = classes.unbind(1)
    direction = torch.tensor([2, 1, 4, 3])[rotation]
    return torch.stack([armstand, direction, somersaults, twists, position], dim=1)


def log_prob_of_targets(head: CaptionHead, clips: Tensor, caption: Tensor) -> Tensor:
    return head(clips, caption).gather(2, caption[:, 1:, None]).squeeze(2)


@pytest.mark.slow
def test_outputs_losses_and_gradients_are_those_of_the_published_code() -> None:
    found = golden("c3d_avg_mtl_published.npz")
    head = AverageHead(8192, True, True, 5779)
    load(head, {ours(key): value for key, value in state_of(found).items()})
    without_dropout(head)
    (clips, points), caption = doubles(found, "in/pool5", "in/raw_score"), torch.from_numpy(found["in/captions"])
    equal(F.relu(head.fc6(clips.mean(dim=1))), found["out/fc6"])
    score, logits = head(clips)
    equal(score[:, None], found["out/score"])
    equal(17 * score, found["score"])
    for mine, theirs in ATTRIBUTES.items():
        equal(logits[mine], found[f"out/{theirs}"])
    assert head.caption is not None
    equal(log_prob_of_targets(head.caption, clips, caption), found["out/caption_logprob_of_targets"])
    equal(head.caption(clips, caption)[:, 0], found["out/caption_step0_logprob"])
    assert torch.equal(said_so_far(caption).double(), *doubles(found, "in/mask"))

    squared, absolute = F.mse_loss(score, points / 17), F.l1_loss(score, points / 17)
    equal(squared, found["loss/mse"])
    equal(absolute, found["loss/l1"])
    terms = attribute_losses(logits, as_side(torch.from_numpy(found["in/attributes"])))
    for mine, theirs in ATTRIBUTES.items():
        equal(terms[mine], found[f"loss/{theirs}"])
    told = caption_loss(head.caption, clips, caption)
    equal(told, found["loss/caption"])
    total = squared + absolute + torch.stack([*terms.values()]).sum() + 0.01 * told
    equal(total, found["loss/total"])
    total.backward()
    gradients = {name: parameter.grad for name, parameter in head.named_parameters()}
    for key in (key for key in found if key.startswith("grad/")):
        gradient = gradients[ours(key.removeprefix("grad/"))]
        assert gradient is not None
        equal(gradient, found[key], 1e-8)


def small_caption(found: Arrays) -> CaptionHead:
    sizes = [int(found[f"config/{name}"]) for name in ("vid", "vocab", "hidden", "word")]
    head = CaptionHead(*sizes, 0.5)
    load(head, {of_caption(key): value for key, value in state_of(found).items()})
    without_dropout(head)
    return head


def test_a_small_caption_network_is_that_of_the_published_code() -> None:
    found = golden("s2vt_small.npz")
    head = small_caption(found)
    (clips,), caption = doubles(found, "in/clips"), torch.from_numpy(found["in/captions"])
    equal(head(clips, caption), found["out/logprob"])
    loss = caption_loss(head, clips, caption)
    equal(loss, found["loss/caption"])
    loss.backward()
    equal_gradients(head, found, of_caption)


def test_it_has_the_published_numbers_of_parameters() -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    with torch.device("meta"):
        head = AverageHead(8192, True, True, 5779)
        parts = [head.fc6, head.score, head.attributes, head.caption]
        assert [count(part) for part in parts if part is not None] == [33_558_528, 4_097, 110_619, 24_810_131]
        assert count(AttributeHeads(4096)) == 110_619
        assert count(CaptionHead(1024, 5779, 512, 512, 0.5)) == 13_800_083


def test_attributes_are_the_annotated_ones(real_data: Any) -> None:
    """Of all 1412 dives, read from their numbers and compared with the annotation."""
    folder = real_data / "mtl_aqa"
    annotations = load_pickle(folder / "final_annotations_dict_with_dive_number.pkl")
    checked = 0
    for dive in (one for split in ("train", "test") for one in read_records(folder, split)):
        noted = annotations[tuple(int(number) for number in dive.video_id.split("_"))]
        targets = attribute_targets(torch.tensor([dive_attributes(dive.dive_number)]))
        keys = ("position", "armstand", "rotation_type", "ss_no", "tw_no")
        assert [int(value) for value in targets.values()] == [int(noted[key] or 0) for key in keys]
        checked += 1
    assert checked == 1412


def test_attributes_by_hand() -> None:
    """A straight dive, a tenth half somersault and a direction that is none teach nothing of that attribute."""
    number = dive_number({"rotation_type": 2, "tw_no": 0, "armstand": 0, "ss_no": 7, "position": 2})
    assert number == "407C"
    dives = torch.tensor([dive_attributes(number), (1, 1, 10, 8, 3), (0, 7, 0, 0, 0)])
    assert {name: found.tolist() for name, found in attribute_targets(dives).items()} == {
        "position": [2, UNKNOWN, 0],
        "armstand": [0, 1, 0],
        "rotation": [2, 1, UNKNOWN],
        "half_somersaults": [7, UNKNOWN, 0],
        "half_twists": [0, UNKNOWN, 0],
    }
    logits = {
        name: torch.randn(3, count, generator=torch.Generator().manual_seed(0)) for name, count in CLASSES.items()
    }
    terms = attribute_losses(logits, dives)
    by_hand = -logits["position"].log_softmax(1)[[0, 2], [2, 0]].sum() / 3
    torch.testing.assert_close(terms["position"], by_hand)
    nothing = attribute_losses(logits, torch.tensor([(9, 9, 99, 99, 9)] * 3))
    assert [term.item() for term in nothing.values()] == [0, 0, 0, 0, 0]


def test_captions_by_hand() -> None:
    """Up to the first end; a word without a place is not learnt; the loss is a sum over words, a mean over videos."""
    caption = torch.tensor([[1, 4, 0, 0, 0], [1, 9, 5, 3, 2]])
    assert said_so_far(caption).tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    torch.manual_seed(0)
    head = CaptionHead(6, 8, 4, 3, 0.0)
    clips = torch.rand(2, 2, 6)
    found = head(clips, torch.tensor([[1, 4, 0, 0, 0], [1, 0, 5, 3, 2]]))
    expected = found[0, 0, 4] + found[0, 1, 0] + found[1, 1, 5] + found[1, 2, 3] + found[1, 3, 2]
    torch.testing.assert_close(caption_loss(head, clips, caption), -expected / 2)


# the method


def model_of(kind: type[AverageMTL] = AverageMTL, **changes: Any) -> AverageMTL:
    torch.manual_seed(0)
    given = {"target": "score", "unit": 17.0, "attributes": True, "captions": True, "caption_weight": 0.01, "words": 30}
    return kind(encoder(TinyBackbone(2)), **given | changes)  # type: ignore[arg-type]


def videos(side: bool = True, **given: Tensor) -> Any:
    feature = torch.rand(3, 5, 8, generator=torch.Generator().manual_seed(0))
    return made_encoded(feature, made_side(3) if side else {}, **given)


def test_the_terms_are_those_of_the_score_the_attributes_and_the_caption() -> None:
    model, some = model_of().eval(), videos(factor=torch.full((3,), 0.5).double())
    terms = model.losses(some, None)
    assert list(terms) == ["squared_error", "absolute_error", *CLASSES, "caption"]
    score, logits = model.head(some.feature)
    error = score - (0.5 * some.labels.label / 17).float()
    torch.testing.assert_close(terms["squared_error"], error.square().mean())
    torch.testing.assert_close(terms["absolute_error"], error.abs().mean())
    torch.testing.assert_close({name: terms[name] for name in CLASSES}, attribute_losses(logits, some.side["dive"]))
    torch.testing.assert_close(
        terms["caption"], 0.01 * caption_loss(model.head.caption, some.feature, some.side["caption"])
    )
    found = model.score(some, None)
    torch.testing.assert_close(in_points(found, some).label, 17 * score.double())
    assert found.std.isnan().all()


def test_it_scores_without_what_it_learns_from_and_learns_without_what_it_is_told_to_leave_out() -> None:
    model = model_of().eval()
    assert (model.needs, model.learns_from) == ((), ("dive", "caption"))
    assert torch.equal(model.score(videos(side=False), None).label, model.score(videos(), None).label)
    for attributes, captions in ((False, True), (True, False), (False, False)):
        other = model_of(attributes=attributes, captions=captions)
        assert other.learns_from == (*(("dive",) if attributes else ()), *(("caption",) if captions else ()))
        terms = other.losses(videos(side=attributes or captions), None)
        assert ("caption" in terms, "position" in terms) == (captions, attributes)


def test_the_score_does_not_depend_on_the_batch_or_the_order_of_clips() -> None:
    model, some = model_of().double().eval(), videos()
    some = some._replace(feature=some.feature.double())
    whole = model.score(some, None).label
    for row in range(3):
        one = made_encoded(some.feature[row : row + 1].flip(1))
        torch.testing.assert_close(model.score(one, None).label, whole[row : row + 1], rtol=0, atol=1e-12)


def test_i3d_has_a_name_of_its_own(config: Callable[..., DictConfig]) -> None:
    with torch.device("meta"):
        with pytest.raises(InputError, match=r"backbone=i3d: model=c3d_avg_mtl stands on C3D; .* model=i3d_avg_mtl"):
            C3DAVGMTL(encoder(I3D()), "score", 17.0, True, True, 0.01, 5779)
        reduced = hydra.utils.instantiate(config("model=i3d_avg_mtl", "data=aqa7").model)
    assert type(reduced) is AverageMTL
    assert sum(p.numel() for p in reduced.head.parameters()) == 4_198_400 + 4_097 + 110_619 + 13_800_083
