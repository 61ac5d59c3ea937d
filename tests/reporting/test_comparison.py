from dataclasses import replace

import pytest
from report_fixtures import make_published_like as like
from test_published import CONTENT, differences_from, found, measured_as

from t2igan.reporting.comparison import protocol_of_record


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, []),
        ({"words": 18}, ["words: 25, ours 18"]),
        ({"split": "train"}, ["split: test, ours train"]),
        ({"weights": "raw"}, ["weights: ema, ours raw"]),
        ({"quantisation": "round"}, ["quantisation: truncate, ours round"]),
        ({"fid": {"flavour": "tf-2015"}}, ["flavour: torchvision-affine, ours tf-2015"]),
        ({"fid": {"resize": "clean"}}, ["resize: flavour, ours clean"]),
        ({"fid": {"statistics": "mine.npz"}}, ["statistics: bird_val.npz, ours mine.npz"]),
        ({"fid": {"loader_batch": 0}}, ["loader_batch: 50, ours 0"]),
        # What makes another draw or an interval, but no other number.
        ({"noise_seed": 7, "captions_seed": 7, "bootstrap": 100}, []),
    ],
)
def test_a_published_number_stands_beside_ours_only_where_nothing_differs(changes, difference):
    assert differences_from(measured_as(**changes)) == difference


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"n_split": 600}, ["test images: 2,933, ours 600"]),
        ({"n_split": None, "n_real": 400}, ["test images: 2,933, ours 400"]),
        ({"n_split": None, "n_real": 0}, ["test images: the record does not say how many"]),
        ({"n_generated": 2933}, ["images: 30,000, ours 2,933"]),
        ({"n_generated": 40_000}, ["images: 30,000, ours 40,000"]),
        ({"protocol_hash": "00" * 32}, ["the table's protocol is not one of today"]),
    ],
)
def test_the_numbers_of_images_must_agree_exactly(changes, difference):
    assert differences_from(like(**changes)) == difference


def test_30000_images_do_not_pass_where_one_pass_is_published():
    """Before, any number from the protocol's on was enough."""
    record = like("cub/ssagan", "SSAGAN", n_generated=30_000)
    (found,) = differences_from(record, "fid", "SSA-GAN", "paper")
    assert found.startswith("images: not said")
    record = like("cub/dfgan", "DFGAN", n_generated=30_000)
    assert differences_from(record, "fid", "DF-GAN") == ["images: 29,120, ours 30,000"]
    assert differences_from(replace(record, n_generated=29_120), "fid", "DF-GAN") == []


def test_one_pass_over_coco_is_whole():
    metrics = {"fid": like().metrics["fid"]}
    whole = 40_470 - 40_470 % 32
    record = like("coco/dfgan", "DFGAN", n_generated=whole, metrics=metrics)
    assert found(record, "fid", "DF-GAN").value == 16.5
    for count in (30_000, whole + 32):
        few = replace(record, n_generated=count)
        assert differences_from(few, system="DF-GAN") == [f"images: {whole:,}, ours {count:,}"]


def test_a_protocol_that_meant_something_else_then_is_no_protocol_of_today():
    later = CONTENT | {"of_next_year": 1}
    for content in (later, CONTENT | {"words": 3}):
        assert protocol_of_record(like(protocol_content=content)) is None
    mine = replace(like(), protocol="mine")
    assert protocol_of_record(mine) is None
    assert protocol_of_record(replace(mine, protocol_content=CONTENT)).hash == mine.protocol_hash
