import pytest
import torch
from segment_fixture import GROUND, SKY, THING, VOCABULARY, segments_of_masks, toy_batch, train_on_scenes

from t2igan.errors import UserError
from t2igan.layout.segments import SpatioTextualMap, crop_segments
from t2igan.models.conditioner import Conditioner, all_segments, labels_of
from t2igan.models.gan_step import Chunk
from t2igan.models.generator_losses import Discriminated, GeneratorView
from t2igan.models.joint_encoder import SegmentEncoder
from t2igan.models.layout_losses import FeatureMatching
from t2igan.models.spatext import SpaTextGAN
from t2igan.models.suite_module import load_module
from t2igan.networks.dfgan import DFGANGenerator, OneWayDiscriminator
from t2igan.networks.spatext import SegmentDiscriminator, SpaTextGenerator, SpatioTextualConditions, grid_of
from t2igan.networks.synthesis import Synthesis
from t2igan.nn.images import to_signed
from t2igan.nn.randomness import StepRandom
from t2igan.text import TextEmbedding

SIDE, DIM = 16, 8


def text(rows=2, dim=6):
    return TextEmbedding(torch.randn(rows, dim), torch.randn(rows, dim, 3), torch.zeros(rows, 3, dtype=torch.bool))


def told(rows=2):
    """Something is said in the left half."""
    index = torch.zeros(rows, SIDE, SIDE, dtype=torch.int64)
    index[:, :, : SIDE // 2] = 1
    return SpatioTextualMap(torch.randn(rows, 2, DIM), index)


def conditions(embedding, st_map):
    return SpatioTextualConditions(embedding.sentence, embedding.words, embedding.padding, None, st_map)


def generator():
    torch.manual_seed(0)
    return SpaTextGenerator(SIDE, 4, 5, 6, DIM, planes=3, hidden=4).eval()


def test_where_nothing_is_said_it_is_the_text_gan_exactly():
    own, noise, embedding = generator(), torch.randn(2, 5), text()
    host = DFGANGenerator(SIDE, 4, 5, 6).eval()
    lacking = host.load_state_dict(own.state_dict(), strict=False)
    assert not lacking.missing_keys
    assert all(".local." in key or key.startswith("project.") for key in lacking.unexpected_keys)
    generated = host(noise, embedding).images[0]
    for st_map in (None, told().nothing()):
        assert torch.equal(own(noise, conditions(embedding, st_map)).images[0], generated)
    assert torch.equal(own(noise, embedding).images[0], generated)
    assert not torch.allclose(own(noise, conditions(embedding, told())).images[0], generated, atol=1e-4)


def test_what_is_said_acts_on_its_own_image_and_on_its_place():
    own, noise, embedding = generator(), torch.randn(2, 5), text()
    before, st_map = own(noise, conditions(embedding, told())).images[0], told()
    st_map.index[0, 4:12, 10:] = 1
    after = own(noise, conditions(embedding, st_map)).images[0]
    assert not torch.allclose(before[0], after[0], atol=1e-4)
    other = SpatioTextualMap(st_map.embeddings, torch.cat([st_map.index[:1], torch.zeros_like(st_map.index[:1])]))
    generated = own(noise, conditions(embedding, other)).images[0]
    assert torch.allclose(generated[0], after[0], atol=1e-6) and not torch.allclose(
        generated[1], after[1], atol=1e-4
    )


def test_the_segment_discriminator_speaks_of_places_where_something_is_said():
    torch.manual_seed(0)
    discriminator = SegmentDiscriminator(SIDE, 4, DIM, side=8)
    features = discriminator(torch.randn(2, 3, SIDE, SIDE))
    assert features.shape == (2, 8, 8, 8) and discriminator.unconditional(features).shape == (2 * 64,)
    st_map = told()
    logits = discriminator.conditional(features, grid_of(st_map, 8))
    assert logits.shape == (2 * 32,)
    other = discriminator.conditional(features, grid_of(st_map.mismatched(), 8))
    assert other.shape == (2 * 32,) and not torch.allclose(logits, other)
    silent = discriminator.conditional(features, grid_of(st_map.nothing(), 8))
    assert silent.tolist() == [0.0] and silent.requires_grad


@pytest.mark.parametrize("context", [0, 2])
def test_features_are_matched_where_something_is_said_and_nowhere_else(context):
    """Real and generated images that differ in the right half alone, where nothing is said, are no different."""
    torch.manual_seed(0)
    discriminator = SegmentDiscriminator(SIDE, 4, DIM, side=8, context=context).eval()
    assert [tuple(each.shape[1:]) for each in discriminator.layers(torch.zeros(1, 3, SIDE, SIDE))] == [
        (4, 8, 8),
        (8, 8, 8),
        (8, 8, 8),
        *([(8, 4, 4), (8, 2, 2), (8, 4, 4), (8, 8, 8)] if context else []),
    ]
    real = torch.randn(2, 3, SIDE, SIDE)
    told_here, told_nowhere = (grid_of(each, 8) for each in (told(), told().nothing()))
    verdict = discriminator.verdict(real, told_here)
    assert all(not layer[..., layer.shape[-1] // 2 :].any() and layer.any() for layer in verdict.layers[:-1])
    assert torch.equal(verdict.layers[-1], verdict.unconditional)

    def distance(generated, condition):
        discriminated = [
            Discriminated(each, each.verdict(generated, own), own)
            for each, own in ((discriminator, condition), whole)
        ]
        return FeatureMatching(10.0)(
            GeneratorView(Synthesis([generated]), None, None, None, lambda size: real, discriminated)
        )

    whole = OneWayDiscriminator(SIDE, 4, sentence_dim=6), torch.zeros(2, 6)  # it shows no layers and does not count
    generated = torch.randn(2, 3, SIDE, SIDE, requires_grad=True)
    expected = sum(
        (mine - theirs).abs().mean()
        for mine, theirs in zip(discriminator.verdict(generated, told_here).layers[:-1], verdict.layers[:-1])
    )
    assert torch.allclose(distance(generated, told_here), 10 * expected)
    assert distance(generated, told_nowhere) == 0 and distance(real, told_here) == 0
    distance(generated, told_here).backward()
    assert generated.grad[..., 0].any()


def test_with_context_a_cell_sees_beyond_its_surroundings():
    torch.manual_seed(0)
    image, changed = torch.randn(2, 1, 3, 32, 32)
    changed[..., :24] = image[..., :24]
    for context, seen in ((0, False), (2, True)):
        discriminator = SegmentDiscriminator(32, 4, DIM, side=16, context=context).eval()
        before, after = discriminator(image), discriminator(changed)
        assert torch.equal(before[..., :6], after[..., :6]) != seen and not torch.equal(before, after)


def test_without_context_checkpoints_of_before_can_be_read():
    assert not any(key.startswith(("down", "up")) for key in SegmentDiscriminator(SIDE, 4, DIM).state_dict())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    return str(train_on_scenes(SegmentEncoder(dim=DIM, channels=4, width=8), 2, tmp_path_factory.mktemp("encoder")))


def small(**options):
    torch.manual_seed(0)
    dim = options.pop("dim", DIM)
    return SpaTextGAN(
        generator=SpaTextGenerator(32, 4, 5, 6, dim, planes=3, hidden=4),
        discriminators=[
            *SpaTextGAN(image_size=32, channels=4, sentence_dim=6, told="nothing").discriminators[:1],
            SegmentDiscriminator(32, 4, dim),
        ],
        vocabulary_size=len(VOCABULARY),
        **options,
    )


@pytest.mark.parametrize("how", ["images", "texts", "labels", "nothing"])
def test_it_trains_is_saved_and_draws_the_same_again(how, encoder, tmp_path):
    dim = DIM if how in ("images", "texts") else 182
    module = small(told=how, encoder=encoder if dim == DIM else None, dim=dim)
    before = module.generator.blocks[0].fuse1.affine1.local[0].weight.clone()
    path = train_on_scenes(module, 3, tmp_path)
    moved = not torch.equal(module.generator.blocks[0].fuse1.affine1.local[0].weight, before)
    assert moved == (how != "nothing")
    again, batch = load_module(path), toy_batch(3, 99)
    noise = torch.randn(3, again.generator.random_dim)
    first, second = (
        each.synthesise(noise, batch.captions, batch.lengths, layouts=batch.layouts).images[-1]
        for each in (module, again)
    )
    assert torch.equal(first, second)
    silent = again.synthesise(noise, batch.captions, batch.lengths).images[-1]
    assert torch.equal(silent, second) == (how == "nothing")
    assert not any("conditioner" in key for key in torch.load(path, weights_only=True)["state_dict"])


@pytest.fixture(scope="module")
def chunk_told(encoder):
    """A GAN, a chunk of many scenes, and what it is told of them in training."""
    module, batch = small(encoder=encoder, most=2, unsaid=0.25), toy_batch(200, 7)
    module.vocabulary = VOCABULARY
    module.configure_model()
    chunk = Chunk(batch, to_signed(batch.images), torch.zeros(200, 5), text(200), random=StepRandom(0, 0))
    chunk.told = module.training_conditions(text(200), chunk)
    return module, chunk


def test_training_tells_crops_of_some_segments_and_of_a_quarter_of_the_images_nothing(chunk_told):
    module, chunk = chunk_told
    st_map, layouts = chunk.told.st_map, chunk.batch.layouts
    silent = (st_map.index == 0).flatten(1).all(1)
    assert silent.float().mean() == pytest.approx(0.25, abs=0.08)
    counts = st_map.present.sum(1)[~silent]
    assert set(counts.tolist()) == {1, 2}
    image = int((~silent).nonzero()[0])
    for place in st_map.present[image].nonzero()[:, 0].tolist():
        mask = st_map.index[image] == place + 1
        [number] = layouts.instances[image][mask].unique().tolist()
        assert torch.equal(mask, layouts.instances[image] == number)
        crop = crop_segments(chunk.batch.images[image][None], segments_of_masks([mask], [""]), 32)
        vector = module.conditioner.encoder.image_vectors(crop)[0]
        assert torch.allclose(st_map.embeddings[image, place], vector, atol=1e-5)


def test_the_wrong_pairs_of_places_are_their_masks_with_what_was_said_of_others(chunk_told):
    module, chunk = chunk_told
    discriminator = module.discriminators[1]
    features, right = torch.zeros(200, 8, 16, 16), discriminator.condition(chunk.told)
    same, wrong = module._mismatched(chunk, features, right)
    assert same is features
    both = (right[:, -1] > 0) & (wrong[:, -1] > 0)
    assert both.any() and not (wrong[:, -1] > right[:, -1]).any()
    own, others = (each[:, :-1].permute(0, 2, 3, 1)[both] for each in (right, wrong))
    assert torch.cosine_similarity(own, others, dim=1).max() < 0.9
    _, sentences = module._mismatched(chunk, torch.zeros(200, 4), chunk.told.sentence)
    assert sentences.dim() == 2 and not torch.equal(sentences, chunk.told.sentence)


def test_another_encoder_than_that_of_training_is_refused(encoder, tmp_path):
    path = train_on_scenes(small(encoder=encoder), 1, tmp_path)
    checkpoint = torch.load(path, weights_only=True)
    from t2igan.models.digest import seal

    checkpoint["t2igan"]["inputs"]["encoder"] = "0" * 64
    seal(checkpoint)
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match="is not the encoder that the checkpoint was trained with"):
        load_module(path)


def test_widths_that_do_not_fit_and_missing_encoders_are_refused(encoder, tmp_path):
    with pytest.raises(UserError, match="segment_dim is 9, but segment conditions have width 8"):
        train_on_scenes(small(encoder=encoder, dim=9), 1, tmp_path)
    with pytest.raises(UserError, match="needs model"):
        train_on_scenes(small(), 1, tmp_path)


@pytest.mark.parametrize("told", ["texts", "labels", "nothing"])
def test_what_would_have_no_effect_is_refused(encoder, told):
    with pytest.raises(UserError, match=f"prior has no effect with told: {told}: set it to null"):
        Conditioner(told, encoder if told == "texts" else None, "prior.ckpt")
    if told != "texts":
        with pytest.raises(UserError, match=f"encoder has no effect with told: {told}"):
            Conditioner(told, encoder, None)


def test_labels_are_those_of_the_segments():
    layouts = toy_batch(4, 3).layouts
    found = labels_of(all_segments(layouts), layouts).tolist()
    assert set(found) <= {SKY, GROUND, THING} and len(found) >= 8
