"""Networks of transformers: bit for bit what the library computes, and what a backbone has to do beside."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from swapaqa.backbones.timesformer import FusedAttention
from swapaqa.errors import InputError
from swapaqa.models.encoder import VideoEncoder, pooled
from swapaqa.models.gradcam import explain
from swapaqa.models.usdl import USDL
from tests.backbones.tiny_networks import FRAMES, KINDS, SIZE, clips, loaded, resnet, transformer
from tests.made_videos import made_sample, noise, plan

pytestmark = pytest.mark.slow  # the library takes seconds to import

WHOLE = {  # the library's network with a classification layer, and where in it ours is
    "videomae": ("VideoMAEForVideoClassification", "videomae"),
    "timesformer": ("TimesformerForVideoClassification", "timesformer"),
    "vjepa2": ("VJEPA2ForVideoClassification", "vjepa2"),
}


@pytest.fixture(autouse=True)
def library() -> Any:
    return loaded("transformers")


def theirs(library: Any, kind: str, encoder: VideoEncoder, config: Any) -> Any:
    """The library's own network, without its last layer, with the weights of ours."""
    name, inner = WHOLE[kind]
    whole = getattr(library, name)(config).train(encoder.training)
    whole.classifier = nn.Identity()
    state = {key if key.startswith(("fc_norm", "pooler")) else f"{inner}.{key}": value
             for key, value in encoder.network.state_dict().items()}  # fmt: skip
    missing, strange = whole.load_state_dict(state, strict=False)
    assert not strange
    assert not [key for key in missing if not key.startswith(("fc_norm", "pooler", f"{inner}.predictor"))]
    return whole


def config_of(encoder: VideoEncoder) -> Any:
    """The configuration of a network, from one of its parts."""
    return next(part.config for part in encoder.network.modules() if hasattr(part, "config"))


def their_tokens(whole: Any, kind: str, given: Tensor) -> Tensor:
    turned = given.movedim(1, 2)  # the library's layout
    if kind == "vjepa2":
        tokens: Tensor = whole.vjepa2.get_vision_features(turned)
        return tokens
    found: Tensor = getattr(whole, WHOLE[kind][1])(turned).last_hidden_state
    return found


def in_maps(tokens: Tensor, kind: str) -> Tensor:
    """The library's tokens, in its order, at their places (N, D, t, h, w): written out."""
    slots = FRAMES if kind == "timesformer" else FRAMES // 2
    maps = torch.empty(len(tokens), tokens.shape[2], slots, 2, 2, dtype=tokens.dtype)
    for slot in range(slots):
        for row in range(2):
            for column in range(2):
                place = (slot * 2 + row) * 2 + column
                if kind == "timesformer":  # a class token, then the patches, each with all of its frames
                    place = 1 + (row * 2 + column) * slots + slot
                maps[:, :, slot, row, column] = tokens[:, place]
    return maps


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_the_library_s_to_the_last_bit(library: Any, kind: str, attention: str) -> None:
    ours = transformer(kind, attention=attention).eval()
    whole = theirs(library, kind, ours, config_of(ours))
    with torch.no_grad():
        found, expected = ours.network(clips()), in_maps(their_tokens(whole, kind, clips()), kind)
    if (kind, attention) == ("timesformer", "sdpa"):  # which the library has not
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert not torch.equal(found, expected)
    else:
        assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_classification_layer_reads_is_the_library_s(library: Any, kind: str) -> None:
    ours = transformer(kind, feature="class", attention="eager").eval()
    for name, value in ours.network.named_parameters():
        if "fc_norm" in name:
            nn.init.normal_(value)
    whole = theirs(library, kind, ours, config_of(ours))
    with torch.no_grad():
        found, expected = ours.network(clips()), whole(clips().movedim(1, 2)).logits
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)  # a mean over other strides
    assert found.shape == (2, 24)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_library_s(library: Any, kind: str) -> None:
    ours = transformer(kind, attention="eager")
    ours.network.double()
    whole = theirs(library, kind, ours, config_of(ours)).double()
    given = clips(dtype=torch.float64)
    weight = torch.randn(2, 24, 1, 1, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (ours.network(given) * weight).square().sum().backward()
    (in_maps(their_tokens(whole, kind, given), kind) * weight).square().sum().backward()
    inner = dict(getattr(whole, WHOLE[kind][1]).named_parameters())
    for name, parameter in ours.network.named_parameters():
        torch.testing.assert_close(parameter.grad, inner[name].grad, rtol=1e-9, atol=1e-12, msg=name)


def test_a_resnet_gives_of_every_frame_what_the_library_gives(library: Any) -> None:
    ours = resnet().eval()
    whole = library.ResNetModel(
        library.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    )
    whole.load_state_dict(ours.network.state_dict())
    with torch.no_grad():
        found = ours.network(clips())
        for frame in range(FRAMES):
            assert torch.equal(found[:, :, frame], whole.eval()(clips()[:, :, frame]).last_hidden_state)
        half = ours.network(clips(), until="stages.0")
        assert torch.equal(ours.network(half, after="stages.0"), found)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_fused_attention_is_attention_written_out(library: Any, dropout: float) -> None:
    module = loaded("transformers.models.timesformer.modeling_timesformer")
    config = library.TimesformerConfig(hidden_size=24, num_attention_heads=2, attention_probs_dropout_prob=dropout)
    written_out = module.TimesformerSelfAttention(config).double()
    fused = FusedAttention(written_out)
    tokens = torch.randn(2, 5, 24, dtype=torch.float64, requires_grad=True)
    results = []
    for one in (written_out.eval(), fused.eval()):
        (found,) = one(tokens)
        results.append((found, *torch.autograd.grad(found.square().sum(), [tokens, written_out.qkv.weight])))
    for mine, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)
    assert list(fused.state_dict()) == list(written_out.state_dict())
    fused.train()
    assert torch.equal(fused(tokens)[0], fused(tokens)[0]) == (dropout == 0)


@pytest.mark.parametrize("kind", ["videomae", "vjepa2"])
def test_cut_open_at_every_stage_it_is_one_pass(kind: str) -> None:
    network = transformer(kind).network.eval()
    with torch.no_grad():
        whole = network(clips())
        for stage in network.stages():
            half = network(clips(), until=stage)
            assert half.shape == (2, 24, 2, 2, 2)
            assert torch.equal(network(half, after=stage), whole), stage
    assert network.middle_stage == "layers.1"


def test_a_network_with_a_class_token_is_not_cut_open() -> None:
    network = transformer("timesformer").network
    with pytest.raises(InputError, match="TimeSformer is not cut open"):
        network(clips(), until="layers.1")


RANDOM = {
    "videomae": {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2},
    "timesformer": {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2, "drop_path_rate": 0.5},
    "vjepa2": {"attention_probs_dropout_prob": 0.2, "drop_path_rate": 0.5},
}


@pytest.mark.parametrize("kind", KINDS)
def test_recomputed_clip_by_clip_dropout_and_stochastic_depth_draw_the_same(kind: str) -> None:
    parts = transformer(kind, architecture=RANDOM[kind], clips_per_pass=2).double().train()
    plain = copy.deepcopy(parts.network)
    videos = made_sample(noise(2, 8, SIZE))
    cut = parts.clips_of(videos.video, parts.plans[0])
    forwards: dict[str, Callable[[], Tensor]] = {
        "parts": lambda: parts(videos).flatten(0, 1),
        "plain": lambda: torch.cat([pooled(plain(group)) for group in cut.split(2)]),
    }
    features = {}
    for name, forward in forwards.items():
        torch.manual_seed(3)
        features[name] = forward()
        (features[name] - 1).square().sum().backward()
    torch.testing.assert_close(features["parts"], features["plain"], rtol=1e-12, atol=0)
    for (name, own), other in zip(parts.network.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-10, atol=1e-14, msg=name)
    with torch.no_grad():
        assert not torch.allclose(forwards["parts"](), features["parts"])  # numbers are drawn, and decide


@pytest.fixture
def process_group() -> Iterator[None]:
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=torch.distributed.HashStore())
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("feature", ["mean", "class"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns_and_processes_wait_for_none(kind: str, feature: str) -> None:
    encoder = transformer(kind, feature=feature, clips_per_pass=2).train()
    together = DistributedDataParallel(encoder)
    for _ in range(2):  # in the second step it would miss those that were not used in the first
        together(made_sample(noise(2, 8, SIZE))).square().sum().backward()
    assert not [name for name, parameter in encoder.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("feature", ["mean", "class"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_to_tell_videos_apart(kind: str, feature: str) -> None:
    encoder = transformer(kind, feature=feature).train()
    read, videos = nn.Linear(24, 1), made_sample(noise(4, 8, SIZE))
    target = torch.tensor([0.0, 1.0, 2.0, 3.0])
    optimiser = torch.optim.Adam([*encoder.parameters(), *read.parameters()], lr=3e-3)
    losses = []
    for _ in range(60):
        loss = (read(encoder(videos).mean(dim=1)).squeeze(1) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 < 1.2 < losses[0]  # 1.25 is the targets' variance: what the same number for all leaves


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_one_draws_nothing(kind: str) -> None:
    """Its features in a training are those that are extracted once."""
    frozen = transformer(kind, architecture=RANDOM[kind], frozen=True).train()
    found = frozen(made_sample(noise(1, 8, SIZE)))
    assert not found.requires_grad
    assert torch.equal(found, frozen.eval()(made_sample(noise(1, 8, SIZE))))


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_reaches_the_attention_and_gives_about_the_same(kind: str) -> None:
    encoder = transformer(kind).train()
    exact = encoder(made_sample(noise(1, 8, SIZE)))
    with torch.autocast("cpu", torch.bfloat16):
        narrow = encoder(made_sample(noise(1, 8, SIZE)))
    narrow.float().square().sum().backward()
    assert (narrow.float() - exact).abs().max() <= 0.05 * exact.abs().max()
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())


@pytest.mark.parametrize("feature", ["mean", "class"])
@pytest.mark.parametrize("kind", KINDS)
def test_grad_cam_looks_at_the_tokens(kind: str, feature: str) -> None:
    encoder = transformer(kind, feature=feature)
    scorer = USDL(encoder, "score", 11, 5.0, "batchmean").eval().requires_grad_(False)
    for parameter in scorer.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.3)
    found = explain(scorer, made_sample(noise(1, 8, SIZE)), None)
    assert found.map.shape == (8, SIZE, SIZE)
    assert found.clips[0].grid.cells == (4 if kind == "timesformer" else 2, 2, 2)
    assert float(found.map.max()) > 0


def test_nothing_but_the_input_is_turned_round() -> None:
    """The places are kept where the network is: the library copies them from the CPU in every pass."""
    network = transformer("videomae").network.to("meta")
    assert network(clips().to("meta")).is_meta
    assert "embeddings.places" not in network.state_dict()


@pytest.mark.parametrize(
    ("kind", "name"), [("videomae", "VideoMAE"), ("timesformer", "TimeSformer"), ("vjepa2", "VJEPA2")]
)
def test_another_clip_is_one_line_with_the_plan_to_say(kind: str, name: str) -> None:
    words = rf"clips\.frames=8: {name} takes clips of 4 only; say clips\.frames=4 clips\.size=16"
    with pytest.raises(InputError, match=words):
        transformer(kind, clips=plan(8, 2))
    network = transformer(kind).network
    with pytest.raises(
        InputError, match=rf"{name} does not take clips of 4 frames of 8 x 8; say clips\.frames=4 clips"
    ):
        network(clips(size=8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["freeze_bn", "fold_bn"])
def test_batch_norm_that_is_not_there_is_one_line(kind: str, key: str) -> None:
    with pytest.raises(InputError, match=rf"backbone\.{key}=true: \w+ has no BatchNorm; say backbone\.{key}=null$"):
        transformer(kind, **{key: True})
    transformer(kind, **{key: False})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"architecture": {"hiden_size": 3}}, r"architecture\.hiden_size: no such key; did you mean hidden_size\?"),
        ({"architecture": {"hidden_size": "many"}}, r"backbone\.architecture: transformers refuses it .*'hidden_size'"),
        ({"architecture": {"hidden_size": 25}}, r"backbone\.architecture: no network of transformers .*25"),
        ({"frames": 5, "clips": plan(5, 2, None, SIZE)}, r"backbone\.frames=5: VideoMAE takes a multiple of 2"),
        ({"size": 20, "clips": plan(4, 2, None, 20)}, r"backbone\.size=20: VideoMAE takes a multiple of 8"),
        ({"pretrained": "MCG-NJU/videomae-base"}, r"=MCG-NJU/videomae-base: no such file .*nothing is fetched"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_one_line(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        transformer("videomae", **more)
    assert "\n" not in str(refused.value)
