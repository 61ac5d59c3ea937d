"""Data that several test folders share: drawn birds, and the real CUB sample where there is one."""

import os
from pathlib import Path

import pytest

# Networks this small gain nothing from threads, and lose a lot where other work keeps the cores busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A process that runs hundreds of tests must give memory back between them.
os.environ.setdefault("T2IGAN_ALLOCATOR", "system")
# Ray runs its tasks at nice 15: where other work keeps the cores busy, a test of it would wait for ever.
os.environ.setdefault("RAY_worker_niceness", "0")

_CUB10 = Path(__file__).parents[2] / "shared" / "data" / "cub10"


@pytest.fixture(scope="session")
def cub10_root() -> Path:
    """Ten real classes of CUB; read-only."""
    if not (_CUB10 / "CUB_200_2011" / "images.txt").is_file():
        pytest.skip("the real CUB sample (../shared/data/cub10 beside the repository) is not here")
    return _CUB10


@pytest.fixture(scope="session")
def drawn_birds_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set of drawn birds in CUB's layout: 6 training species and 4 others, 4 images each."""
    from t2igan.data.sources.drawn_birds.source import DrawnBirdsConfig, write_drawn_birds

    root = tmp_path_factory.mktemp("drawn-birds")
    config = DrawnBirdsConfig(
        train_species=6,
        test_species=4,
        train_images_per_species=4,
        test_images_per_species=4,
        image_pixels=96,
    )
    write_drawn_birds(root, config, workers=1)
    return root


@pytest.fixture(scope="session")
def drawn_birds_store(drawn_birds_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of the store of the small set of drawn birds, prepared at 64 pixels, raw."""
    from t2igan.data.prepare import prepare
    from t2igan.data.sources import make_source

    out = tmp_path_factory.mktemp("store") / "drawn-birds.h5"
    prepare(make_source("drawn-birds", drawn_birds_root), out, image_size=64, workers=1)
    return out


@pytest.fixture(scope="session")
def scenes_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set of drawn scenes in COCO's layout: 24 training and 12 validation images."""
    from t2igan.data.sources.scenes.source import ScenesConfig, write_scenes

    root = tmp_path_factory.mktemp("drawn") / "scenes"
    write_scenes(root, ScenesConfig(train_images=24, val_images=12, image_pixels=80), workers=1)
    return root


@pytest.fixture(scope="session")
def scenes_store(scenes_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of the store of the small set of drawn scenes, prepared at 64 pixels, raw."""
    from t2igan.data.prepare import prepare
    from t2igan.data.sources import make_source

    out = tmp_path_factory.mktemp("store") / "scenes.h5"
    prepare(make_source("scenes", scenes_root), out, image_size=64, workers=1)
    return out


@pytest.fixture(scope="session")
def trecs_tags() -> Path:
    """Beginning of the released tag files of TReCS; the test skips where they are not at hand."""
    prefix = _CUB10.parent / "trecs" / "sequence_labels" / "val_coco"
    if not Path(f"{prefix}.ids.txt").is_file():
        pytest.skip("the released tags of TReCS (../shared/data/trecs beside the repository) are not here")
    return prefix


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the images that an evaluation draws."""
    from t2igan.evaluation.subjects import generated

    numbers, draw = [], generated.generate_images

    def counted(module, split, plan, protocol, wanted, *rest):
        numbers.extend(wanted)
        return draw(module, split, plan, protocol, wanted, *rest)

    monkeypatch.setattr(generated, "generate_images", counted)
    return numbers
