"""Fixtures of the fault harness, and its table: probe | tried | survived."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from good_input import write_good_input
from harness import DAMSM, PROPERTY, Homes, Tally, end_what_was_started, fit_words, last, run
from small_configs import SSAGAN


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory, drawn_birds_store: Path) -> Homes:
    """Configurations of tiny trainings; the DAMSM that the SSA-GAN names is trained."""
    folder = tmp_path_factory.mktemp("faults")
    damsm, ssagan = folder / "damsm.yaml", folder / "ssagan.yaml"
    damsm.write_text(DAMSM.format(store=drawn_birds_store))
    done = run(*fit_words(damsm, folder / "damsm", "--trainer.max_steps", 2))
    assert done.returncode == 0, done.stderr
    ssagan.write_text(SSAGAN.format(store=drawn_birds_store, damsm=last(folder / "damsm")))
    return Homes(folder, drawn_birds_store, damsm, ssagan)


@pytest.fixture(scope="session")
def whole(homes: Homes) -> Path:
    """The folder of an SSA-GAN's run that nothing interrupted."""
    done = run(*fit_words(homes.ssagan, homes.folder / "whole"))
    assert done.returncode == 0, done.stderr
    return homes.folder / "whole"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """A test that fails leaves no training behind."""
    yield
    end_what_was_started()


@pytest.fixture
def tally(request: pytest.FixtureRequest):
    """``tally("words of the probe")`` gives a :class:`Tally` that the table will show."""
    tallies: list[Tally] = []

    def make(probe: str) -> Tally:
        tallies.append(Tally(probe))
        return tallies[-1]

    yield make
    for each in tallies:
        row = [each.probe, each.tried, each.tried - len(each.failures)]
        request.node.user_properties.append((PROPERTY, row))


@pytest.fixture(scope="session")
def all_good(tmp_path_factory: pytest.TempPathFactory, drawn_birds_root: Path, drawn_birds_store: Path) -> Path:
    """A folder of small good input of every kind; read-only."""
    folder, before = tmp_path_factory.mktemp("good"), Path.cwd()
    os.chdir(folder)
    try:
        write_good_input(folder, drawn_birds_root, drawn_birds_store)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def good_input(all_good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, the current folder; yours to harm."""
    shutil.copytree(all_good, tmp_path / "good")
    monkeypatch.chdir(tmp_path / "good")
    return tmp_path / "good"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; ``T2IGAN_FAULTS_TABLE`` names a file for it too."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])]
    # What a fixture notes at its end is part of the report of the teardown, which has no place of its own.
    reports += terminalreporter.stats.get("", [])
    sums: dict[str, list[int]] = {}
    for report in reports:
        for name, row in getattr(report, "user_properties", []):
            if name == PROPERTY and report.when == "teardown":
                tried, survived = sums.get(row[0], [0, 0])
                sums[row[0]] = [tried + row[1], survived + row[2]]
    if not sums:
        return
    lines = ["| probe | tried | survived |", "| --- | ---: | ---: |"]
    lines += [f"| {probe} | {tried} | {survived} |" for probe, (tried, survived) in sorted(sums.items())]
    terminalreporter.section("faults")
    terminalreporter.write_line("\n".join(lines))
    if path := os.environ.get("T2IGAN_FAULTS_TABLE"):
        Path(path).write_text("\n".join(lines) + "\n")
