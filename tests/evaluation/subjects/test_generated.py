import torch
from evaluation_fixtures import score

from t2igan.cli.main import main
from t2igan.evaluation.features.networks import load_damsms
from t2igan.evaluation.record import append_record
from t2igan.evaluation.subjects.generated import build_untrained_subject, load_checkpoint_subject
from t2igan.models.digest import seal
from t2igan.models.suite_module import read_checkpoint


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


def test_weights_that_the_protocol_does_not_ask_for_are_told_of_in_the_table(checkpoints, store, protocol, capsys):
    asked = load_checkpoint_subject(checkpoints.generator, "ema")
    raw = load_checkpoint_subject(checkpoints.generator, "raw")
    assert not (asked.notes + raw.notes) and (asked.card.weights, raw.card.weights) == ("ema", "raw")
    read = read_checkpoint(checkpoints.generator)
    read["t2igan"]["config"]["init_args"]["ema_decay"] = None
    read["state_dict"] = {k: each for k, each in read["state_dict"].items() if not k.startswith("averages.")}
    seal(read)
    path = checkpoints.generator.with_name("without-averages.ckpt")
    torch.save(read, path)
    subject = load_checkpoint_subject(path, "ema")
    told = "scored with raw weights, where the protocol asks for ema: it has no averaged weights"
    assert subject.notes == [told] and subject.card.weights == "raw"
    record = score(checkpoints, store, protocol, subject)
    assert told in record.notes or any(told in each for each in record.notes)
    append_record(path.with_name("raw.jsonl"), record)
    main(["report", str(path.with_name("raw.jsonl")), "--out", str(path.with_name("report"))])
    assert told in " ".join(capsys.readouterr().out.split())
    assert told in path.with_name("report").joinpath("index.html").read_text()
