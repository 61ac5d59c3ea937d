from dataclasses import replace

import pytest
from report_fixtures import make_record as record
from report_fixtures import make_repeated

from t2igan.evaluation.record import TrainingCard
from t2igan.reporting.doubts import doubts
from t2igan.reporting.leaderboard import boards

TERMS = [
    {"class_path": "t2igan.models.generator_losses.DAMSMLoss", "init_args": {"weight": 0.3}},
    {"class_path": "mine.Sharpness"},
]


def test_a_checkpoint_that_a_score_chose_is_said_to_be_chosen():
    made = make_repeated("a", 0, 1.0)
    chosen = replace(made, subject=replace(made.subject, selection="test: best fid of cub/t2igan@2048"))
    (board,) = boards([chosen, record("b")])
    notes = [note for note in board.footnotes if "chosen by a score" in note]
    assert notes == ["a-0: this checkpoint was chosen by a score (test: best fid of cub/t2igan@2048)"]


def trained_with(losses):
    made = make_repeated("a", 0, 1.0)
    config = {"model": {"class_path": "DFGAN", "init_args": {"generator_losses": losses}}}
    return replace(made, subject=replace(made.subject, training=TrainingCard(config=config)))


def test_losses_that_a_configuration_lists_are_said():
    """The zoo's DF-GAN has the DAMSM loss, which DF-GAN's paper does not have."""
    (board,) = boards([trained_with(TERMS), record("b")])
    (note,) = doubts(board)
    assert note.startswith("a-0: losses of the generator: adversarial, DAMSMLoss of weight 0.3, Sharpness (listed")
    (board,) = boards([trained_with(None), record("b")])
    assert doubts(board) == []


@pytest.mark.parametrize(
    "losses", ["DAMSMLoss", 3, {"class_path": "a.B"}, [3], [{"init_args": {"weight": "1"}}], [{"init_args": [1]}]]
)
def test_a_configuration_in_another_form_breaks_no_table(losses):
    (board,) = boards([trained_with(losses)])
    assert all("weight" not in note for note in doubts(board))
