import pytest

from t2igan.reporting.names import metric_name, system_name


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("ssagan", "SSA-GAN"),
        ("ssagan-lr2", "SSA-GAN lr2"),
        ("dfgan (zoo)", "DF-GAN (zoo)"),
        ("damsm-independent (zoo)", "independent DAMSM (zoo)"),
        ("attngan, untrained", "AttnGAN, untrained"),
        ("real images", "real images"),
        ("mine", "mine"),
        ("spade", "SPADE"),
        ("damsm-independent-seed1", "independent DAMSM seed1"),
        ("narratives-damsm (zoo)", "DAMSM (narratives) (zoo)"),
    ],
)
def test_systems_have_their_own_names(label, shown):
    assert system_name(label) == shown


def test_metrics_have_the_fields_names():
    assert metric_name("r-precision@damsm-independent") == "R-precision, independent DAMSM"
    narratives = metric_name("r-precision@narratives-damsm-independent")
    assert narratives == "R-precision, independent DAMSM (narratives)"
    assert metric_name("layout-iou") == "layout IoU"
    assert metric_name("fd-classifier") == "FD, classifier"
    assert metric_name("my-metric") == "my-metric"
