"""Read the Localized Narratives of a data set's images."""

from collections.abc import Collection
from pathlib import Path

from t2igan.data.packing import pack_narrative
from t2igan.data.sources.base import Findings, has_word
from t2igan.errors import UserError
from t2igan.layout.line_faults import LineFaults
from t2igan.layout.localized import iterate_localized


def read_narratives(folder: Path, images: Collection[str], findings: Findings) -> dict[str, list[bytes]]:
    """The packed narratives of every image, those of all files of a folder one after another.

    Args:
        folder: folder of the ``.jsonl`` files.
        images: ids of the images that are wanted.
        findings: receives invalid lines, and oddities of valid ones.

    Raises:
        UserError: the folder holds no such file, or nothing of these images.
    """
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise UserError(f"{folder}: holds no .jsonl file; put the files of Localized Narratives there")
    packed: dict[str, list[bytes]] = {}
    seen, others = set(), 0
    for path in paths:
        refused, noted, twice = LineFaults(path), LineFaults(path), LineFaults(path, "narrative")
        for number, narrative in enumerate(iterate_localized(path, refused, noted), 1):
            if narrative.image_id not in images:
                others += 1
            elif narrative.key in seen:
                twice.add(number, f"{narrative.key} is in an earlier file too")
            elif not has_word(narrative.caption):
                twice.add(number, f"{narrative.key} has no word of a-z")
            else:
                seen.add(narrative.key)
                packed.setdefault(narrative.image_id, []).append(pack_narrative(narrative))
        findings.problems += [*refused.lines(), *twice.lines()]
        findings.notes += noted.lines()
    if not packed:
        raise UserError(f"{folder}: {others:,} narratives, none of them of an image of this data set")
    return packed
