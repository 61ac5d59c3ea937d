import numpy as np
import pytest

from t2igan.data.packing import pack_maps, pack_narrative, unpack_maps, unpack_narrative
from t2igan.layout.localized import on_grid
from t2igan.layout.narratives import Narrative, Span, read_tagged


def narrative(seed, strokes=3, tags=False):
    rng = np.random.default_rng(seed)
    words = tuple(rng.choice(["a", "bird", "there's", "na\u00efve", "2"], 12).tolist())
    times = np.round(np.sort(rng.uniform(0, 60, 13)), 3).tolist()
    spans = tuple(Span(k, k + 1, times[k], times[k + 1]) for k in range(12))
    sizes = rng.integers(1, 400, strokes)
    traces = tuple(on_grid(rng.normal(0.5, 0.3, (n, 3)) * [1, 1, 60]) for n in sizes)
    return Narrative(
        "139", "105", words, words if tags else None, spans, traces, " ".join(words).capitalize() + "."
    )


@pytest.mark.parametrize("seed", range(20))
def test_narratives_come_back_exactly(seed):
    for one in (narrative(seed), narrative(seed, 0), narrative(seed, 1, tags=True)):
        again = unpack_narrative(pack_narrative(one))
        assert again == one
        assert all(stroke.dtype == np.float32 for stroke in again.traces)


def test_narratives_without_times_or_traces():
    one = Narrative("139", "105", ("a", "bird"), caption="A bird.")
    assert unpack_narrative(pack_narrative(one)) == one
    empty = Narrative("139", "105", ("a",), None, (), (), "A")
    assert unpack_narrative(pack_narrative(empty)) == empty


def test_maps_come_back_exactly():
    rng = np.random.default_rng(0)
    labels, instances = rng.integers(0, 256, (2, 30, 41), dtype=np.uint8)
    back = unpack_maps(pack_maps(labels, instances), 30, 41)
    assert np.array_equal(back[0], labels) and np.array_equal(back[1], instances)
    for data, height in ((b"no", 30), (pack_maps(labels, instances), 29), (pack_maps(labels, labels[:3]), 30)):
        with pytest.raises(ValueError, match=r".+"):
            unpack_maps(data, height, 41)


def test_what_is_no_narrative_is_refused():
    data = pack_narrative(narrative(0))
    for bad in (b"", data[:40], pack_maps(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))):
        with pytest.raises(ValueError, match=r".+"):
            unpack_narrative(bad)


def test_the_released_narratives_come_back(trecs_tags):
    narratives = read_tagged(trecs_tags)[::20]
    packed = [pack_narrative(each) for each in narratives]
    assert len(narratives) == 429 and [unpack_narrative(each) for each in packed] == narratives
