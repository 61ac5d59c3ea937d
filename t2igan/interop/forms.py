"""The outer form of a released state dict: prefixes, the order of its keys, DF-GAN's container."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from t2igan.errors import UserError

PREFIX = "module."
"""What data parallel puts before every key."""

CONTAINER = "dfgan"
NETS = ("netG", "netD", "netC")


@dataclass
class OfficialForm:
    """The form in which the original code saved a network, so that it can be written the same way.

    Attributes:
        kind: the released network.
        names: tensor in the file, without prefix -> tensor of the suite's network; in the file's order. Tensors of
            the network that the file lacks (batch counters of old PyTorch) are not among them.
        prefixes: what stood before every key: of each network of a container, else of ``""``.
        around: the container's entries, with None in place of the networks; None without a container.
        read: arguments of the network that were read from the tensors.
    """

    kind: str
    names: dict[str, str]
    prefixes: dict[str, str]
    around: dict[str, Any] | None = None
    read: dict[str, Any] = field(default_factory=dict)

    def pack(self, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """Restore the file's content from tensors.

        Args:
            tensors: by their names in the file, without prefix.
        """
        if self.kind != CONTAINER:
            return {self.prefixes[""] + key: tensor for key, tensor in tensors.items()}
        nets: dict[str, dict[str, Tensor]] = {net: {} for net in self.prefixes}
        for key, tensor in tensors.items():
            net, _, name = key.partition(".")
            nets[net][self.prefixes[net] + name] = tensor
        if self.around is None:
            return nets
        return {key: nets if key == "model" else value for key, value in self.around.items()}

    def plain(self) -> dict[str, Any]:
        """The form as plain data for a checkpoint, without other entries of a container (epoch, optimisers)."""
        around = None if self.around is None else {"model": None}
        return {"kind": self.kind, "names": self.names, "prefixes": self.prefixes, "around": around}


def form_of(network: nn.Module) -> OfficialForm | None:
    """The form of the file that a network came from, None for one that was trained here."""
    return vars(network).get("official")


def remember_form(network: nn.Module, form: OfficialForm) -> None:
    """Store the form in the attribute ``official``, where :func:`form_of` finds it."""
    vars(network)["official"] = form


def unpack(kind: str, state: Mapping[str, Any]) -> tuple[dict[str, Any], OfficialForm]:
    """Separate a file's tensors from their form.

    Args:
        kind: the released network.
        state: a state dict; of ``dfgan``, the container.

    Returns:
        Tensors by name, those of a container named ``netG.fc.weight`` and so on; and the form, its names yet empty.

    Raises:
        UserError: the container is invalid.
    """
    if kind != CONTAINER:
        tensors, prefix = without_prefix(state)
        return tensors, OfficialForm(kind, {}, {"": prefix})
    if not is_container(state):
        raise UserError(
            "dfgan: not a container, which is a dict with the entry 'model', which holds netG, netD and netC "
            "(state_epoch_*.pth of the current DF-GAN)"
        )
    around = {key: None if key == "model" else value for key, value in state.items()} if "model" in state else None
    tensors, prefixes = {}, {}
    for net, content in state.get("model", state).items():
        if not isinstance(content, Mapping):
            raise UserError(
                f"dfgan: the entry {net!r} is not a state dict; 'model' holds netG, netD and netC alone"
            )
        named, prefixes[net] = without_prefix(content)
        tensors |= {f"{net}.{key}": value for key, value in named.items()}
    return tensors, OfficialForm(kind, {}, prefixes, around)


def is_container(state: Mapping[str, Any]) -> bool:
    """Whether a file's content is that of the current DF-GAN."""
    nets = state.get("model", state)
    return isinstance(nets, Mapping) and any(net in nets for net in NETS)


def without_prefix(state: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A state dict without the prefix of data parallel, and that prefix, or ``""`` if not every key has it.

    It is taken off once and at the beginning only: DM-GAN has it inside of names.
    """
    if state and all(str(key).startswith(PREFIX) for key in state):
        return {key.removeprefix(PREFIX): value for key, value in state.items()}, PREFIX
    return dict(state), ""
