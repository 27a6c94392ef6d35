"""What a probe makes of the answer of its own script, which ran inside a sandbox."""

import json
from collections.abc import Collection

from sandboxes.base import ExecResult


def not_held(result: ExecResult, skipped: Collection[str] = ()) -> list[str]:
    """Return the names in a script's JSON answer that are not true, but for those `skipped`."""
    if not result.ok:
        told = result.stderr.decode(errors="replace").strip()[-500:]
        return [f"a working python3 ({result.outcome}, exit code {result.exit_code}: {told})"]
    try:
        held = json.loads(result.stdout)
    except ValueError:
        return ["a readable answer"]
    return [name for name, holds in held.items() if holds is not True and name not in skipped]
