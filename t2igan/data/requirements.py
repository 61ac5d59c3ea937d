"""Check that a data set has what a model requires, before training starts."""

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
        needed: parts that the model requires, keys of :data:`REMEDIES`.
        offered: parts that the data set has.
        who: name of the model for the error message.
        source: name of the data set for the error message.

    Raises:
        UserError: a required part is missing.
    """
    if lacking := [name for name in REMEDIES if name in needed and name not in offered]:
        remedies = "; ".join(REMEDIES[name] for name in lacking)
        raise UserError(f"{who} needs {' and '.join(lacking)}, which {source} does not contain: {remedies}")
