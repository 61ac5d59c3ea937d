"""Convert released state dicts to networks of the suite and back."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.interop.forms import CONTAINER, PREFIX, OfficialForm, form_of, remember_form, unpack
from t2igan.interop.kind import Shapes
from t2igan.interop.kinds import KINDS, NAMES, likely_kind, official_name, twice_stripped
from t2igan.networks.attngan import AttnGANGenerator
from t2igan.networks.dfgan import DFGANGenerator, OneWayDiscriminator
from t2igan.nn.config import config_of

COUNTER = "num_batches_tracked"
LISTED = 10
"""So many names of a kind of fault are listed, and the others counted."""


def from_official(kind: str, state_dict: Mapping[str, Any], **config: Any) -> nn.Module:
    """Build the suite's network from a released state dict.

    Widths, depth, side of the image and size of the vocabulary are read from the tensors. One leading ``module.``
    on all keys is taken off. Batch counters, which old PyTorch did not write, may be missing.

    Args:
        kind: one of :data:`t2igan.interop.kinds.KINDS`.
        state_dict: as the original code saves it. It is copied.
        config: arguments of the network instead of those read or released: ``legacy_mask=True`` gives generators
            the released attention mask (those that read no words have none to change), ``probabilities=False``
            makes the AttnGAN family's discriminators return logits.

    Returns:
        The network in eval mode, ready to call, in the tensors' precision. Its attribute ``official`` remembers the
        file's form. Generators: ``(noise, text[, eps]) -> Synthesis``; ``dfgan``: :class:`DFGANNetworks`, called as
        its generator; text encoder: ``(captions, lengths) -> TextEmbedding``; others as their class says.

    Raises:
        UserError: unknown kind or option; missing, unknown or misshapen tensors, by name; numbers that are not
            finite.
    """
    if kind not in KINDS:
        raise UserError(f"no released network is called {kind!r}; choose one of {', '.join(KINDS)}")
    if not isinstance(state_dict, Mapping) or not all(isinstance(key, str) for key in state_dict):
        raise UserError(f"{kind}: not a state dict, which holds tensors by name")
    tensors, form = unpack(kind, state_dict)
    _require_tensors(kind, tensors)
    shapes = Shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    form.read = KINDS[kind].read(shapes)
    network = _build(kind, form.read, config)
    own = network.state_dict()
    names = official_names(kind, network)
    _require_same(kind, shapes, {name: tuple(own[key].shape) for name, key in names.items()})
    _look_at_values(kind, tensors)
    form.names = {name: names[name] for name in tensors}
    given = {names[name]: tensor.detach().clone() for name, tensor in tensors.items()}
    counters = {key: torch.zeros_like(own[key], device="cpu") for key in own if key not in given}
    network.load_state_dict(given | counters, assign=True)
    remember_form(network, form)
    return network.eval()


def to_official(module: nn.Module) -> dict[str, Any]:
    """The weights of a network in the form that the original code loads.

    Args:
        module: a network that :func:`from_official` gave, whose form is kept, key for key; or one that was trained
            here, which takes the form that the original code saves.

    Returns:
        Tensors by released name (of ``dfgan``, the container); they share memory with the module, as those of a
        ``state_dict`` do.

    Raises:
        UserError: there is no corresponding released network.
    """
    form = form_of(module) or _released_form(module)
    own = module.state_dict()
    return form.pack({name: own[key] for name, key in form.names.items()})


def official_names(kind: str, network: nn.Module) -> dict[str, str]:
    """Released name without prefix -> own name, of every tensor of a network."""
    keys = list(network.state_dict())
    if kind == CONTAINER:
        netg = {
            f"netG.{official_name('dfgan-generator', key)}": f"generator.{key}" for key in _under("generator", keys)
        }
        return netg | {
            official_name("dfgan-discriminator", key): f"discriminator.{key}"
            for key in _under("discriminator", keys)
        }
    rules = kind if kind in NAMES else f"{kind}-{network.image_size}"
    if rules not in NAMES:
        raise UserError(f"{kind}: the released code has none for {network.image_size} px, only for 64, 128 and 256")
    return {official_name(rules, key): key for key in keys}


def _under(part: str, keys: Iterable[str]) -> list[str]:
    return [key.removeprefix(f"{part}.") for key in keys if key.startswith(f"{part}.")]


def _require_tensors(kind: str, tensors: Mapping[str, Any]) -> None:
    wrong = [
        name
        for name, value in tensors.items()
        if not isinstance(value, Tensor)
        or value.layout != torch.strided
        or not (value.is_floating_point() or name.endswith(COUNTER))
    ]
    if wrong:
        raise UserError(f"{kind}: not plain tensors of floating point numbers: {_listed(wrong)}")


def _build(kind: str, read: dict[str, Any], config: dict[str, Any]) -> nn.Module:
    """Build the network without allocating weights, which come from the file."""
    spec = KINDS[kind]
    given = {key: value for key, value in config.items() if key in spec.options or not _wordless(kind, key)}
    if unknown := sorted(set(given) - set(spec.options)):
        raise UserError(f"{kind}: no option {', '.join(unknown)}; its options are {', '.join(spec.options)}")
    try:
        with torch.device("meta"):
            return spec.build(read, given)
    except (ValueError, RuntimeError, ArithmeticError, TypeError) as error:
        raise UserError(
            f"{kind}: no network fits both its tensors ({read}) and the given options ({given}) ({error})"
        ) from error


def _wordless(kind: str, option: str) -> bool:
    """Whether an option concerns words and the kind is a generator that reads no words."""
    return option == "legacy_mask" and (kind == CONTAINER or kind.endswith("-generator"))


def _require_same(kind: str, given: Shapes, wanted: Mapping[str, tuple[int, ...]]) -> None:
    missing = [name for name in wanted if name not in given and not name.endswith(COUNTER)]
    unknown = [name for name in given if name not in wanted]
    misshapen = [
        f"{name} ({_times(given[name])} instead of {_times(wanted[name])})"
        for name in given
        if name in wanted and given[name] != wanted[name]
    ]
    faults = [
        f"{len(names)} {what}: {_listed(names)}"
        for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", misshapen))
        if names
    ]
    if faults:
        raise UserError(f"{kind}: its tensors do not fit. {'; '.join(faults)}. {_remedy(kind, given, wanted)}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _remedy(kind: str, given: Shapes, wanted: Mapping[str, tuple[int, ...]]) -> str:
    """Hint about the most likely cause."""
    if found := twice_stripped(given):
        return found[0].upper() + found[1:]
    if all(name.startswith(PREFIX) for name in given):
        return f"All names begin with {PREFIX!r} twice: take one of them off"
    if any(PREFIX in name for name in wanted) and not any(PREFIX in name for name in given):
        return f"{PREFIX!r} was taken out of the middle of names, where it belongs: give the file as it is"
    likely = likely_kind(given)
    if likely not in (None, kind):
        return f"The file looks like {likely}: take it as that"
    return "Give the file as the original code saved it"


def _look_at_values(kind: str, tensors: Mapping[str, Tensor]) -> None:
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise UserError(f"{kind}: not all numbers are finite in {_listed(broken)}; take an earlier or another copy")
    flat = [name for name, tensor in tensors.items() if name.endswith("running_var") and not (tensor > 0).all()]
    if flat:
        warnings.warn(f"{kind}: a variance is zero or negative in {_listed(flat)}", stacklevel=3)


def _released_form(module: nn.Module) -> OfficialForm:
    """The form in which the original code saves a network."""
    kind = _kind_of_network(module)
    names = official_names(kind, module)
    if kind == CONTAINER:
        prefixes = {name.partition(".")[0]: KINDS[kind].prefix for name in names}
        return OfficialForm(kind, names, prefixes, {"model": None})
    return OfficialForm(kind, names, {"": KINDS[kind].prefix})


def _kind_of_network(module: nn.Module) -> str:
    what = type(module).__name__
    if isinstance(module, DFGANGenerator) or (isinstance(module, OneWayDiscriminator) and _widest(module) == 8):
        raise UserError(
            f"{what}: DF-GAN's networks are released together; "
            "give t2igan.interop.DFGANNetworks(generator, discriminator)"
        )
    if isinstance(module, AttnGANGenerator) and len(module.to_image) <= len(module.stages):
        return "attndcgan-generator"
    for kind, spec in KINDS.items():
        if type(module) is spec.network:
            return kind
    raise UserError(f"{what}: the original code has no such network; it has {', '.join(KINDS)}")


def _widest(discriminator: OneWayDiscriminator) -> int:
    return config_of(discriminator)["init_args"]["widest"]
