"""Released state dicts into the suite and back."""

import copy

import pytest
import torch
from released_weights import SMALL, assert_same, manifest, random_fill, released_state

from t2igan.errors import UserError
from t2igan.interop import DFGANNetworks, from_official, kind_of, to_official
from t2igan.interop.kind import Shapes
from t2igan.interop.kinds import KINDS
from t2igan.interop.official import official_names
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.damsm import SmallImageEncoder
from t2igan.networks.attngan import AttnGANDiscriminator, AttnGANGenerator
from t2igan.networks.dfgan import DFGANGenerator, OneWayDiscriminator
from t2igan.networks.ssagan import SSAGANGenerator
from t2igan.nn.config import build, config_of

RELEASED = [
    ("damsm-text-encoder", "damsm", "RNN_ENCODER vocab=5450 LSTM"),
    ("damsm-image-encoder", "damsm", "CNN_ENCODER nef=256"),
    ("stream-cnn", "mirrorgan", "CAPTION_CNN embed=256"),
    ("stream-rnn", "mirrorgan", "CAPTION_RNN 256/512 vocab=5450"),
    ("mirrorgan-generator", "mirrorgan", "G_NET GF_DIM=32 R_NUM=2"),
    ("dmgan-generator", "dmgan", "G_NET GF_DIM=64 R_NUM=2"),
    ("attndcgan-generator", "attngan", "G_DCGAN GF_DIM=32 R_NUM=2"),
    ("attngan-generator", "attngan", "G_NET GF_DIM=32 R_NUM=2 BRANCH_NUM=3"),
    ("ssagan-generator", "ssagan", "NetG nf=64"),
    ("ssagan-discriminator", "ssagan", "NetD nf=64"),
    ("ssagan-discriminator", "dfgan_legacy", "NetD nf=32"),
    ("dfgan-legacy-generator", "dfgan_legacy", "NetG nf=32"),
    *(("attngan-discriminator", "attngan", f"D_NET{size} DF_DIM=64") for size in (64, 128, 256)),
    *(("dmgan-discriminator", "dmgan", f"D_NET{size} DF_DIM=32") for size in (64, 128, 256)),
]


# The two with large trunks go there and back in test_official_forward.py.
QUICK = [kind for kind in SMALL if kind not in ("damsm-image-encoder", "stream-cnn")]


def network_of_shapes(kind, shapes):
    """The network that shapes are read as, without weights; its tensors' names and shapes; its parameters."""
    with torch.device("meta"):
        network = KINDS[kind].build(KINDS[kind].read(Shapes(shapes)), {})
    own = network.state_dict()
    read = {name: tuple(own[key].shape) for name, key in official_names(kind, network).items()}
    return read, sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("kind", "component", "module"), RELEASED)
def test_released_widths(kind, component, module):
    shapes, parameters = manifest(component, module)
    assert network_of_shapes(kind, shapes) == (shapes, parameters)
    assert kind_of(dict.fromkeys(shapes)) == kind


def dfgan_shapes():
    parts = {f"Net{net}": manifest("dfgan", f"Net{net} nf=32" + " imsize=256" * (net != "C")) for net in "GDC"}
    shapes = {f"net{name[3]}.{key}": shape for name, (own, _) in parts.items() for key, shape in own.items()}
    return shapes, sum(parameters for _, parameters in parts.values())


def test_released_widths_of_dfgan():
    shapes, parameters = dfgan_shapes()
    assert network_of_shapes("dfgan", shapes) == (shapes, parameters)
    assert parameters == 9_744_131 + 6_619_206 + 295_936


def coco_attngan():
    """AttnGAN's generator at GF_DIM 48 and R_NUM 3: the one for birds, half as wide again, one more block."""
    birds, _ = manifest("attngan", "G_NET GF_DIM=32 R_NUM=2 BRANCH_NUM=3")
    fixed = {"ca_net.fc.weight": (400, 256), "ca_net.fc.bias": (400,), "h_net1.fc.0.weight": (24576, 200)}
    coco = {}
    for name, shape in birds.items():
        words = {1: 256} if "conv_context" in name else {}
        images = {0: 3} if name.startswith("img_net") else {}
        kernel = {2: 3, 3: 3} if "conv_context" not in name else {2: 1, 3: 1}
        wider = tuple((words | images | kernel).get(axis, size * 3 // 2) for axis, size in enumerate(shape))
        coco[name] = fixed.get(name, wider)
    return coco | third_blocks(coco)


def coco_dmgan():
    birds, _ = manifest("dmgan", "G_NET GF_DIM=64 R_NUM=2")
    return birds | third_blocks(birds)


def third_blocks(shapes):
    return {
        name.replace("residual.1", "residual.2"): shape for name, shape in shapes.items() if "residual.1" in name
    }


def wider_text(component, module, first, rows):
    """A network whose tensors named so have as many rows as there are words."""
    shapes, _ = manifest(component, module)
    return {name: (rows, *shape[1:]) if name.startswith(first) else shape for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("kind", "shapes", "tensors", "parameters"),
    [
        ("attngan-generator", coco_attngan(), 121, 13_811_456),
        ("dmgan-generator", coco_dmgan(), 143, 22_335_314),
        ("damsm-text-encoder", wider_text("damsm", RELEASED[0][2], "encoder", 27297), 9, 8_629_420),
        ("stream-rnn", wider_text("mirrorgan", RELEASED[3][2], ("embed", "linear"), 5453), 7, 5_770_317),
    ],
    ids=["attngan-coco", "dmgan-coco", "damsm-coco", "stream-5453"],
)
def test_other_released_widths(kind, shapes, tensors, parameters):
    read, counted = network_of_shapes(kind, shapes)
    assert read == shapes
    assert (len(read), counted) == (tensors, parameters)


@pytest.mark.parametrize(("size", "parameters"), [(64, 13_304_450), (128, 42_800_258), (256, 160_774_274)])
def test_discriminators_of_coco(size, parameters):
    birds, _ = manifest("attngan", f"D_NET{size} DF_DIM=64")
    coco = {}
    for name, shape in birds.items():
        wider = [extent if extent in (1, 3, 4) else extent * 3 // 2 for extent in shape]
        if name == "COND_DNET.jointConv.0.weight":
            wider[1] = 8 * 96 + 256
        coco[name] = tuple(wider)
    assert network_of_shapes("attngan-discriminator", coco) == (coco, parameters)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("counters", [True, False])
@pytest.mark.parametrize("kind", QUICK)
def test_round_trip(kind, prefix, counters):
    released = released_state(kind, prefix=prefix, counters=counters)
    network = from_official(kind, released)
    assert not network.training
    assert_same(to_official(network), released)
    assert kind_of(released) == kind


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("damsm-text-encoder", {"vocabulary_size": 5450}),
        ("stream-rnn", {"vocabulary_size": 5450}),
        ("attngan-generator", {}),
        ("dmgan-discriminator", {"image_size": 64}),
        ("dfgan", {"generator": {}, "discriminator": {"channels": 32, "widest": 8}}),
    ],
)
def test_round_trip_at_released_width(kind, arguments):
    released = released_state(kind, arguments, fill=random_fill)
    assert_same(to_official(from_official(kind, released)), released)


@pytest.mark.parametrize("kind", QUICK)
def test_arguments_are_read_from_the_tensors(kind):
    network = from_official(kind, released_state(kind))
    further = {"cell": "lstm"} if kind == "damsm-text-encoder" else {}
    assert network.official.read == SMALL[kind] | further


def test_a_recurrent_layer_with_three_gates_is_a_gru():
    arguments = SMALL["damsm-text-encoder"] | {"cell": "gru"}
    released = released_state("damsm-text-encoder", arguments)
    encoder = from_official("damsm-text-encoder", released)
    assert isinstance(encoder.rnn, torch.nn.GRU)
    assert_same(to_official(encoder), released)


def test_precision_is_the_files_and_the_file_is_copied():
    released = {name: tensor.double() for name, tensor in released_state("attngan-generator").items()}
    released = {
        name: tensor.long() if name.endswith("num_batches_tracked") else tensor for name, tensor in released.items()
    }
    before = copy.deepcopy(released)
    generator = from_official("attngan-generator", released)
    assert {parameter.dtype for parameter in generator.parameters()} == {torch.float64}
    with torch.no_grad():
        for tensor in generator.state_dict().values():
            tensor.zero_()
    assert_same(released, before)
    assert all(parameter.requires_grad for parameter in generator.parameters())


def test_what_training_changed_is_handed_back():
    generator = from_official("attngan-generator", released_state("attngan-generator"))
    with torch.no_grad():
        generator.augmentation.fc.bias.fill_(2.5)
    assert (to_official(generator)["ca_net.fc.bias"] == 2.5).all()


def test_networks_of_the_suite_take_the_released_form():
    def names(network):
        return set(to_official(network))

    attngan = set(manifest("attngan", "G_NET GF_DIM=32 R_NUM=2 BRANCH_NUM=3")[0])
    assert names(AttnGANGenerator(channels=2)) == attngan
    ssagan = {f"module.{name}" for name in manifest("ssagan", "NetG nf=64")[0]}
    assert names(SSAGANGenerator(channels=2)) == ssagan
    assert names(AttnGANDiscriminator(128, channels=4)) == set(manifest("attngan", "D_NET128 DF_DIM=64")[0])
    whole = DFGANNetworks(DFGANGenerator(channels=2), OneWayDiscriminator(channels=2, widest=8))
    container = to_official(whole)
    assert list(container) == ["model"]
    flat = {f"{net}.{name.removeprefix('module.')}" for net, own in container["model"].items() for name in own}
    assert flat == set(dfgan_shapes()[0])
    assert all(name.startswith("module.") for own in container["model"].values() for name in own)
    assert_same(to_official(from_official("dfgan", container)), container)


@pytest.mark.parametrize(
    ("make", "say"),
    [
        (lambda: SmallImageEncoder(8, 2, 32), "SmallImageEncoder: the original code has no such network"),
        (lambda: DFGANGenerator(32, 2), r"DFGANNetworks\(generator, discriminator\)"),
        (lambda: OneWayDiscriminator(32, 2, widest=8), r"DFGANNetworks\(generator, discriminator\)"),
        (lambda: AttnGANDiscriminator(32, 2), "none for 32 px, only for 64, 128 and 256"),
    ],
)
def test_what_the_original_code_lacks_is_not_handed_back(make, say):
    with pytest.raises(UserError, match=say):
        to_official(make())


def test_a_system_is_handed_back_by_its_networks():
    from t2igan.losses.adversarial import Hinge

    module = AdversarialModule(SSAGANGenerator(16, 2), [], Hinge(), text_mode="joint")
    with pytest.raises(UserError, match="AdversarialModule: the original code has no such network"):
        to_official(module)
    assert to_official(module.generator)


def test_a_container_may_come_without_its_box():
    nets = released_state("dfgan")["model"]
    assert_same(to_official(from_official("dfgan", nets)), nets)
    assert kind_of(nets) == "dfgan"


def test_a_network_can_be_built_again_from_its_config():
    network = from_official("mirrorgan-generator", released_state("mirrorgan-generator"), legacy_mask=True)
    again = build(config_of(network))
    again.load_state_dict(network.state_dict())
    assert again.stages[0].attention.words.legacy_mask


# ------------------------------------------------------------------- options


def test_options_go_to_the_network():
    state = released_state("attngan-discriminator")
    assert from_official("attngan-discriminator", state).probabilities
    assert not from_official("attngan-discriminator", state, probabilities=False).probabilities
    spectral = from_official("dmgan-discriminator", released_state("dmgan-discriminator"))
    assert spectral.probabilities and spectral.legacy_power_iteration
    generator = from_official("dmgan-generator", released_state("dmgan-generator"), legacy_mask=True)
    assert generator.stages[0].legacy_mask


@pytest.mark.parametrize("kind", ["ssagan-generator", "dfgan", "dfgan-legacy-generator"])
def test_generators_without_words_have_no_mask_to_change(kind):
    from_official(kind, released_state(kind), legacy_mask=True)


@pytest.mark.parametrize(
    ("kind", "option"), [("attngan-generator", "widht"), ("dfgan", "widht"), ("damsm-text-encoder", "legacy_mask")]
)
def test_unknown_options_are_named(kind, option):
    with pytest.raises(UserError, match=f"{kind}: no option {option}; its options are"):
        from_official(kind, released_state(kind), **{option: 1})


def test_impossible_options_are_one_line():
    with pytest.raises(UserError, match=r"attngan-generator: no network fits both its tensors .*image_size.*100"):
        from_official("attngan-generator", released_state("attngan-generator"), image_size=100)


# -------------------------------------------------------------------- faults


def refused(kind, state):
    with pytest.raises(UserError) as error:
        from_official(kind, state)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_missing_unknown_and_misshapen_tensors_are_listed():
    state = released_state("attngan-generator")
    del state["h_net2.att.conv_context.weight"]
    state["h_net2.more.weight"] = torch.zeros(2)
    state["img_net2.img.0.weight"] = torch.zeros(3, 5, 3, 3)
    said = refused("attngan-generator", state)
    assert "attngan-generator: its tensors do not fit" in said
    assert "1 missing: h_net2.att.conv_context.weight" in said
    assert "1 unknown: h_net2.more.weight" in said
    assert "1 of another shape: img_net2.img.0.weight (3x5x3x3 instead of 3x2x3x3)" in said


def test_ten_faults_are_listed_and_the_others_counted():
    said = refused("ssagan-generator", {"fc.weight": torch.zeros(256, 5)})
    names = said.partition("missing: ")[2].partition(" and ")[0].split(", ")
    assert len(names) == 10
    missing = 245 - 1  # of the released network, batch counters left out
    assert f"{missing} missing: " in said
    assert f" and {missing - 10} more. " in said


@pytest.mark.parametrize(
    ("kind", "tensor"),
    [
        ("attngan-generator", "ca_net.fc.weight"),
        ("attngan-generator", "h_net1.upsample1.1.weight"),
        ("dmgan-discriminator", "img_code_s16.0.module.weight_bar"),
        ("ssagan-generator", "fc.weight"),
        ("ssagan-discriminator", "conv_img.weight"),
        ("damsm-text-encoder", "encoder.weight"),
    ],
)
def test_a_tensor_that_tells_a_width_may_be_the_missing_one(kind, tensor):
    state = released_state(kind)
    del state[tensor]
    assert f"1 missing: {tensor}" in refused(kind, state)


def test_wrong_kind_says_what_the_file_looks_like():
    said = refused("attngan-generator", released_state("ssagan-generator", prefix="module."))
    assert said.endswith("The file looks like ssagan-generator: take it as that")


def test_unknown_kind_lists_the_kinds():
    assert "attndcgan-generator" in refused("attngan", {})


@pytest.mark.parametrize("value", [3, "text", [1.0], torch.zeros(2, 2, dtype=torch.int64), None])
def test_only_tensors_of_numbers(value):
    state = released_state("damsm-text-encoder") | {"rnn.bias_hh_l0": value}
    assert "not plain tensors of floating point numbers: rnn.bias_hh_l0" in refused("damsm-text-encoder", state)


@pytest.mark.parametrize("state", [[], {1: torch.zeros(1)}])
def test_not_a_state_dict(state):
    assert "not a state dict" in refused("damsm-text-encoder", state)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_must_be_finite(value):
    state = released_state("attngan-generator")
    state["ca_net.fc.bias"][3] = value
    assert "not all numbers are finite in ca_net.fc.bias" in refused("attngan-generator", state)


def test_variances_that_are_not_positive_are_warned_of():
    state = released_state("attngan-generator")
    state["h_net1.fc.1.running_var"][0] = 0
    with pytest.warns(UserWarning, match=r"zero or negative in h_net1\.fc\.1\.running_var"):
        from_official("attngan-generator", state)


def test_a_container_that_is_none():
    assert "not a container" in refused("dfgan", released_state("ssagan-generator"))
    said = refused("dfgan", {"model": {"netG": released_state("dfgan")["model"]["netG"], "netD": 3}})
    assert "the entry 'netD' is not a state dict" in said
    container = released_state("dfgan")
    del container["model"]["netC"]
    assert "2 missing: netC.joint_conv.0.weight, netC.joint_conv.2.weight" in refused("dfgan", container)


# ------------------------------------------------------------------ prefixes


def test_a_prefix_on_some_names_only_is_part_of_them():
    state = released_state("ssagan-discriminator", prefix="module.")
    state["conv_img.bias"] = state.pop("module.conv_img.bias")
    assert "unknown: module.conv_img.weight" in refused("ssagan-discriminator", state)


def test_a_doubled_prefix_is_named():
    state = released_state("ssagan-discriminator", prefix="module.module.")
    assert refused("ssagan-discriminator", state).endswith(
        "All names begin with 'module.' twice: take one of them off"
    )


@pytest.mark.parametrize("kind", ["ssagan-generator", "ssagan-discriminator"])
def test_a_prefix_that_was_stripped_twice_is_named(kind):
    state = {name[len("module.") :]: tensor for name, tensor in released_state(kind).items()}
    say = f"prefix 'module.' was stripped twice from a {kind}"
    assert say in refused(kind, state)
    with pytest.raises(UserError, match=say):
        kind_of(state)


def test_module_inside_of_names_stays():
    kind = "dmgan-discriminator"
    state = released_state(kind, prefix="module.")
    assert "module.img_code_s16.0.module.weight_bar" in to_official(from_official(kind, state))
    without = {name.replace("module.", ""): tensor for name, tensor in state.items()}
    assert "taken out of the middle of names" in refused(kind, without)


# --------------------------------------------------------------- fingerprint


@pytest.mark.parametrize(
    ("state", "say"),
    [
        ({}, "it holds nothing"),
        ({"weight": 1, "bias": 2}, "it holds weight, bias"),
        ({0: 1}, "it holds 0"),
        ({"ca_net.fc.weight": 1, "h_net2.spatial_attn.conv.weight": 2}, "AttnGAN++"),
        ({"fc.weight": 1, "GBlocks.0.c1.weight": 2}, "netG of DF-GAN; dfgan takes the whole container"),
    ],
)
def test_unknown_files_are_refused(state, say):
    with pytest.raises(UserError, match=say.replace("+", r"\+")) as error:
        kind_of(state)
    assert "AttnGAN++" in say or "damsm-text-encoder" in str(error.value)


def test_a_cascade_cut_to_one_image():
    state = released_state("attngan-generator", {"image_size": 64, "stages": 1, "channels": 2})
    assert kind_of(state) == "attngan-generator"
    assert from_official("attngan-generator", state).image_sizes == [64]
