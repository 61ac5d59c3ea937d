"""What a model needs of a data set: refused by name before training, not by a crash in its first step."""

from collections.abc import Collection

from t2igan.errors import UserError

REMEDIES = {
    "captions": "give a data class of captioned images",
    "layouts": "prepare scenes, or coco with its label maps (--stuff)",
    "segments": "prepare scenes, or coco with its instances (--instances)",
    "narratives": "prepare scenes, or coco with Localized Narratives (--narratives)",
    "tags": "give data.class_path: TaggedNarratives",
}
"""By what a batch may hold, where it comes from."""


def refuse_lack(needed: Collection[str], offered: Collection[str], who: str, source: str) -> None:
    """Compare what a model needs with what a data set has.

    Args:
        needed: some of the keys of :data:`REMEDIES`.
        offered: the same.
        who: names the model.
        source: names the data set.

    Raises:
        UserError: something is not offered.
    """
    if lacking := [name for name in REMEDIES if name in needed and name not in offered]:
        remedies = "; ".join(REMEDIES[name] for name in lacking)
        raise UserError(f"{who} needs {' and '.join(lacking)}, which {source} does not hold: {remedies}")
