"""The commands of the package, which are the programs `tied` and `tied-convert` in its folder bin."""

import os
import sys
from typing import NoReturn


def _run(name: str) -> NoReturn:
    os.execv(os.path.join(os.path.dirname(__file__), "bin", name), [name, *sys.argv[1:]])


def tied() -> NoReturn:
    _run("tied")


def tied_convert() -> NoReturn:
    _run("tied-convert")
