import pytest
import torch
import yaml
from evaluation_fixtures import fit_briefly

from t2igan.data.datamodule import CaptionedImagesModule
from t2igan.data.sources.scenes.world import unseen_pair
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.evaluation import Evaluation
from t2igan.evaluation.features.networks import NetworkOptions
from t2igan.evaluation.images.told import layouts_to_draw, told_of
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.evaluation.subjects.real import RealImages
from t2igan.models.joint_encoder import SegmentEncoder
from t2igan.models.prior import MLPPrior, SegmentPrior
from t2igan.models.segmenter import Segmenter
from t2igan.models.spatext import SpaTextGAN
from t2igan.networks.spatext import SegmentDiscriminator, SpaTextGenerator

SIZE = 32
METRICS = ("local-iou", "local-distance", "global-distance")


def protocol(folder, **changes):
    content = {
        "dataset": "scenes",
        "image_size": SIZE,
        "images": 40,
        "segments": 3,
        "metrics": [{"name": name} for name in METRICS],
    }
    path = folder / "segments.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return load_protocol(str(path))


def small_gan(encoder, prior=None):
    return SpaTextGAN(
        encoder=str(encoder),
        prior=prior,
        generator=SpaTextGenerator(SIZE, 4, 5, 8, 16, planes=4, hidden=4),
        discriminators=[SegmentDiscriminator(SIZE, 4, 16)],
        penalty=None,
    )


@pytest.fixture(scope="module")
def networks(scenes_store, tmp_path_factory):
    """Checkpoints of a segmenter, a joint encoder and a SpaText GAN, trained for a moment."""
    folder = tmp_path_factory.mktemp("spatext")
    data = {"store": str(scenes_store), "image_size": SIZE, "batch_size": 12, "num_workers": 0}
    torch.manual_seed(0)
    paths = {name: folder / f"{name}.ckpt" for name in ("segmenter", "encoder", "gan")}
    segmenter = Segmenter(SIZE, channels=8, lr=1e-2, recoloured=0.0)
    fit_briefly(segmenter, CaptionedImagesModule(**data), paths["segmenter"], 60)
    fit_briefly(
        SegmentEncoder(16, channels=8, width=16, lr=5e-3), CaptionedImagesModule(**data), paths["encoder"], 60
    )
    fit_briefly(small_gan(paths["encoder"]), CaptionedImagesModule(**data), paths["gan"], 2)
    return paths


def run(subject, pinned, store, networks, batch_size=64, cache=None):
    options = NetworkOptions(
        batch_size, "cpu", encoder=networks["encoder"], segmenter=networks["segmenter"], cache=cache
    )
    return Evaluation(subject, pinned, store, options=options).run()


def test_real_images_are_better_than_shuffled_conditions_on_all_three(scenes_store, networks, tmp_path):
    store = open_store(scenes_store)
    values = {
        name: each.value for name, each in run(RealImages(), protocol(tmp_path), store, networks).metrics.items()
    }
    assert values["local-iou"] > values["local-iou-shuffled"] + 0.1
    assert values["local-distance"] < values["local-distance-shuffled"] - 0.05
    assert values["global-distance"] < values["global-distance-shuffled"]


def test_seen_and_unseen_are_of_things_alone(scenes_store, networks, tmp_path):
    """They part the segments that name a pair of a colour and a thing; a sky is neither."""
    store, pinned = open_store(scenes_store), protocol(tmp_path)
    found = run(RealImages(), pinned, store, networks).metrics
    split = store.split("test")
    captions = RealImages().plan(pinned, split).captions
    texts = told_of(split, store.image_size, pinned, captions).given.flat_texts
    answers = [unseen_pair(text) for text in texts]
    assert None in answers
    for name in ("local-iou", "local-distance"):
        counts = [found[f"{name}{part}"].n for part in ("", "-seen", "-unseen")]
        assert counts == [len(texts), answers.count(False), answers.count(True)]


def test_values_do_not_depend_on_the_batch_and_are_kept(scenes_store, networks, tmp_path, generated):
    store, pinned = open_store(scenes_store), protocol(tmp_path)
    subject = load_checkpoint_subject(networks["gan"], "ema")
    first = run(subject, pinned, store, networks, cache=tmp_path / "features")
    drawn = len(generated)
    again = run(subject, pinned, store, networks, batch_size=7, cache=tmp_path / "features")
    assert drawn == 40 == len(generated)
    other = run(subject, pinned, store, networks, batch_size=7)
    assert len(generated) == 80
    for name, value in first.metrics.items():
        assert again.metrics[name].value == value.value
        assert other.metrics[name].value == pytest.approx(value.value, abs=1e-5)
    assert first.backbones.keys() == {"segmenter", "joint encoder"}


def test_what_is_told_belongs_to_the_caption(scenes_store, tmp_path):
    split, pinned = open_store(scenes_store).split("test"), protocol(tmp_path)
    several = told_of(split, 64, pinned, [0, 7, 13])
    for place, caption in enumerate([0, 7, 13]):
        alone = told_of(split, 64, pinned, [caption])
        assert alone.given.texts[0] == several.given.texts[place]
        assert torch.equal(alone.given.index[0], several.given.index[place])
        assert 1 <= len(alone.given.texts[0]) <= 3
    drawn = layouts_to_draw(split, 64, pinned, [0, 7, 13])
    assert drawn.texts == several.given.texts and int(drawn.instances.max()) <= 3
    whole = layouts_to_draw(split, 64, protocol(tmp_path, segments=0), [0])
    assert len(whole.texts[0]) > 3 and whole.labels.shape == (1, SIZE, SIZE)


def test_rough_masks_are_scored_beside_exact_ones(scenes_store, networks, tmp_path):
    store, pinned = open_store(scenes_store), protocol(tmp_path, segments_masks="box")
    values = {name: each.value for name, each in run(RealImages(), pinned, store, networks).metrics.items()}
    assert values["local-iou-exact"] != values["local-iou"]
    split = store.split("test")
    told, drawn = (ask(split, store.image_size, pinned, [0, 7, 13]) for ask in (told_of, layouts_to_draw))
    assert torch.equal(drawn.instances.long(), told.given.index)  # a generator is given the rough ones
    assert not torch.equal(told.given.index, told.exact.index)
    exact = run(RealImages(), protocol(tmp_path), store, networks).metrics
    assert values["local-iou-exact"] == pytest.approx(exact["local-iou"].value)
    assert "local-iou-exact" not in exact


def test_protocols_that_tell_no_segments_keep_their_hash_and_their_images(tmp_path):
    plain = protocol(tmp_path, segments=0, metrics=[{"name": "global-distance"}])
    changed = protocol(tmp_path, segments=0, segments_seed=3, metrics=[{"name": "global-distance"}])
    assert not any("segments" in name for name in plain.drawing) and plain.drawing == changed.drawing
    assert protocol(tmp_path, segments_masks="box").drawing != protocol(tmp_path).drawing
    assert not any(name.startswith("segments") for name in load_protocol("coco/dmgan").drawing)


def test_what_is_missing_is_said_at_once(scenes_store, tmp_path):
    store = open_store(scenes_store)
    with pytest.raises(UserError) as raised:
        Evaluation(RealImages(), protocol(tmp_path), store, options=NetworkOptions(device="cpu"))
    assert "--segmenter" in str(raised.value) and "--encoder" in str(raised.value)
    with pytest.raises(UserError, match="tells no segments"):
        pinned = protocol(tmp_path, segments=0, metrics=[{"name": "local-iou"}])
        Evaluation(RealImages(), pinned, store, options=NetworkOptions(device="cpu"))


def test_a_model_without_its_prior_is_another_subject(scenes_store, networks, tmp_path):
    torch.manual_seed(0)
    data = {"store": str(scenes_store), "image_size": SIZE, "batch_size": 12, "num_workers": 0}
    prior = tmp_path / "prior.ckpt"
    fit_briefly(SegmentPrior(str(networks["encoder"]), MLPPrior(16, 32)), CaptionedImagesModule(**data), prior, 20)
    gan = small_gan(networks["encoder"], str(prior))
    with torch.no_grad():
        # At the start places hardly matter; moved weights let them show without long training.
        for parameter in gan.generator.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    path = tmp_path / "with-prior.ckpt"
    fit_briefly(gan, CaptionedImagesModule(**data), path, 2)
    whole, without = (load_checkpoint_subject(path, "ema", prior=each) for each in (True, False))
    assert whole.card.sha256 != without.card.sha256 and without.card.name.endswith("without prior")
    assert without.card.experiment is None
    store, pinned = open_store(scenes_store), protocol(tmp_path, images=12)
    values = [run(each, pinned, store, networks).metrics["local-distance"].value for each in (whole, without)]
    assert values[0] != values[1]
    with pytest.raises(UserError, match="has no prior"):
        load_checkpoint_subject(networks["gan"], "ema", prior=False)
