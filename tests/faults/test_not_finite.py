"""Numbers that are not finite: training stops by name, nothing of it is saved, and no verb uses such weights."""

import shutil

import pytest
import torch
from harness import fit_words, last, run

from t2igan.cli.main import main
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.damsm import DAMSM
from t2igan.models.digest import seal
from t2igan.models.suite_module import load_module

BREAKS_AT = 9
SAVES = ["--trainer.callbacks+=RunCheckpoints", "--trainer.callbacks.every_n_steps=4"]
SKIPS = ["--trainer.callbacks+=Guards", "--trainer.callbacks.non_finite=skip"]


def a_loss(self, batch, batch_idx):
    loss = DAMSM.training_step.original(self, batch, batch_idx)
    return loss * float("nan") if self.global_step == BREAKS_AT else loss


def a_weight(self, batch, batch_idx):
    loss = DAMSM.training_step.original(self, batch, batch_idx)
    if self.global_step == BREAKS_AT:
        with torch.no_grad():
            self.text_encoder.embedding.weight[0] = float("inf")  # padding: in no loss and no gradient
    return loss


@pytest.fixture
def broken(monkeypatch):
    def breaks(kind, step):
        step.__dict__["original"] = kind.training_step
        original = kind.training_step
        monkeypatch.setattr(kind, "training_step", step)
        step.original = original

    return breaks


def fit(homes, tmp_path, capsys, config, *options):
    with pytest.raises(SystemExit) as exit_:
        main(fit_words(config, tmp_path / "run", *SAVES, *options))
    assert exit_.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def all_finite(path):
    checkpoint = torch.load(path, weights_only=True)
    return all(each.isfinite().all() for each in checkpoint["state_dict"].values() if each.is_floating_point())


def test_a_gradient(homes, tally, tmp_path, capsys, broken):
    probe = tally("NaN in a loss: training stops by name and step, the last good checkpoint is kept and named")
    broken(DAMSM, a_loss)
    line = fit(homes, tmp_path, capsys, homes.damsm)
    good = last(tmp_path / "run")
    told = "at step 10" in line and "gradient norm of" in line and f"{good} (step 8 of 12)" in line
    probe.note(told and all_finite(good), line)
    probe.check()


def test_a_weight_that_no_loss_sees(homes, tally, tmp_path, capsys, broken):
    probe = tally("a weight that is not finite: the checkpoint is not overwritten")
    broken(DAMSM, a_weight)
    line = fit(homes, tmp_path, capsys, homes.damsm)
    good = last(tmp_path / "run")
    probe.note("text_encoder.embedding.weight is not finite at step 12" in line and all_finite(good), line)
    probe.check()


def test_a_logged_loss_of_a_gan(homes, tally, tmp_path, capsys, monkeypatch):
    probe = tally("NaN in a GAN's logged loss")
    original = AdversarialModule.generator_loss

    def loss(self, chunk):
        value = original(self, chunk)
        return value * float("nan") if self.global_step == 5 else value

    monkeypatch.setattr(AdversarialModule, "generator_loss", loss)
    line = fit(homes, tmp_path, capsys, homes.ssagan)
    probe.note("train/loss_g is nan at step" in line and all_finite(last(tmp_path / "run")), line)
    probe.check()


def test_a_step_is_skipped_and_counted(homes, tally, tmp_path, broken):
    probe = tally("non_finite: skip: the step is left out and counted, training reaches its end")
    broken(DAMSM, a_loss)
    with pytest.warns(UserWarning, match="skipped, 1 in all"):
        main(fit_words(homes.damsm, tmp_path / "run", *SKIPS))
    checkpoint = torch.load(last(tmp_path / "run"), weights_only=True)
    counted = checkpoint["callbacks"]["Guards"]["skipped"] == 1
    probe.note(all_finite(last(tmp_path / "run")) and checkpoint["global_step"] == 12 and counted)
    probe.check()


def test_no_verb_uses_such_weights(homes, whole, tally, tmp_path):
    probe = tally("sample, evaluate, export of weights that are not finite: refused in one line")
    checkpoint = torch.load(last(whole), weights_only=True)
    name = next(key for key in checkpoint["state_dict"] if key.startswith("generator") and key.endswith("weight"))
    checkpoint["state_dict"][name].view(-1)[0] = float("nan")
    bad = tmp_path / "bad.ckpt"
    seal(checkpoint)
    torch.save(checkpoint, bad)
    verbs = [
        ("sample", "--checkpoint", bad, "--caption", "a bird", "--out", tmp_path / "drawn"),
        ("evaluate", "--checkpoint", bad, "--protocol", "drawn-birds/quick", "--store", homes.store),
        ("export", bad, "--out", tmp_path / "weights.pth"),
    ]
    for words in verbs:
        done = run(*words)
        probe.note(done.returncode == 2 and "not finite" in done.stderr, f"{words[0]}: {done.stderr[-300:]}")
    probe.check()
    assert load_module(last(whole))


def harmed(harm):
    """A change of a checkpoint that its digest confirms, as another program's."""

    def write(path):
        checkpoint = torch.load(path, weights_only=True)
        harm(checkpoint, checkpoint["optimizer_states"][0])
        seal(checkpoint)
        torch.save(checkpoint, path)

    return write


HARMS = {
    "the state of optimiser 0, state, 0, exp_avg is not finite": lambda _, own: own["state"][0]["exp_avg"].fill_(
        float("nan")
    ),
    "the state of optimiser 0, state, 1, step is not finite": lambda _, own: own["state"][1]["step"].fill_(
        float("inf")
    ),
    "learning rate nan": lambda _, own: own["param_groups"][0].update(lr=float("nan")),
    "learning rate -1.0": lambda _, own: own["param_groups"][0].update(lr=-1.0),
    "holds no training to resume (it has no optimizer_states)": lambda all, _: all["optimizer_states"].clear(),
    "holds no training to resume (it has no loops)": lambda all, _: all["loops"].clear(),
    "not a complete checkpoint: global_step is -5": lambda all, _: all.update(global_step=-5),
    "not a complete checkpoint: global_step is 2.0": lambda all, _: all.update(global_step=2.0),
    "not a complete checkpoint: global_step is True": lambda all, _: all.update(global_step=True),
    "the checkpoint holds 2 optimisers' states, this configuration trains with 1": lambda all, own: all[
        "optimizer_states"
    ].append(own),
    "the checkpoint's optimiser 0: exp_avg has the shape (3,)": lambda _, own: own["state"][0].update(
        exp_avg=torch.zeros(3)
    ),
}


def test_a_state_that_cannot_be_resumed(homes, tally, tmp_path):
    probe = tally(
        "a checkpoint whose optimisers cannot be resumed: refused in one line, nothing trained or changed"
    )
    for number, (told, harm) in enumerate(HARMS.items()):
        folder = tmp_path / str(number)
        shutil.copytree(homes.folder / "damsm", folder)
        harmed(harm)(last(folder))
        before = (folder / "config.yaml").read_bytes(), last(folder).read_bytes()
        for words in ([], ["--ckpt_path", last(folder)]):
            done = run(*fit_words(homes.damsm, folder, *words))
            lines = [line for line in done.stderr.splitlines() if not line.startswith("Seed set")]
            probe.note(
                done.returncode == 2 and len(lines) == 1 and told in lines[0], f"{told}: {done.stderr[-300:]}"
            )
        probe.note(before == ((folder / "config.yaml").read_bytes(), last(folder).read_bytes()), f"{told}: changed")
    probe.check()
