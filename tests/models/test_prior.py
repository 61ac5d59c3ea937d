import pytest
import torch
from segment_fixture import train_on_scenes

from t2igan.errors import UserError
from t2igan.models.joint_encoder import load_joint_encoder
from t2igan.models.prior import DiffusionPrior, MLPPrior, SegmentPrior, load_prior


def test_the_modalities_lie_apart_and_a_prior_closes_the_gap(vectors, encoder_path, tmp_path):
    texts, images, _ = vectors
    torch.manual_seed(0)
    path = train_on_scenes(SegmentPrior(str(encoder_path), MLPPrior(16, 64)), 40, tmp_path)
    prior = load_prior(path, load_joint_encoder(encoder_path).sha256)
    with torch.no_grad():
        predicted = prior.network(texts)
    cosines = [(each * images).sum(1).mean().item() for each in (texts, predicted)]
    gaps = [(each.mean(0) - images.mean(0)).norm().item() for each in (texts, predicted)]
    assert cosines[1] > cosines[0] + 0.02 and gaps[1] < gaps[0]
    assert not any(key.startswith("encoder.") for key in torch.load(path, weights_only=True)["state_dict"])


def test_a_prior_of_another_encoder_is_refused(encoder_path, tmp_path):
    path = train_on_scenes(SegmentPrior(str(encoder_path), MLPPrior(16, 8)), 1, tmp_path)
    with pytest.raises(UserError, match="another encoder"):
        load_prior(path, "0" * 64)


def test_a_prior_serves_its_encoder_in_double_precision_too(encoder_path, tmp_path):
    path = train_on_scenes(SegmentPrior(str(encoder_path), MLPPrior(16, 8)), 1, tmp_path)
    torch.set_default_dtype(torch.float64)  # as Lightning does for ``precision: 64-true``
    try:
        encoder = load_joint_encoder(encoder_path)
        assert next(encoder.parameters()).dtype == torch.float64
        load_prior(path, encoder.sha256)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_diffusion_prior_learns_and_gives_equal_texts_equal_vectors():
    pytest.importorskip("diffusers")
    torch.manual_seed(0)
    prior = DiffusionPrior(dim=8, layers=1, heads=2, head_dim=8, steps=5)
    texts = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    images = torch.nn.functional.normalize(texts.flip(1) + 0.3, dim=1)
    optimizer = torch.optim.Adam(prior.parameters(), lr=3e-3)
    before = (prior(texts) * images).sum(1).mean()
    for _ in range(150):
        optimizer.zero_grad()
        prior.loss(texts.repeat(8, 1), images.repeat(8, 1)).backward()
        optimizer.step()
    with torch.no_grad():
        after = prior(texts)
    assert (after * images).sum(1).mean() > before + 0.2
    assert torch.allclose(prior(texts[:1]), after[:1], atol=1e-5)
    assert torch.allclose(after.norm(dim=1), torch.ones(4))
