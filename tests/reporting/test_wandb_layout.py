import pytest
from test_wandb_pages import SCORE

from t2igan.reporting.wandb_layout import layout_of, workspace_of


def test_the_layout_becomes_a_view_of_the_project():
    pytest.importorskip("wandb_workspaces")
    sections = layout_of(["train/loss_g", "train/logits_real", SCORE], [SCORE])
    assert [one.name for one in sections] == ["quality", "images", "losses", "margins"]
    view = workspace_of(sections, "me", "plan")
    assert [one.name for one in view.sections] == [one.name for one in sections]
    sent = view._to_model().model_dump_json()
    assert all(key in sent for key in ("train/loss_g", SCORE, "val/images_seen", "samples"))
