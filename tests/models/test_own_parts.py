"""Parts as a user writes them: what they lack is one line, before training begins or in its first step."""

import pytest
import torch
from torch import nn

from t2igan.errors import UserError
from t2igan.losses.adversarial import BCE, Logits, Objective
from t2igan.models import Discriminator, Generator, Synthesis
from t2igan.models.gan_step import deceiving_verdict, discriminate_pairs, warn_of_range
from t2igan.models.generator_losses import GeneratorLoss, GeneratorView
from t2igan.models.own_parts import check_parts, check_sizes, require_frozen, term_value
from t2igan.networks.synthesis import require_logits
from t2igan.text import TextEmbedding


class Mine(Generator):
    def __init__(self, **own):
        super().__init__()
        self.noise_dim, self.image_sizes = 4, [8]
        self.layer = nn.Linear(4, 3 * 8 * 8)
        for name, value in own.items():
            setattr(self, name, value)

    def forward(self, noise, text):
        return Synthesis([self.layer(noise).view(-1, 3, 8, 8).tanh()])


class Patches(Discriminator):
    def __init__(self):
        super().__init__()
        self.image_size = 8
        self.layer = nn.Conv2d(3, 1, 8)

    def forward(self, image):
        return self.layer(image).flatten()

    def conditional(self, features, sentence):
        return features


class Square(Objective):
    def real(self, logits):
        return (logits - 1).square().mean()

    def fake(self, logits):
        return logits.square().mean()

    def deceive(self, logits):
        return self.real(logits)


class Term(GeneratorLoss):
    name = "term"

    def forward(self, view):
        return view.synthesis.images[-1].mean()


def changed(kind, **members):
    return type(kind.__name__, (kind,), members)


def lacking(kind, base, name):
    """The class with the base's own method."""
    return changed(kind, **{name: getattr(base, name)})


def test_whole_parts_are_taken():
    check_parts(Mine(), [Patches()], Square(), [Term()])
    check_parts(Mine(image_sizes=(8, 16)), [Patches()], BCE(), [])


@pytest.mark.parametrize(
    ("own", "line"),
    [
        ({"image_sizes": 8}, "Mine has the image_sizes 8: its __init__ sets a list"),
        ({"image_sizes": []}, r"the image_sizes \[\]"),
        ({"image_sizes": [16, 8]}, r"\[16, 8\]: .* coarse to fine"),
        ({"image_sizes": [8, 8]}, r"\[8, 8\]"),
        ({"image_sizes": [8.0]}, r"\[8\.0\]"),
        ({"noise_dim": 4.0}, r"Mine\.noise_dim is 4\.0, no whole number: set self\.noise_dim in its __init__"),
        ({"stages": [nn.Linear(2, 2)]}, r"Mine\.stages holds layers in a list, .* make it an nn\.ModuleList"),
        ({"heads": {"8": nn.Linear(2, 2)}}, r"Mine\.heads holds layers in a dict, .* make it an nn\.ModuleDict"),
        ({"free": (nn.Parameter(torch.zeros(2)),)}, r"Mine\.free holds layers in a tuple"),
        ({"eps_dim": 2}, r"Mine\.forward takes \(noise, text\), but is called as forward\(noise, text, eps\)"),
    ],
)
def test_what_a_generator_must_have(own, line):
    with pytest.raises(UserError, match=line):
        check_parts(Mine(**own), [Patches()], Square(), [])


def test_layers_that_are_registered_elsewhere_may_stand_in_a_list_too():
    mine = Mine()
    mine.again, mine.free, mine.without = [mine.layer], [mine.layer.weight], [nn.ReLU()]
    check_parts(mine, [Patches()], Square(), [])


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ((lacking(Mine, Generator, "forward")(), Patches(), Square(), Term()), r"Mine has no method forward"),
        (
            (Mine(), lacking(Patches, nn.Module, "forward")(), Square(), Term()),
            "has no method forward",
        ),
        (
            (Mine(), lacking(Patches, Discriminator, "conditional")(), Square(), Term()),
            "has no method cond",
        ),
        (
            (Mine(), Patches(), lacking(Square, Objective, "deceive")(), Term()),
            "has no method deceive",
        ),
        (
            (Mine(), Patches(), Square(), lacking(Term, GeneratorLoss, "forward")()),
            r"no method forward\(view\)",
        ),
        ((Mine(), Patches(), Square(), changed(Term, name=None)()), "Term has no name, under which its curve"),
        (
            (Mine(), Patches(), Square(), changed(Term, forward=lambda self, fake, real: fake)()),
            r"Term\.forward takes \(fake, real\), but is called as forward\(view\)",
        ),
        (
            (Mine(), Patches(), Square(), changed(Term, __init__=lambda self: None)()),
            r"Term\.__init__ does not begin with super\(\)\.__init__\(\)",
        ),
    ],
)
def test_what_the_other_parts_must_have(parts, line):
    generator, discriminator, objective, loss = parts
    with pytest.raises(UserError, match=line):
        check_parts(generator, [discriminator], objective, [loss])


def test_attributes_that_are_not_set():
    mine, patches = Mine(), Patches()
    del mine.image_sizes, patches.image_size
    with pytest.raises(UserError, match="Mine has no image_sizes"):
        check_sizes(mine)
    with pytest.raises(UserError, match=r"Patches\.image_size is not set: set self\.image_size in its __init__"):
        check_parts(Mine(), [patches], Square(), [])


def test_an_objective_of_another_form_needs_no_cost_of_single_logits():
    whole = changed(Objective, discriminator_loss=lambda self, *_: 0, generator_loss=lambda self, fake: 0)
    check_parts(Mine(), [Patches()], whole(), [])


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (torch.ones(3), r"Square\.fake returned a tensor of shape \(3,\): return one number"),
        (1.0, r"Square\.fake returned a float"),
        (None, r"Square\.fake returned a NoneType"),
    ],
)
def test_a_cost_is_one_number(given, line):
    odd = changed(Square, fake=lambda self, logits: given)()
    with pytest.raises(UserError, match=line):
        odd.discriminator_loss(Logits(torch.ones(3)), Logits(torch.ones(3)), torch.ones(0))
    wrong_pairs = changed(Square, fake=lambda self, logits: given if len(logits) == 2 else logits.mean())()
    with pytest.raises(UserError, match=line):
        wrong_pairs.discriminator_loss(Logits(torch.ones(3)), Logits(torch.ones(3)), torch.ones(2))
    with pytest.raises(UserError, match=line.replace("fake", "deceive")):
        changed(Square, deceive=lambda self, logits: given)().generator_loss(Logits(torch.ones(3)))


@pytest.mark.parametrize("logits", [torch.ones(()), torch.ones(2), None])
def test_logits_are_one_a_pair(logits):
    with pytest.raises(UserError, match=r"Patches\.conditional returned .*: return one logit a pair, shape \(3,\)"):
        require_logits(Patches(), logits, 3)
    require_logits(Patches(), torch.ones(3, 2), 3)


def drawn(**made):
    """What a generator draws that returns other images, masks or attention."""

    def forward(self, noise, text):
        images = Mine.forward(self, noise, text).images[0]
        return Synthesis(**({"images": [images]} | {key: make(images) for key, make in made.items()}))

    text = TextEmbedding(torch.zeros(2, 5), torch.zeros(2, 5, 1), torch.zeros(2, 1, dtype=torch.bool))
    return changed(Mine, forward=forward)().from_random(torch.zeros(2, 4), text)


@pytest.mark.parametrize(
    ("made", "line"),
    [
        ({"images": lambda x: x}, r"images as a Tensor: return a list of tensors \(2, C, S, S\)"),
        ({"images": lambda x: [x.detach().numpy()]}, "images as a list of ndarray: return a list"),
        ({"images": lambda x: [x[0]]}, r"images of shape \(3, 8, 8\): return a list"),
        ({"masks": lambda x: x[:, :1]}, r"masks as a Tensor: return a list of tensors \(2, 1, S, S\)"),
        ({"masks": lambda x: [x]}, r"masks of shape \(2, 3, 8, 8\): return"),
        ({"attention": lambda x: [x[:1]]}, r"attention of shape \(1, 3, 8, 8\): return"),
        (
            {"images": lambda x: [x.double()]},
            r"images of torch\.float64: leave them in the precision of its",
        ),
        ({"images": lambda x: [x.half()]}, r"images of torch\.float16: leave them"),
    ],
)
def test_what_a_generator_returns(made, line):
    with pytest.raises(UserError, match=f"^Mine.forward returned {line}"):
        drawn(**made)


def test_what_a_generator_may_return():
    drawn(masks=lambda x: [x[:, :1]], attention=lambda x: (x, x[..., :4]))
    with torch.autocast("cpu", torch.bfloat16):
        drawn(images=lambda x: [x.bfloat16()])
    with torch.no_grad():
        drawn(images=lambda x: [x.half()])  # to be looked at: no discriminator takes it


@pytest.mark.parametrize("part", [0, 1])
def test_weights_that_are_frozen(part):
    parts = Mine(), Patches()
    parts[part].requires_grad_(False)
    with pytest.raises(UserError, match=r"(Mine|Patches) has frozen weights only: remove requires_grad_"):
        check_parts(parts[0], [parts[1]], Square(), [])


def test_names_of_curves_that_are_taken():
    with pytest.raises(UserError, match=r"Term\.name is 'term', under which another loss's curve is logged"):
        check_parts(Mine(), [Patches()], Square(), [Term(), Term()])
    with pytest.raises(UserError, match=r"Term\.name is 'adversarial', under which the objective's curve"):
        check_parts(Mine(), [Patches()], Square(), [changed(Term, name="adversarial")()])
    check_parts(Mine(), [Patches()], Square(), [Term(), changed(Term, name="other")()])


def test_a_loss_has_no_weights_to_train():
    term = Term()
    require_frozen(term)
    term.layer = nn.Linear(2, 2)
    with pytest.raises(UserError, match="Term has weights to train, which are neither trained nor saved"):
        require_frozen(term)
    require_frozen(term.requires_grad_(False))


def test_losses_and_logits_that_are_cut_off():
    images = torch.zeros(2, 3, 8, 8, requires_grad=True)
    view = GeneratorView(Synthesis([images + 1]), torch.zeros(1), None, None)
    assert term_value(Term(), view).requires_grad
    assert term_value(changed(Term, forward=lambda self, view: torch.zeros(()))(), view) == 0
    cut = changed(Term, forward=lambda self, view: view.synthesis.images[-1].mean().detach())()
    with pytest.raises(UserError, match=r"Term\.forward returned a loss without a gradient to the images"):
        term_value(cut, view)
    with torch.no_grad():
        term_value(cut, view)

    condition, discriminator = torch.zeros(2, 5), Patches()
    deceiving_verdict(discriminator, images, condition)
    detached = changed(Patches, conditional=lambda self, features, sentence: features.detach())()
    odd = changed(Patches, unconditional=lambda self, features: features.mean())()
    for shifted in (None, lambda features, told: (features, told)):
        arguments = images.detach(), images.detach(), condition, shifted
        discriminate_pairs(discriminator, *arguments)
        with pytest.raises(UserError, match=r"conditional returned logits without a gradient to its weights"):
            discriminate_pairs(detached, *arguments)
        with pytest.raises(UserError, match=r"unconditional returned shape \(\): return one logit a pair"):
            discriminate_pairs(odd, *arguments)
        with torch.no_grad():
            discriminate_pairs(detached, *arguments)
    blind = changed(Patches, forward=lambda self, image: Patches.forward(self, image.detach()))()
    with pytest.raises(UserError, match=r"conditional returned logits without a gradient to the images"):
        deceiving_verdict(blind.requires_grad_(False), images, condition)

    logits = Logits(torch.ones(3, requires_grad=True))
    for method, call in (("real", "discriminator_loss"), ("deceive", "generator_loss")):
        deaf = changed(Square, **{method: lambda self, logits: logits.detach().mean()})()
        arguments = (logits, logits, torch.ones(0)) if call == "discriminator_loss" else (logits,)
        with pytest.raises(UserError, match=rf"Square\.{method} returned a number without a gradient to its"):
            getattr(deaf, call)(*arguments)


@pytest.mark.parametrize(
    ("images", "line"),
    [
        (
            lambda x: 10 * x,
            r"step 0: Mine returned values from -10 to 10; .* lie in -1 to 1, and 80% of these are",
        ),
        (lambda x: (x + 1) / 2, r"from 0 to 1; images lie in -1 to 1: end it with tanh rather than sigmoid"),
    ],
)
def test_images_out_of_range_are_told_of(images, line):
    ramp = torch.linspace(-1, 1, 1000)
    with pytest.warns(UserWarning, match=line):
        warn_of_range(images(torch.where(ramp.abs() < 0.2, 0, ramp)), Mine(), 0)
    warn_of_range(ramp, Mine(), 0)  # a warning would be an error of the test
    warn_of_range(1.04 * ramp, Mine(), 0)  # without a tanh a little is cut off
    warn_of_range((ramp + 1) / 2, Mine(), 500)  # perhaps of a white data set
    warn_of_range((ramp + 1) / 9, Mine(), 0)


def test_images_that_are_cut_off_from_the_weights():
    text = TextEmbedding(torch.zeros(2, 5), torch.zeros(2, 5, 1), torch.zeros(2, 1, dtype=torch.bool))
    cut = changed(
        Mine, forward=lambda self, noise, text: Synthesis([Mine.forward(self, noise, text).images[0].detach()])
    )()
    with pytest.raises(UserError, match=r"Mine\.forward returned images without a gradient"):
        cut.from_random(torch.zeros(2, 4), text)
    with torch.no_grad():
        cut.from_random(torch.zeros(2, 4), text)
    cut.requires_grad_(False).from_random(torch.zeros(2, 4), text)
    cut.requires_grad_(True).eval().from_random(torch.zeros(2, 4), text)
