from dataclasses import replace

import pytest
import torch
from report_fixtures import CLASSIFIER, make_record, make_repeated

from t2igan.errors import UserError
from t2igan.evaluation.record import MetricValue, Resampled
from t2igan.metrics.bootstrap import interval, mean_replicates
from t2igan.reporting.leaderboard import boards
from t2igan.reporting.paired import IMAGES, INDEPENDENT, NONE, PAIRED, UNPAIRED, compare


def difference(records, first="a", second="b"):
    ((found,),) = [one.differences for one in compare(boards(records), first, second)]
    return found


def measured(name, value, low, high):
    return make_record(name, metrics={"fd-classifier": MetricValue(value, 0.1, 100, CLASSIFIER, None, low, high)})


def test_runs_of_equal_seeds_are_paired():
    runs = [make_repeated("a", seed, 10.0 + 5 * seed) for seed in range(3)]
    runs += [make_repeated("b", seed, 12.0 + 5 * seed + 0.1 * seed) for seed in range(3)]
    found = difference(runs)
    assert found.over == PAIRED and found.value == pytest.approx(-2.1)
    assert found.ends == pytest.approx((-2.348, -1.852), abs=1e-3)  # t(2) 4.303 * 0.1 / sqrt(3) on each side


def test_runs_of_other_seeds_are_not():
    runs = [make_repeated("a", seed, fd) for seed, fd in ((0, 10.0), (1, 12.0), (2, 14.0))]
    runs += [make_repeated("b", seed, fd) for seed, fd in ((5, 20.0), (6, 22.0), (7, 24.0))]
    found = difference(runs)
    # Equal variances: Welch's t has 4 degrees of freedom, 2.776 * sqrt(2 * 4 / 3).
    assert found.over == UNPAIRED and found.ends == pytest.approx((-14.534, -5.466), abs=1e-3)


def test_single_runs_have_the_joined_interval_of_their_bootstraps():
    found = difference([measured("a", 10.0, 7.0, 12.0), measured("b", 20.0, 18.0, 24.0)])
    # sqrt(3^2 + 4^2) below, sqrt(2^2 + 2^2) above.
    assert found.over == INDEPENDENT and found.ends == pytest.approx((-15.0, -10 + 8**0.5))


def hits(seed, share):
    """Of 300 captions, the same hard ones for every system."""
    hard = torch.rand(300, generator=torch.Generator().manual_seed(0))
    noise = torch.rand(300, generator=torch.Generator().manual_seed(seed))
    return (0.9 * hard + 0.1 * noise < share).double()


def resampled(name, found, samples="same", seed=0, **changes):
    """A record of a mean over images, with its bootstrap."""
    replicates = mean_replicates(found, 400, seed)
    low, high = interval(found.mean().item(), replicates, 0.9)
    kept = Resampled(samples, (replicates - replicates.mean()).tolist())
    value = MetricValue(found.mean().item(), None, 300, CLASSIFIER, 0.01, low, high, resampled=kept)
    return make_record(name, metrics={"r-precision": value}, protocol_content={"confidence": 0.9}, **changes)


def test_single_runs_of_the_same_images_are_paired():
    one, two = hits(1, 0.6), hits(2, 0.5)
    found = difference([resampled("a", one), resampled("b", two)])
    # As a bootstrap over the images' own differences, with the protocol's confidence.
    ends = interval((one - two).mean().item(), mean_replicates(one - two, 400, 0), 0.9)
    assert found.over == IMAGES and found.ends == pytest.approx(ends, abs=1e-9)
    assert found.ends[0] < found.value < found.ends[1] and 0.05 < found.value < 0.15
    other = difference([resampled("a", one), resampled("b", two, samples="other")])
    assert other.over == INDEPENDENT and other.value == found.value
    widths = [one.ends[1] - one.ends[0] for one in (found, other)]
    assert widths[0] < 0.6 * widths[1], "hard captions are hard for both: pairing takes them out"
    (forth,) = compare(boards([resampled("a", one), resampled("b", two)]), "a", "b")
    assert forth.grid()[1][-1] == IMAGES
    assert [note for note in forth.notes if "captions and noise of both" in note]
    assert not [note for note in forth.notes if "--bootstrap" in note]


def test_a_record_without_replicates_is_named_with_the_option_that_keeps_them():
    without = measured("b", 20.0, 18.0, 24.0)
    kept = replace(without.metrics["fd-classifier"], resampled=Resampled("same", [0.5, -0.5]))
    having = measured("a", 10.0, 7.0, 12.0)
    having = replace(having, metrics={"fd-classifier": replace(kept, value=10.0)})
    (found,) = compare(boards([having, without]), "a", "b")
    (note,) = [note for note in found.notes if "--bootstrap 200" in note]
    assert note.startswith("b: the record keeps no replicates")
    bare = make_record("c", metrics={"fd-classifier": MetricValue(1.0, None, 100, CLASSIFIER)})
    (found,) = compare(boards([bare, without]), "c", "b")
    assert found.differences[0].over == NONE
    assert [note for note in found.notes if note.startswith("c and b: the record keeps no replicates")]
    # Several runs have their seeds.
    runs = [make_repeated(name, seed, 10.0 + seed) for seed in range(2) for name in ("a", "b")]
    (found,) = compare(boards(runs), "a", "b")
    assert not [note for note in found.notes if "--bootstrap" in note]


def test_one_run_against_several_has_no_interval():
    runs = [make_repeated("a", seed, 10.0 + seed) for seed in range(2)]
    found = difference([*runs, measured("b", 20.0, 18.0, 24.0)])
    assert found.over == NONE and found.ends is None


def test_an_edited_record_and_another_network_are_refused():
    edited = replace(measured("b", 20.0, 18.0, 24.0), integrity="edited")
    with pytest.raises(UserError, match="changed after it had been written"):
        difference([measured("a", 10.0, 7.0, 12.0), edited], second="b (edited)")
    other = make_record("b", metrics={"fd-classifier": MetricValue(1.0, None, 100, "dd" * 32)})
    with pytest.raises(UserError, match="no metric by the same network"):
        difference([measured("a", 10.0, 7.0, 12.0), other])
