"""Find a Python that will also be there inside a sandbox, which shows only `/usr`."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Interpreter:
    """How `python3` gets onto the PATH of a sandbox."""

    executable: Path | None = None
    """What a link called `python3` must point to; None when `/usr` has one on the PATH."""
    tree: Path | None = None
    """Folder of the host to mount read-only at its own path, when it is outside `/usr`."""


def find_interpreter(
    usr: Path = Path("/usr"), base_prefix: Path = Path(sys.base_prefix)
) -> Interpreter | None:
    """Return the system's Python, else the one that runs this server, else None."""
    for folder in (usr / "bin", usr / "local" / "bin"):
        found = folder / "python3"
        if os.access(found, os.X_OK) and found.resolve().is_relative_to(usr.resolve()):
            return Interpreter()
    tree = base_prefix.resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("python3", version, "python"):
        executable = tree / "bin" / name
        if os.access(executable, os.X_OK) and executable.resolve().is_relative_to(tree):
            outside = not tree.is_relative_to(usr.resolve())
            return Interpreter(executable=executable, tree=tree if outside else None)
    return None
