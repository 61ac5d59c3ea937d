"""The page of ``t2igan demo``, built with Gradio."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from PIL import Image

from t2igan.demo.panels import Panels
from t2igan.errors import UserError
from t2igan.optional import library

EXAMPLES = [
    "a small red bird with blue wings",
    "this bird has a yellow belly, a black crown and a long tail",
    "a large white bird wading in shallow water",
    "a green bird in flight against the sky",
]
MOST_IMAGES, MOST_STEPS = 8, 12


def build_page(panels: Panels) -> Any:
    """Build the page as Gradio's ``Blocks``, ready to be launched.

    Raises:
        UserError: Gradio is not installed.
    """
    gradio = library("gradio", "pages of the demo", "t2igan[demo]")
    said = _saying(gradio.Error)
    with gradio.Blocks(title="t2igan demo", analytics_enabled=False) as page:
        gradio.Markdown(f"# Type a caption\n{', '.join(panels.names)} show it, all from the same noise.")
        with gradio.Tab("Caption"):
            _caption_tab(gradio, panels, said)
        with gradio.Tab("Interpolation"):
            _interpolation_tab(gradio, panels, said)
        with gradio.Tab("Sweep"):
            _sweep_tab(gradio, panels, said)
        words = ", ".join(sorted(panels.vocabulary.words[1:]))
        with gradio.Accordion("Words that are known", open=False):
            gradio.Markdown(words)
    return page


def _caption_tab(gradio: Any, panels: Panels, said: Callable) -> None:
    caption = gradio.Textbox(EXAMPLES[0], label="Caption", elem_id="caption")
    with gradio.Row():
        seed = gradio.Number(0, label="Seed of the noise", precision=0, minimum=0)
        count = gradio.Slider(1, MOST_IMAGES, 4, step=1, label="Images")
    button = gradio.Button("Show", variant="primary", elem_id="show")
    sheet = _sheet(gradio, "Images", "sheet")
    note = gradio.Markdown(elem_id="note")
    masks = _sheet(gradio, "Masks: bright where the caption acts", "masks")
    attention = _sheet(gradio, "Attention: where each word looks in the first image", "attention")

    def show(text: str, seed: float, count: float) -> tuple[Image.Image, str, Any, Any]:
        drawn = panels.draw(text, int(seed), int(count))
        masked = gradio.update(value=drawn.masks, visible=drawn.masks is not None)
        looked = gradio.update(value=drawn.attention, visible=drawn.attention is not None)
        return drawn.sheet, drawn.note, masked, looked

    outputs = [sheet, note, masks, attention]
    for event in (button.click, caption.submit):
        event(said(show), [caption, seed, count], outputs, api_name=False)
    gradio.Examples(EXAMPLES, caption)


def _interpolation_tab(gradio: Any, panels: Panels, said: Callable) -> None:
    model = gradio.Dropdown(panels.names, value=panels.names[0], label="Model")
    with gradio.Row():
        first = gradio.Textbox("a small red bird", label="From")
        second = gradio.Textbox("a small blue bird in flight", label="To")
    with gradio.Row():
        start = gradio.Number(0, label="Seed of the first noise", precision=0, minimum=0)
        end = gradio.Number(1, label="Seed of the second noise", precision=0, minimum=0)
        steps = gradio.Slider(2, MOST_STEPS, 8, step=1, label="Steps")
    button = gradio.Button("Interpolate", variant="primary", elem_id="interpolate")
    sheet = _sheet(gradio, "Between captions, between noises, both", "way")

    def show(name: str, one: str, two: str, start: float, end: float, steps: float) -> Image.Image:
        return panels.interpolate(name, (one, two), (int(start), int(end)), int(steps))

    button.click(said(show), [model, first, second, start, end, steps], sheet, api_name=False)


def _sweep_tab(gradio: Any, panels: Panels, said: Callable) -> None:
    model = gradio.Dropdown(panels.names, value=panels.names[0], label="Model")
    text = "a bird with {colour} {part}"
    template = gradio.Textbox(
        text, label="Caption with one or two slots", info="{colour}, {part}, or words: {red|blue}"
    )
    seed = gradio.Number(0, label="Seed of the noise", precision=0, minimum=0)
    button = gradio.Button("Sweep", variant="primary", elem_id="sweep")
    sheet = _sheet(gradio, "The same noise in all", "table")

    def show(name: str, template: str, seed: float) -> Image.Image:
        return panels.sweep(name, template, int(seed))

    button.click(said(show), [model, template, seed], sheet, api_name=False)


def _sheet(gradio: Any, label: str, name: str) -> Any:
    """An image component with its label above the image instead of over it."""
    gradio.Markdown(f"**{label}**")
    return gradio.Image(label=label, show_label=False, elem_id=name, format="png")


def _saying(error_kind: type[Exception]) -> Callable:
    """Decorator that shows a UserError as a message on the page."""

    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def guarded(*args: Any) -> Any:
            try:
                return function(*args)
            except UserError as error:
                raise error_kind(str(error)) from error

        return guarded

    return decorate
