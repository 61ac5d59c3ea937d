"""Content of the demo page; independent of Gradio."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError
from t2igan.evaluation.evaluation import choose_device
from t2igan.evaluation.images.sampling import Sampler, Samples, sweep_of, understand, unknown_words
from t2igan.evaluation.subjects.chosen import checkpoint_of
from t2igan.evaluation.subjects.generated import label_of, load_generator
from t2igan.plotting.grids import rows_grid
from t2igan.plotting.overlays import attention_panels, mask_overlay
from t2igan.reporting.names import system_name

CELL = 192


@dataclass(frozen=True)
class Drawn:
    """Images that all models generate from one caption.

    Attributes:
        sheet: images, one row per model.
        masks: finest fusion masks over the images, one row per model that has them; None if none has.
        attention: attention maps of the words in the first image, one row per model that has them; None if none
            has.
        note: message about unknown words, per model.
    """

    sheet: Image.Image
    masks: Image.Image | None
    attention: Image.Image | None
    note: str


class Panels:
    """Generates the content of all panels of the page.

    Args:
        samplers: samplers by their displayed names.

    Raises:
        UserError: there is none.
    """

    def __init__(self, samplers: Mapping[str, Sampler]) -> None:
        if not samplers:
            raise UserError("no model to show: give --checkpoint, or install a package with its zoo")
        self.samplers = dict(samplers)

    @property
    def names(self) -> list[str]:
        """Displayed names of the models."""
        return list(self.samplers)

    @property
    def vocabulary(self) -> Vocabulary:
        """Vocabulary of the first model."""
        return next(iter(self.samplers.values())).vocabulary

    def draw(self, caption: str, seed: int, count: int) -> Drawn:
        """``count`` images of a caption by each model.

        Raises:
            UserError: a model knows none of its words.
        """
        made = {name: self._samples(sampler, caption, seed, count) for name, sampler in self.samplers.items()}
        rows = [(name, list(samples.images)) for name, samples in made.items()]
        masks = [
            (name, [mask_overlay(image, mask) for image, mask in zip(samples.images, samples.masks[-1])])
            for name, samples in made.items()
            if samples.masks
        ]
        heads = [""] * count
        notes = dict.fromkeys(
            line.replace("caption 0: ", "") for one in made.values() for line in unknown_words(one.captions[:1])
        )
        sheet, masked = rows_grid(rows, heads, CELL), rows_grid(masks, heads, CELL) if masks else None
        return Drawn(sheet, masked, _attention_sheet(made), "; ".join(notes))

    def interpolate(self, name: str, captions: tuple[str, str], seeds: tuple[int, int], steps: int) -> Image.Image:
        """Interpolations of the caption alone, of the noise alone, and of both.

        Raises:
            UserError: the model knows none of the words of a caption.
        """
        sampler = self.samplers[name]
        first, second = understand(captions, sampler.vocabulary)
        start, end = (sampler.noise(0, 1, seed) for seed in seeds)
        rows = [
            ("captions", sampler.interpolate(first, second, (start, start), steps).images),
            ("noises", sampler.interpolate(first, first, (start, end), steps).images),
            ("both", sampler.interpolate(first, second, (start, end), steps).images),
        ]
        return rows_grid(rows, [captions[0], *[""] * (steps - 2), captions[1]], CELL // 2)

    def sweep(self, name: str, template: str, seed: int) -> Image.Image:
        """A table of images: a row for each word of the template's first slot, a column for each of its second.

        Raises:
            UserError: the template has no slots, or words that the model does not know.
        """
        sampler = self.samplers[name]
        sweep = sweep_of(template, sampler.vocabulary)
        known, width = understand(sweep.captions, sampler.vocabulary), len(sweep.columns)
        noise = sampler.noise(0, 1, seed).expand(width, -1)
        rows = [
            (word, sampler.sample(known[number * width : (number + 1) * width], noise).images)
            for number, word in enumerate(sweep.rows)
        ]
        return rows_grid(rows, sweep.columns, CELL // 2)

    @staticmethod
    def _samples(sampler: Sampler, caption: str, seed: int, count: int) -> Samples:
        (known,) = understand([caption], sampler.vocabulary)
        return sampler.sample([known] * count, sampler.noise(0, count, seed))


def _attention_sheet(made: Mapping[str, Samples]) -> Image.Image | None:
    """Attention rows of models that know the same words; the columns are words."""
    having = {name: samples for name, samples in made.items() if samples.attention}
    if not having:
        return None
    words = next(iter(having.values())).captions[0].words
    rows = [
        (name, attention_panels(samples.images[0], samples.attention[-1][0], words))
        for name, samples in having.items()
        if samples.captions[0].words == words
    ]
    return rows_grid(rows, words, CELL // 2)


def load_panels(checkpoints: Sequence[str | Path], device: str = "auto") -> Panels:
    """Load models, each once.

    Raises:
        UserError: a checkpoint cannot be read, or generates no images.
    """
    samplers: dict[str, Sampler] = {}
    for given in dict.fromkeys(map(str, checkpoints)):
        path = str(checkpoint_of(given))
        name = system_name(label_of(path)).removesuffix(" (zoo)")
        name = path if name in samplers else name
        module = load_generator(path)
        if "layouts" in module.requires and "segments" not in module.requires:
            raise UserError(f"{path} generates images from layouts, not from captions: see docs/narratives.md")
        samplers[name] = Sampler(module.to(choose_device(device)), path)
    return Panels(samplers)
