"""Reading files of weights and metadata: what is in them is never run."""

import os
import pickle
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from released_weights import assert_same, released_state

from t2igan.data.pickles import load_plain_pickle
from t2igan.data.vocabulary import read_captions_pickle
from t2igan.errors import UserError
from t2igan.interop.files import read_networks, read_weights

KIND = "damsm-text-encoder"


class Bomb:
    """Makes a folder if a reader runs what the file says."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class Python2Pickler(pickle._Pickler):
    """Writes text as Python 2 wrote its byte strings."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, text):
        data = text.encode("latin1")
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        self.memoize(text)

    dispatch[str] = save_string


def python_2():
    """What torch.save takes for the module ``pickle``."""

    def dump(content, file, protocol):
        Python2Pickler(file, protocol).dump(content)

    return types.SimpleNamespace(Pickler=Python2Pickler, dump=dump, __name__="pickle")


@pytest.fixture
def state():
    return released_state(KIND)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_are_read(tmp_path, state, zipped):
    torch.save(OrderedDict(state), tmp_path / "text.pth", _use_new_zipfile_serialization=zipped)
    assert_same(dict(read_weights(tmp_path / "text.pth")), state)


def test_python_2_strings_are_read(tmp_path, state):
    path = tmp_path / "old.pth"
    state["\xe9"] = torch.ones(1)
    torch.save(state, path, pickle_module=python_2(), _use_new_zipfile_serialization=False)
    assert b"U\x0eencoder.weight" in path.read_bytes()
    assert_same(read_weights(path), state)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_asks_for_more_is_refused_by_name_and_not_run(tmp_path, state, zipped):
    path, marker = tmp_path / "bomb.pth", tmp_path / "ran"
    torch.save(state | {"extra": Bomb(marker)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"bomb\.pth: refused, it asks for (posix|nt)\.mkdir; ") as error:
        read_weights(path)
    assert "\n" not in str(error.value)
    assert not marker.exists()


def test_whole_modules_are_refused_by_name(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(UserError, match=r"refused, it asks for torch\.nn\.modules\.linear\.Linear;"):
        read_weights(tmp_path / "module.pth")


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04 no zip"])
def test_damaged_files_are_one_line(tmp_path, content):
    (tmp_path / "damaged.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged\.pth") as error:
        read_weights(tmp_path / "damaged.pth")
    assert "\n" not in str(error.value)


def test_cut_files_are_one_line(tmp_path, state):
    path = tmp_path / "cut.pth"
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"cut\.pth cannot be read as weights"):
        read_weights(path)


def test_other_content_is_refused(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(UserError, match=r"list\.pth holds a list, not a state dict"):
        read_weights(tmp_path / "list.pth")
    with pytest.raises(UserError, match=r"no file .*none\.pth"):
        read_weights(tmp_path / "none.pth")


def test_networks_of_several_files(tmp_path, state):
    torch.save(state, tmp_path / "text.pth")
    torch.save(released_state("attngan-generator"), tmp_path / "netG.pth")
    paths = [tmp_path / "netG.pth", tmp_path / "text.pth"]
    generator, text = read_networks(paths, "attngan-generator", legacy_mask=True)
    assert (generator.kind, text.kind) == ("attngan-generator", KIND)
    assert generator.network.stages[0].attention.legacy_mask
    assert (text.tensors, len(text.sha256)) == (9, 64)
    assert text.parameters == sum(tensor.numel() for tensor in state.values())
    with pytest.raises(UserError, match="no network here has the option align_corners"):
        read_networks(paths, align_corners=True)
    with pytest.raises(UserError, match=r"netG\.pth: dmgan-generator: its tensors do not fit"):
        read_networks(paths, "dmgan-generator")
    with pytest.raises(UserError, match=r"netG\.pth: no released network is called 'attn'"):
        read_networks(paths, "attn")


# ------------------------------------------------------------- metadata files


def python_2_class_info(numbers):
    """``class_info.pickle`` as Python 2 wrote it: protocol 0, each number eight bytes in a byte string."""
    scalars = []
    for number in numbers:
        data = repr(np.int64(number).tobytes())[1:]
        dtype = "cnumpy\ndtype\n(S'i8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        scalars.append(f"cnumpy.core.multiarray\nscalar\n({dtype}S{data}\ntRa")
    return ("(l" + "".join(scalars) + ".").encode("latin1")


def test_class_info_of_python_2(tmp_path):
    path = tmp_path / "class_info.pickle"
    path.write_bytes(python_2_class_info([1, 150, 200]))
    assert pickle.loads(path.read_bytes(), encoding="latin1") == [1, 150, 200]
    with pytest.raises(UnicodeDecodeError):
        pickle.loads(path.read_bytes())
    assert load_plain_pickle(path) == [1, 150, 200]


def test_filenames_of_python_2(tmp_path):
    path = tmp_path / "filenames.pickle"
    path.write_bytes(b"(lp0\nS'002.Laysan_Albatross/Laysan_Albatross_0002_1027'\np1\naS'003.Caf\\xe9/x'\np2\na.")
    assert load_plain_pickle(path) == ["002.Laysan_Albatross/Laysan_Albatross_0002_1027", "003.Caf\xe9/x"]


def test_captions_of_python_2(tmp_path):
    path = tmp_path / "captions.pickle"
    words = {0: "<end>", 1: "red", 2: "bird"}
    content = [[[1, 2], [2]], [[1]], words, {word: number for number, word in words.items()}]
    path.write_bytes(pickle.dumps(content, protocol=2))
    vocabulary, captions = read_captions_pickle(path)
    assert vocabulary.words == ["<end>", "red", "bird"]
    assert captions == {"train": [[1, 2], [2]], "test": [[1]]}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.pickle", lambda bomb: [[[1]], [[1]], {0: "<end>", 1: bomb}, {"<end>": 0}]),
        ("filenames.pickle", lambda bomb: ["002.Laysan_Albatross/Laysan_Albatross_0002_1027", bomb]),
        ("class_info.pickle", lambda bomb: [np.int64(1), bomb]),
    ],
)
def test_metadata_that_asks_for_more_is_refused_by_name_and_not_run(tmp_path, name, content, protocol):
    path, marker = tmp_path / name, tmp_path / "ran"
    path.write_bytes(pickle.dumps(content(Bomb(marker)), protocol=protocol))
    read = read_captions_pickle if name == "captions.pickle" else load_plain_pickle
    with pytest.raises(UserError, match=rf"{name}: refused, .*(posix|nt)\.mkdir"):
        read(path)
    assert not marker.exists()


def test_no_flipped_bit_of_a_weight_is_read(tmp_path, state):
    path = tmp_path / "text.pth"
    torch.save(state, path)
    whole = path.read_bytes()
    weight = max(state.values(), key=torch.Tensor.numel)
    begin = whole.find(weight.numpy().tobytes()[:64])
    for at in (begin, begin + 63, begin + weight.nbytes // 2):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(UserError, match=r"text\.pth is damaged \(in .*download it again"):
            read_weights(path)


def test_weights_that_are_larger_than_their_file_are_refused(tmp_path, state):
    compressed, path = tmp_path / "bomb.pth", tmp_path / "text.pth"
    torch.save(state | {"more": torch.zeros(1).expand(2**40)}, path)
    with pytest.raises(UserError, match=r"text\.pth .*larger than what is saved of them"):
        read_weights(path)
    torch.save(state, path)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(compressed, "w", zipfile.ZIP_DEFLATED) as bomb:
        for part in archive.infolist():
            bomb.writestr(part.filename, archive.read(part))
    with pytest.raises(UserError, match=r"bomb\.pth .*compressed"):
        read_weights(compressed)
