"""``t2igan demo``: a local web page to try generators interactively."""

import os
import socket
from collections.abc import Sequence

from rich.console import Console

from t2igan.cli.parsing import call
from t2igan.demo.page import build_page
from t2igan.demo.panels import load_panels
from t2igan.errors import UserError
from t2igan.profiling.showing import counted
from t2igan.ranges import Count
from t2igan.zoo import CARD, locate, zoo_names

console = Console()
REPEATED = "--checkpoint"


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan demo`` with the arguments that follow it."""
    call(demo, list(_repeatable(argv)), verb)


def _repeatable(argv: Sequence[str]) -> list[str]:
    """``--checkpoint A --checkpoint B`` in the form in which the parser takes a list."""
    words = [f"{REPEATED}+" if word == REPEATED else word for word in argv]
    return [word.replace(f"{REPEATED}=", f"{REPEATED}+=", 1) for word in words]


def demo(
    *,
    checkpoint: list[str] = [],  # noqa: B006 (the parser copies it)
    zoo: bool = True,
    host: str = "127.0.0.1",
    port: Count = 7860,
    device: str = "auto",
) -> None:
    """Open a local page: several models side by side, with masks, attention, interpolation and sweeps.

    Nothing leaves this machine; needs `pip install "t2igan[demo]"`.

    Args:
        checkpoint: checkpoint of a generator, the folder of its run, or a name of the zoo; may be given several
            times.
        zoo: show the zoo's generators too.
        host: address to listen at; 0.0.0.0 lets other machines in.
        port: port of the page.
        device: auto, cpu, cuda, cuda:1.
    """
    _require_address(host, port)  # fail before models are loaded
    names = [name for name in zoo_names() if zoo and _draws(name)]
    panels = load_panels([*checkpoint, *names], device)
    # Switches off Gradio's analytics and fonts from the internet.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    page = build_page(panels)
    console.print(f"{counted(len(panels.names), 'model')}: {', '.join(panels.names)}", soft_wrap=True, markup=False)
    console.print(f"open http://{host}:{port}, end with Ctrl-C", soft_wrap=True, markup=False)
    page.launch(server_name=host, server_port=port, quiet=True, show_error=True)


def _require_address(host: str, port: int) -> None:
    """Refuse an address that cannot be listened at.

    Raises:
        UserError: another program listens there, or there is no such address.
    """
    try:
        socket.create_server((host, port)).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"--host {host} --port {port}: cannot listen there ({why}): give another --port") from error


def _draws(name: str) -> bool:
    """Whether an entry of the zoo is a generator, judged by the first line of its card."""
    card = locate(name).with_name(CARD)
    return card.is_file() and "GAN" in card.read_text(encoding="utf-8").split("\n", 1)[0]
