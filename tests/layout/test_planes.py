import pytest
import torch
import torch.nn.functional as F
from layout_fixture import with_quarters

from t2igan.layout.labels import VOID
from t2igan.layout.planes import LABELS, PLANES, LayoutPlanes, edges, layout_maps, one_hot

SIZE = 16


@pytest.fixture
def labels():
    return torch.randint(0, 182, (3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_one_hot_has_a_plane_for_each_label_one_for_void_and_one_of_edges(labels):
    labels[0, 0, 0] = VOID
    planes = one_hot(layout_maps(with_quarters(labels)))
    assert (LABELS, PLANES) == (182, 183)
    assert planes.shape == (3, PLANES + 1, SIZE, SIZE)
    assert torch.equal(planes[:, :PLANES].sum(dim=1), torch.ones(3, SIZE, SIZE))
    assert planes[0, :PLANES, 0, 0].argmax() == LABELS
    assert planes[1, int(labels[1, 5, 7]), 5, 7] == 1


def test_edges_lie_on_both_sides_of_a_border():
    instances = torch.tensor([[[1, 1, 2, 2]] * 2 + [[3, 3, 3, 3]]], dtype=torch.uint8)
    assert edges(instances)[0].tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_embedding_is_a_1x1_convolution_of_the_one_hot_planes(labels):
    maps, embed = layout_maps(with_quarters(labels)), LayoutPlanes(5)
    weight = torch.cat([embed.labels.weight, embed.edge[None]]).T[:, :, None, None]
    assert torch.allclose(embed(maps), F.conv2d(one_hot(maps), weight), atol=1e-6)
    assert embed(maps, 8).shape == (3, 5, 8, 8)
