"""Say why bubblewrap does not work on this machine and what to type."""

from pathlib import Path

_INSTALL = (
    "bubblewrap is not installed; type: apt-get install bubblewrap "
    "(Fedora: dnf install bubblewrap; Arch: pacman -S bubblewrap)"
)
_NOT_LINUX = "bubblewrap needs Linux; choose another sandbox backend"
_APPARMOR = (
    "AppArmor forbids user namespaces to ordinary programs (Ubuntu 23.10 and newer); type:\n"
    "  printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap /usr/bin/bwrap "
    "flags=(unconfined) {\\n  userns,\\n}\\n' | sudo tee /etc/apparmor.d/bwrap\n"
    "  sudo systemctl reload apparmor"
)
_SWITCHED_OFF = {
    "kernel/unprivileged_userns_clone": "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    "user/max_user_namespaces": "sudo sysctl -w user.max_user_namespaces=15000",
}
_CONTAINER = (
    "this looks like a container that may not make namespaces; start it with "
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined "
    "(Docker), or run the server outside it"
)


def explain(failure: str | None, root: Path = Path("/")) -> str:
    """Return cause and remedy; `failure` is what bubblewrap said, None if it is missing."""
    if not (root / "proc/sys/kernel").exists():
        return _NOT_LINUX
    if failure is None:
        return _INSTALL
    return f"{_cause(root)}\nwhat happened: {failure}"


def _cause(root: Path) -> str:
    if _number(root / "proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1:
        return _APPARMOR
    for name, remedy in _SWITCHED_OFF.items():
        if _number(root / "proc/sys" / name) == 0:
            return f"user namespaces are switched off; type: {remedy}"
    if any((root / name).exists() for name in (".dockerenv", "run/.containerenv")):
        return _CONTAINER
    return "bubblewrap is installed but cannot make a sandbox here"


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
