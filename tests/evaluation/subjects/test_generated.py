import torch
from evaluation_fixtures import score

from t2igan.evaluation.features.networks import load_damsms
from t2igan.evaluation.subjects.generated import build_untrained_subject, load_checkpoint_subject


def test_untrained_is_the_same_config_built_anew(checkpoints, store, protocol):
    damsm = load_damsms([checkpoints.damsm], store)[0].module
    first, again, other = (build_untrained_subject(checkpoints.generator, seed, damsm) for seed in (0, 0, 1))
    trained = load_checkpoint_subject(checkpoints.generator, "raw").module
    weights = [subject.module.generator.fc.weight for subject in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert weights[0].shape == trained.generator.fc.weight.shape
    assert not torch.equal(weights[0], trained.generator.fc.weight)
    assert torch.equal(first.module.text_encoder.embedding.weight, damsm.text_encoder.embedding.weight)
    record = score(checkpoints, store, protocol, first)
    assert (record.subject.kind, record.subject.seed) == ("untrained", 0)
    assert record.metrics["fd-classifier"].value > 0


def test_building_untrained_leaves_the_global_generator_alone(checkpoints):
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    build_untrained_subject(checkpoints.generator, seed=1)
    assert torch.equal(torch.rand(3), wanted)
