import pytest
import torch
import torchmetrics
from torchvision.models import alexnet

from t2igan.errors import UserError
from t2igan.metrics.lpips import Diversity, LpipsNetwork


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Made-up weights of AlexNet's convolutions."""
    torch.manual_seed(0)
    state = {name: value for name, value in alexnet().state_dict().items() if name.startswith("features.")}
    path = tmp_path_factory.mktemp("lpips") / "alexnet.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def network(file):
    return LpipsNetwork(file, verify=False)


def images(*shape, seed=0):
    return torch.rand(*shape, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def literal(file, x, y):
    """Section 3.1 of the paper: weighted squares of differences, mean over places, sum over layers."""
    trunk = alexnet().features
    trunk.load_state_dict({name.removeprefix("features."): v for name, v in torch.load(file).items()})
    root = torchmetrics.__path__[0]
    linear = list(torch.load(f"{root}/functional/image/lpips_models/alex.pth", map_location="cpu").values())
    shift, scale = (torch.tensor(v)[:, None, None] for v in ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)))
    x, y, total, layer = (x - shift) / scale, (y - shift) / scale, 0, 0
    for block in trunk[:12]:
        x, y = block(x), block(y)
        if isinstance(block, torch.nn.ReLU):
            units = [v / (v.square().sum(1, keepdim=True).sqrt() + 1e-8) for v in (x, y)]
            weighted = (linear[layer] * (units[0] - units[1]).square()).sum(1)
            total, layer = total + weighted.mean((1, 2)), layer + 1
    assert layer == 5
    return total


def test_it_is_the_papers_distance(network, file):
    x, y = images(3), images(3, seed=1)
    with torch.no_grad():
        expected = literal(file, x, y)
    torch.testing.assert_close(network(x, y), expected, rtol=1e-4, atol=1e-6)
    assert (network(x, x) == 0).all() and (expected > 0).all()


def test_diversity_is_the_mean_over_pairs(network):
    samples = images(2, 3)
    pairs = [network(samples[:, i], samples[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(network.diversity(samples), torch.stack(pairs).mean(0))
    same = samples[:, :1].expand(-1, 4, -1, -1, -1)
    assert (network.diversity(same) == 0).all()


def test_values_come_in_the_order_of_their_captions():
    metric = Diversity()
    metric.update(torch.tensor([0.3]), torch.tensor([2]))
    metric.update(torch.tensor([0.1, 0.2]), torch.tensor([0, 1]))
    assert metric.compute().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_wrong_weights_are_one_line(tmp_path, file):
    with pytest.raises(UserError, match=r"alexnet-owt-7be5be79\.pth .* downloads are off"):
        LpipsNetwork(folder=tmp_path / "none", download=False)
    with pytest.raises(UserError, match="SHA-256 starts with"):
        LpipsNetwork(file)
    (tmp_path / "torn.pth").write_bytes(b"torn")
    with pytest.raises(UserError, match="not a readable file of weights"):
        LpipsNetwork(tmp_path / "torn.pth", verify=False)
    state = torch.load(file)
    state["features.0.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"features\.0\.weight is missing or of another shape"):
        LpipsNetwork(tmp_path / "other.pth", verify=False)
