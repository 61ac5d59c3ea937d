import numpy as np
import pytest
import torch
from golden_fill import compare, fill_array, fill_captions, fill_input, fill_module, load_case, sample_positions


def entry():
    return load_case("r_precision", "hits")["outputs"]["cosine_true"]


def recorded(kind):
    return np.array((entry()["float64"] if kind == "float64" else entry())["values"])


def test_compare_accepts_the_record_itself():
    assert compare(entry(), recorded("float32")) == []
    assert compare(entry(), torch.from_numpy(recorded("float64")), float64=True) == []


@pytest.mark.parametrize(("float64", "change"), [(False, 1e-5), (True, 1e-9)])
def test_compare_notices_one_changed_element(float64, change):
    values = recorded("float64")
    values[3] += change
    assert "1 of 64 elements differ" in compare(entry(), values, float64=float64)[0]


def test_compare_notices_what_else_is_wrong():
    values = recorded("float32")
    assert compare(entry(), values[:-1]) == ["shape [63], recorded [64]"]
    assert compare(entry(), np.where(values > 0.3, np.nan, values))
    assert any("L2 norm" in line for line in compare(entry(), values + 2e-7, rtol=0, atol=1e-8))
    hits = load_case("r_precision", "hits")["outputs"]["hit"]
    assert compare(hits, 1 - np.array(hits["values"]))


def test_compare_looks_at_the_sampled_positions_of_a_large_tensor():
    values = np.arange(5000.0)
    kept = values[sample_positions(5000)]
    large = {
        "shape": [5000],
        "dtype": "float32",
        "samples": kept.tolist(),
        "stats": {"l2": float(np.linalg.norm(values))},
        "tol": {"rtol": 1e-6, "atol": 0},
    }
    assert compare(large, values) == []
    values[sample_positions(5000)[7]] += 0.1
    assert "elements differ" in compare(large, values)[0]


def test_a_name_and_a_shape_decide_the_value():
    assert np.array_equal(fill_array("module.a.weight", (2, 3)), fill_array("a.weight", (2, 3)))
    assert not np.array_equal(fill_array("b.weight", (2, 3)), fill_array("a.weight", (2, 3)))
    assert np.allclose(fill_array("a.weight", (2, 3), gain=2), 2 * fill_array("a.weight", (2, 3)))
    assert np.array_equal(fill_input("x", (4,)), fill_input("input:x", (4,)))
    with pytest.raises(ValueError, match="no rule"):
        fill_array("a.scale", (3,))


def test_modules_are_filled_under_the_original_names():
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3)).double()
    names = {"0.weight": "old.weight"}
    assert fill_module(module, rename=names, gain=2) is module
    expected = torch.from_numpy(fill_array("old.weight", (3, 2, 3, 3), gain=2)).double()
    assert torch.equal(module[0].weight, expected)
    assert (module[1].running_var >= 1).all() and module[1].num_batches_tracked == 0
    by_function = fill_module(torch.nn.Linear(4, 3), rename=lambda key: f"fc.{key}")
    assert np.array_equal(by_function.bias.detach().numpy(), fill_array("fc.bias", (3,)))


def test_captions_are_padded_with_zeros():
    ids = fill_captions([3, 5, 1], vocab=20, width=6)
    assert ids.shape == (3, 6) and ids.max() < 20
    assert ((ids > 0).sum(1) == [3, 5, 1]).all() and (ids[0, :3] > 0).all()


def test_blocks_are_flat_in_cells_of_16_pixels():
    x = fill_input("x", (1, 2, 40, 20), "blocks")
    assert x.shape == (1, 2, 40, 20) and np.abs(x).max() <= 1
    assert (x[..., :16, :16] == x[..., :1, :1]).all() and not (x[..., 16, 0] == x[..., 15, 0]).any()
