"""The page of ``t2igan demo``, as a browser shows it."""

import base64
import io
import shutil
import socket
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from t2igan.cli.main import main
from t2igan.demo.panels import load_panels
from t2igan.errors import UserError

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def panels(checkpoints):
    return load_panels([checkpoints.generator], device="cpu")


def test_panels_show_what_the_models_make(panels, checkpoints, tmp_path):
    words = panels.vocabulary.words
    drawn = panels.draw(f"{words[1]} qwertz", seed=3, count=2)
    line = ["--checkpoint", checkpoints.generator, "--caption", words[1], "--n", 2, "--seed", 3, "--device", "cpu"]
    main(["sample", *map(str, line), "--out", str(tmp_path / "drawn")])
    wanted = np.array(Image.open(tmp_path / "drawn" / "c000_s00.png").resize((192, 192), Image.Resampling.NEAREST))
    sheet = np.array(drawn.sheet).astype(int)
    found = [
        (sheet[y : y + 192, x : x + 192] - wanted).__abs__().max()
        for y in range(sheet.shape[0] - 192)
        for x in range(sheet.shape[1] - 192)
        if abs(sheet[y, x] - wanted[0, 0]).max() <= 1 and abs(sheet[y + 191, x + 191] - wanted[-1, -1]).max() <= 1
    ]
    assert min(found) <= 1
    assert drawn.masks is not None and drawn.attention is None
    assert drawn.note == "words the checkpoint does not know were dropped: qwertz"


def test_nothing_to_show_is_said(tmp_path, monkeypatch, checkpoints):
    with pytest.raises(UserError, match="no model to show"):
        load_panels([])
    with pytest.raises(UserError, match="generates no images"):
        load_panels([checkpoints.damsm])


def test_what_takes_layouts_is_not_shown(monkeypatch):
    of_layouts = SimpleNamespace(requires=frozenset({"captions", "layouts"}))
    monkeypatch.setattr("t2igan.demo.panels.load_generator", lambda path: of_layouts)
    with pytest.raises(UserError, match=r"spade\.ckpt generates images from layouts"):
        load_panels(["spade.ckpt"], device="cpu")


def test_an_address_that_cannot_be_listened_at_is_one_line(capsys, monkeypatch):
    """The page is often open already."""
    monkeypatch.setattr("t2igan.cli.demo.load_panels", lambda *_: pytest.fail("models were loaded first"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        for host, port in (("127.0.0.1", other.getsockname()[1]), ("127.0.0.1", 70_000), ("no.such.host.", 7860)):
            with pytest.raises(SystemExit) as stop:
                main(["demo", "--host", host, "--port", str(port)])
            assert stop.value.code == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith(f"t2igan demo: --host {host} --port {port}: cannot listen there (")


@pytest.fixture(scope="module")
def page(panels):
    """The page in a browser."""
    playwright = pytest.importorskip("playwright.sync_api")
    pytest.importorskip("gradio")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    from t2igan.demo.page import build_page

    blocks = build_page(panels)
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1400, "height": 1200})
        view.set_default_timeout(60_000)
        view.goto(address)
        yield view
        browser.close()
    blocks.close()


def image_of(view, element):
    """The image inside an element once it is there."""
    found = view.locator(f"#{element} img").first
    found.wait_for()
    fetched = view.evaluate(
        "async (src) => { const read = new FileReader(); const blob = await (await fetch(src)).blob();"
        " return await new Promise(done => { read.onload = () => done(read.result);"
        " read.readAsDataURL(blob); }); }",
        found.get_attribute("src"),
    )
    return np.array(Image.open(io.BytesIO(base64.b64decode(fetched.split(",")[1]))).convert("RGB"))


def shows(view, texts, button, element, wanted):
    """Whether the page shows the wanted image after texts are typed and a button is clicked.

    A script types faster than a page that is still starting can listen: what it then shows is of the texts that
    stood there before. So both are done again, as a person would, a few times.
    """
    for _ in range(5):
        for box, text in texts:
            box.fill(text)
        view.locator(button).click()
        for _ in range(20):
            shown = image_of(view, element)
            if shown.shape == wanted.shape and (shown == wanted).all():
                return True
            view.wait_for_timeout(100)
    return False


def test_a_browser_shows_images_of_a_caption(page, panels):
    words = panels.vocabulary.words
    caption = page.locator("#caption textarea")
    wanted = np.array(panels.draw(words[1], 0, 4).sheet)
    assert shows(page, [(caption, words[1])], "#show", "sheet", wanted)
    assert image_of(page, "masks").shape[1] == wanted.shape[1]
    caption.fill("qwertz")
    page.locator("#show").click()
    page.get_by_text("has no word that the checkpoint knows").first.wait_for()


def test_a_browser_shows_the_ways_between_and_a_sweep(page, panels):
    words, name = panels.vocabulary.words, panels.names[0]
    page.get_by_role("tab", name="Interpolation").click()
    ends = [(page.get_by_label("From"), words[1]), (page.get_by_label("To", exact=True), words[9])]
    wanted = panels.interpolate(name, (words[1], words[9]), (0, 1), 8)
    assert shows(page, ends, "#interpolate", "way", np.array(wanted))
    page.get_by_role("tab", name="Sweep").click()
    template = f"{words[1]} {{{words[5]}|{words[9]}}}"
    box = page.get_by_label("Caption with one or two slots")
    assert shows(page, [(box, template)], "#sweep", "table", np.array(panels.sweep(name, template, 0)))


def test_attention_stands_under_its_words():
    from t2igan.zoo import zoo_names

    if "zoo:drawn-birds/attngan" not in zoo_names():
        pytest.skip("the zoo holds no AttnGAN")
    panels = load_panels(["zoo:drawn-birds/attngan"], device="cpu")
    one, three = (panels.draw(text, 0, 1).attention for text in ("bird", "small red bird"))
    assert three.width - one.width == 2 * (96 + 8) and panels.names == ["AttnGAN"]
