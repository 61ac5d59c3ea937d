from dataclasses import replace

import pytest
import torch
from evaluation_fixtures import OFFLINE, evaluate
from torch.nn import functional

from t2igan.errors import UserError
from t2igan.evaluation.features.embedders import BackboneEmbedder, DamsmEmbedder
from t2igan.evaluation.features.networks import load_damsms
from t2igan.evaluation.images.generate import NumberedImages
from t2igan.evaluation.metrics.r_precision import DAMSMRPrecision
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.evaluation.subjects.real import RealImages
from t2igan.metrics.backbones import Backbone
from t2igan.models.damsm import InceptionImageEncoder
from t2igan.nn.images import to_signed


def test_float_images_reach_the_damsm_unquantised(checkpoints, store, protocol, monkeypatch):
    options = DAMSMRPrecision(candidates=10, folds=5, source="float")
    damsms = load_damsms([checkpoints.damsm], store)
    encoder, seen = damsms[0].module.image_encoder, []
    encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    subject = load_checkpoint_subject(checkpoints.generator, "ema")
    for spec in (options, replace(options, source="uint8")):
        evaluate(subject, replace(protocol, metrics=(spec,)), store, damsms, options=OFFLINE)
    generated, stored = torch.cat(seen[: len(seen) // 2]), torch.cat(seen[len(seen) // 2 :])
    assert torch.equal(stored, to_signed(((generated + 1) * 127.5).round().to(torch.uint8)))
    assert not torch.equal(generated, stored)
    with pytest.raises(UserError, match="before quantisation, which these have not"):
        evaluate(RealImages(), replace(protocol, metrics=(options,)), store, damsms, options=OFFLINE)


class Bright(InceptionImageEncoder):
    """Reads the images themselves, at Inception's size."""

    def forward(self, images):
        size = (self.INPUT_SIZE, self.INPUT_SIZE)
        seen = functional.interpolate(images, size=size, mode="bilinear", align_corners=self.align_corners)
        return seen, seen[:, :, :40, :40].flatten(1)[:, : self.dim]


@pytest.mark.parametrize("own", [True, False])
def test_the_protocol_decides_how_a_damsm_resizes(checkpoints, store, protocol, own):
    """Whatever its checkpoint says: files of released DAMSMs do not tell how they were run."""
    damsm = load_damsms([checkpoints.damsm], store)[0]
    damsm.module.image_encoder = Bright(32, "random", align_corners=own)
    device = torch.device("cpu")
    images = NumberedImages(torch.arange(2), torch.randint(0, 256, (2, 3, 32, 32)).byte())
    rows = {
        resize: DamsmEmbedder(damsm, "uint8", device, resize)(images)[0]
        for resize in ("damsm", "align-corners", "half-pixel")
    }
    assert not torch.equal(rows["align-corners"], rows["half-pixel"])
    assert torch.equal(rows["damsm"], rows["align-corners" if own else "half-pixel"])
    assert damsm.module.image_encoder.align_corners is own
    identities = {tuple(DamsmEmbedder(damsm, "uint8", device, resize).identity) for resize in rows}
    assert len(identities) == 3


def test_a_pinned_resize_needs_an_inception(checkpoints, store, protocol):
    pinned = replace(protocol, metrics=(DAMSMRPrecision(candidates=10, folds=5, resize="align-corners"),))
    with pytest.raises(UserError, match=r"wants align-corners .* DAMSM first has a SmallImageEncoder"):
        evaluate(RealImages(), pinned, store, load_damsms([checkpoints.damsm], store), options=OFFLINE)


class Corner(Backbone):
    """The first pixels of an image."""

    name, sha256, feature_dim = "corner", "00", 3

    def __init__(self, way):
        super().__init__()
        self.way = way

    @property
    def identity(self):
        return [*super().identity, self.way]

    def _embed(self, images):
        return images[:, :, 0, 0], images[:, :, 1, 1]


def test_the_identity_of_features_holds_network_source_and_preprocessing():
    made = {
        (way, source): BackboneEmbedder(Corner(way), source, torch.device("cpu"))
        for way in ("pil", "tensor")
        for source in ("uint8", "float")
    }
    assert len({tuple(one.identity) for one in made.values()}) == 4
    images, floats = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8), torch.rand(2, 3, 4, 4)
    given = NumberedImages(torch.arange(2), images, floats)
    assert torch.equal(made["pil", "uint8"](given)[0], images[:, :, 0, 0].float())
    assert torch.equal(made["pil", "float"](given)[1], floats[:, :, 1, 1])
