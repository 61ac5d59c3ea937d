import pytest

from t2igan.data.prepare import prepare
from t2igan.data.sources import KINDS, FolderSource, Listing, make_source
from t2igan.data.sources.drawn_birds.source import DrawnBirdsConfig
from t2igan.data.store import open_store
from t2igan.errors import UserError

SMALL = DrawnBirdsConfig(
    train_species=3, test_species=2, train_images_per_species=2, test_images_per_species=3, image_pixels=64
)


def test_drawn_birds_are_drawn_once_and_read_as_cub(tmp_path):
    drawn = []
    source = make_source(
        "drawn-birds", tmp_path / "birds", config=SMALL, workers=1, progress=lambda *now: drawn.append(now)
    )
    images, problems = source.scan()
    assert problems == [] and source.name == "drawn-birds" and source.vocabulary is None
    assert [image.split for image in images].count("train") == 6 and len(images) == 12
    assert all(len(image.captions) == 10 and image.box for image in images)
    assert drawn[-1] == (12, 12)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "birds").rglob("*") if path.is_file()}
    again, _ = make_source("drawn-birds", tmp_path / "birds").scan()
    assert again == images, "without a config, what is there is read"
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_half_drawn_set_is_finished(tmp_path):
    make_source("drawn-birds", tmp_path, config=SMALL, workers=1)
    for path in (tmp_path / "attributes.json", tmp_path / "test" / "filenames.pickle"):
        path.unlink()
    images, problems = make_source("drawn-birds", tmp_path, config=SMALL, workers=1).scan()
    assert len(images) == 12 and not problems


def test_another_config_is_refused(tmp_path):
    make_source("drawn-birds", tmp_path, config=SMALL, workers=1)
    with pytest.raises(UserError, match="other drawn birds"):
        make_source("drawn-birds", tmp_path, config=DrawnBirdsConfig(), workers=1)


def test_the_crop_is_a_property_of_the_source(drawn_birds_root, drawn_birds_store, tmp_path):
    whole = make_source("drawn-birds", drawn_birds_root, crop_by_box=False)
    prepare(whole, tmp_path / "whole.h5", 64, workers=1)
    stores = open_store(drawn_birds_store), open_store(tmp_path / "whole.h5")
    assert [store.crop_by_box for store in stores] == [True, False]
    assert [len(store.split("train")) for store in stores] == [24, 24]
    assert stores[1].split("train").shape(0) == (76, 76)
    assert stores[0].fingerprint != stores[1].fingerprint


def test_every_kind_has_its_reader_and_passes_options_on(tmp_path):
    (tmp_path / "captions.csv").write_text("image,caption\n")
    folder = make_source("folder", tmp_path, 0.5, captions=tmp_path / "captions.csv", captions_per_image=3)
    assert isinstance(folder, FolderSource) and folder.captions_per_image == 3
    with pytest.raises(UserError, match=r"captions_train2014\.json: no such file"):
        make_source("coco", tmp_path, year=2014).scan()
    assert KINDS == ("cub", "drawn-birds", "coco", "scenes", "folder")


def test_a_listing_is_scanned_once_and_gives_the_same_store(drawn_birds_root, drawn_birds_store, tmp_path):
    source = make_source("drawn-birds", drawn_birds_root)
    listing = Listing(source)
    assert listing.scan() == source.scan() and listing.scan()[0] is not listing.scan()[0]
    prepare(listing, tmp_path / "s.h5", 64, workers=1)
    assert open_store(tmp_path / "s.h5").fingerprint == open_store(drawn_birds_store).fingerprint
