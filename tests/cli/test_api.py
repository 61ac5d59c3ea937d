import subprocess
import sys

import numpy as np
import pytest
import torch
from evaluation_fixtures import write_protocol
from PIL import Image

import t2igan
from t2igan.cli.main import main
from t2igan.errors import UserError


@pytest.fixture
def model(checkpoints):
    return t2igan.load(checkpoints.generator, device="cpu")


def test_images_are_those_of_the_command(model, checkpoints, tmp_path):
    texts = [" ".join(model.vocabulary[:3]), model.vocabulary[5]]
    (tmp_path / "captions.txt").write_text("\n".join(texts))
    line = ["--checkpoint", checkpoints.generator, "--captions", tmp_path / "captions.txt", "--n", 2, "--seed", 4]
    main(["sample", *map(str, line), "--device", "cpu", "--out", str(tmp_path / "drawn")])
    sampled = model.sample(texts, seed=4, n=2)
    assert sampled.images.shape == (4, 3, 32, 32) and sampled.images.dtype == torch.uint8
    assert [caption.text for caption in sampled.captions] == [texts[0], texts[0], texts[1], texts[1]]
    assert [tuple(mask.shape) for mask in sampled.masks] == [(4, 1, side, side) for side in (4, 8, 16, 32)]
    assert sampled.attention == []
    for place, image in enumerate(sampled.to_pil()):
        file = tmp_path / "drawn" / f"c00{place // 2}_s0{place % 2}.png"
        # Captions of other lengths share a batch here: float32 round-off before rounding.
        assert abs(np.array(image).astype(int) - np.array(Image.open(file))).max() <= 1
    assert sampled.sheet().width > 4 * 100 and sampled._repr_png_()[:4] == b"\x89PNG"


def test_noise_of_ones_own_and_ways_between(model):
    word = model.vocabulary[3]
    noise = torch.zeros(1, model.module.generator.random_dim)
    assert torch.equal(model.sample(word, noise=noise).images, model.sample(word, seed=9, noise=noise).images)
    way = model.interpolate(word, model.vocabulary[8], steps=3, seed=1)
    torch.testing.assert_close(way.images[:1], model.sample(word, seed=1).images, atol=1, rtol=0)
    with pytest.raises(UserError, match="is expected"):
        model.sample(word, n=2, noise=noise)
    for captions, n in (([], 1), ([word], 0)):
        with pytest.raises(UserError, match=f"{len(captions)} captions and n={n} make no image"):
            model.sample(captions, n=n)
    with pytest.raises(UserError, match="steps is 1, but an interpolation needs at least 2"):
        model.interpolate(word, word, steps=1)


def test_evaluate_gives_the_record_of_the_command(checkpoints, tmp_path):
    protocol = write_protocol(tmp_path / "small.yaml", metrics=[{"name": "fd-classifier"}])
    store = t2igan.datasets.open_store(checkpoints.store)
    record = t2igan.evaluate(
        checkpoints.generator, protocol, store, classifier=checkpoints.classifier, device="cpu"
    )
    line = ["--checkpoint", checkpoints.generator, "--protocol", protocol, "--store", checkpoints.store]
    line += ["--classifier", checkpoints.classifier, "--records", tmp_path / "r.jsonl", "--device", "cpu"]
    main(["evaluate", *map(str, line)])
    from t2igan.evaluation.record import read_records

    (told,) = read_records(tmp_path / "r.jsonl")
    assert record.metrics == told.metrics and record.protocol_hash == told.protocol_hash


def test_other_modules_load_but_draw_nothing(checkpoints):
    damsm = t2igan.load(checkpoints.damsm, device="cpu")
    assert repr(damsm) == f"<DAMSM of {checkpoints.damsm}>"
    with pytest.raises(UserError, match="holds DAMSM, which generates no images"):
        damsm.sample("bird")


def test_a_store_is_written_and_opened(drawn_birds_root, tmp_path):
    store = t2igan.datasets.prepare(
        "drawn-birds", drawn_birds_root, tmp_path / "birds.h5", image_size=32, workers=1
    )
    assert store.image_size == 32 and (tmp_path / "birds.h5").is_file()


def test_the_package_alone_imports_nothing_heavy():
    code = "import sys, t2igan; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        t2igan.lode  # noqa: B018
