import pytest
from PIL import Image
from report_fixtures import EVIL, make_published_like, make_record, make_repeated

from t2igan.reporting.leaderboard import boards


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / f"run {EVIL.replace('/', '')}"
    for name in (
        "samples/step_000010.png",
        "samples/step_000020.png",
        "drawn/grid.png",
        "drawn/c000_s00_masks.png",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (200, 30, 30)).save(folder / name)
    (folder / "drawn" / "c000_s01_attention.png").write_bytes(b"no image")
    return folder


@pytest.fixture
def tables():
    runs = [make_repeated("a", seed, fd) for seed, fd in enumerate((10.0, 12.0))]
    runs += [make_repeated("b", seed, fd) for seed, fd in enumerate((20.0, 21.0))]
    return boards([*runs, make_record("r", "real"), make_published_like()])
