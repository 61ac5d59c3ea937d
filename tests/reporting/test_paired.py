from dataclasses import replace

import pytest
from report_fixtures import CLASSIFIER, make_record, make_repeated

from t2igan.errors import UserError
from t2igan.evaluation.record import MetricValue
from t2igan.reporting.leaderboard import boards
from t2igan.reporting.paired import IMAGES, NONE, PAIRED, UNPAIRED, compare


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
    assert found.over == IMAGES and found.ends == pytest.approx((-15.0, -10 + 8**0.5))


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
