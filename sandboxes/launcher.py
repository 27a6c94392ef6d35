"""Start bubblewrap as an unprivileged user, inside its control group.

Run by root, bubblewrap leaves the sandbox with the power of uid 0 over files of the host,
so root drops to a dedicated user first. That user cannot walk through the folders above a
workspace, so root shows the workspace to it in a private mount namespace.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandboxes.base import SandboxUnavailableError

_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SLOTS = Path("/run/strop-sandbox")
_SCRIPT = """
while [ "$1" != -- ]; do echo 0 >"$1"; shift; done; shift
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift
exec "$@"
"""


def find_program(name: str) -> str | None:
    """Return the path of a program of the host, whatever the PATH of this process."""
    return shutil.which(name, path=_SEARCH)


@dataclass(frozen=True, slots=True)
class Launcher:
    """Builds what stands before bubblewrap on the command line."""

    user: int | None
    """The user to drop to; None keeps the server's own, which is not root."""

    def see(self, name: str, path: Path) -> tuple[str, list[str]]:
        """Return where `path` will be seen, and the mount that brings it there."""
        if self.user is None:
            return str(path), []
        slot = str(_SLOTS / name)
        return slot, [str(path), slot]

    def prefix(self, doors: Sequence[Path], mounts: Sequence[str]) -> list[str]:
        """Return the command that takes bubblewrap's as its last arguments."""
        script = ["/bin/sh", "-ec", _SCRIPT, "sh", *map(str, doors), "--", *mounts, "--"]
        if self.user is None:
            return script if doors else []
        identity = str(self.user)
        drop = ["setpriv", "--reuid", identity, "--regid", identity, "--clear-groups", "--"]
        return ["unshare", "--mount", "--propagation", "private", "--", *script, *drop]


def make_launcher(user: int) -> Launcher:
    """Return a launcher that drops to `user` if this process is root.

    Raises:
        SandboxUnavailableError: this root cannot drop, or a program is missing.
    """
    if os.geteuid() != 0:
        return Launcher(user=None)
    for program in ("setpriv", "unshare", "mount"):
        if find_program(program) is None:
            msg = f"the server runs as root and needs {program!r} to drop to an ordinary user;"
            raise SandboxUnavailableError(f"{msg} install util-linux, or do not run it as root")
    try:
        for name in ("work", "python"):
            (_SLOTS / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        _SLOTS.chmod(0o755)
    except OSError as error:
        msg = f"the server runs as root and needs the folder {_SLOTS} ({error.strerror});"
        raise SandboxUnavailableError(f"{msg} make it, or do not run the server as root") from error
    return Launcher(user=user)
