"""How a run continues: with which changes, and what its folder and its checkpoints say of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from t2igan.errors import UserError
from t2igan.evaluation.history import BEFORE, CHANGES, CONFIG, History, settled
from t2igan.evaluation.identity import READ, experiment_of, of_any_length, without_length
from t2igan.files import write_whole


def continued(history: History, config: Mapping[str, Any], step: int | None) -> History:
    """History of a run that continues with a configuration.

    Args:
        history: that of the checkpoint from which it continues.
        config: configuration with which it continues.
        step: training step at which changes take effect.

    Returns:
        With each change and the former configuration; length, seeds and display options do not count.
    """
    now, before = settled(config), _before(history, config)
    if before is None or of_any_length(before) == of_any_length(now):
        return replace(history, config=now)
    old, new = (dict(_leaves(without_length(experiment_of(one)))) for one in (before, now))
    found = [
        {"key": key, "before": old.get(key), "after": new.get(key), "step": step}
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]
    return replace(history, config=now, earlier=[*history.earlier, before], changes=[*history.changes, *found])


def _before(history: History, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration that a run had, without defaults that had no effect, which earlier versions wrote."""
    before, now = history.config, config["model"]
    if before is None or before["model"].get("class_path") != now.get("class_path"):
        return before
    said = before["model"].get("init_args") or {}
    told = {key: value for key, value in said.items() if key in now["init_args"]}
    return before | {"model": before["model"] | {"init_args": told}}


def note_inputs(
    history: History, before: Mapping[str, str], now: Mapping[str, str], step: int
) -> tuple[History, list[str]]:
    """Record that inputs of a training, such as the code of a user's classes, have changed their content.

    Args:
        history: history of the run.
        before: sha256 of each input until then, by name; inputs without an entry are ignored.
        now: sha256 of each input from this step on, by name.
        step: training step from which the new content is used.

    Returns:
        The history with these changes, and the names of the inputs that changed.
    """
    names = [name for name in sorted(before) if name in now and before[name] != now[name]]
    found = [{"key": READ + name, "before": before[name], "after": now[name], "step": step} for name in names]
    return replace(history, changes=[*history.changes, *found]), names


def write_history(folder: Path, history: History) -> Path | None:
    """Write earlier configurations and changes into a run's folder, and remove those of another history.

    Returns:
        File of the latest of the earlier configurations, None if there is none.

    Raises:
        UserError: they cannot be written.
    """
    names = [folder / BEFORE.format(of_any_length(each)[:8]) for each in history.earlier]
    earlier = dict(zip(names, history.earlier))
    try:
        for path in set(folder.glob(BEFORE.format("*"))) - earlier.keys():
            path.unlink()
        for path, config in earlier.items():
            write_whole(path, yaml.safe_dump(config, sort_keys=False).encode())
        if history.changes:
            write_whole(folder / CHANGES, "".join(f"{json.dumps(each)}\n" for each in history.changes).encode())
        else:
            (folder / CHANGES).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: not written ({error.strerror}): free space, or give another --run") from error
    return names[-1] if names else None


class AsItWas:
    """Backup of what a run's folder says of its history, to be restored if the run does not continue.

    Args:
        folder: folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._content = {path: path.read_bytes() for path in self._files()}

    @property
    def held(self) -> bool:
        """Whether there was a history."""
        return bool(self._content)

    def _files(self) -> list[Path]:
        named = (self._folder / name for name in (CONFIG, CHANGES))
        return [*self._folder.glob(BEFORE.format("*")), *(path for path in named if path.is_file())]

    def put_back(self) -> None:
        """Undo :func:`write_history`, and restore the old configuration."""
        for path in set(self._files()) - self._content.keys():
            path.unlink()
        for path, content in self._content.items():
            write_whole(path, content)


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key as on the command line, value)."""
    if not isinstance(value, Mapping):
        yield place, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, place if key == "init_args" else f"{place}.{key}".lstrip("."))
