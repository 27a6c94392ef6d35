"""What sandboxes have in common whose workspace is a folder of this host."""

from collections.abc import Mapping, Sequence

from sandboxes.base import ExecResult, Limits, Process, SandboxSpec
from sandboxes.command import communicate
from sandboxes.files import Workspace
from sandboxes.running import Running
from sandboxes.secrets import Blot, resolve
from sandboxes.workspace_files import HostFiles


class HostSandbox(HostFiles):
    """Files by `HostFiles`, and `exec` by the `start` that each backend has."""

    def __init__(self, workspace: Workspace, running: Running, spec: SandboxSpec) -> None:
        """Use `workspace` for as long as `running` is open, as `spec` says."""
        super().__init__(workspace, running)
        self._spec = spec

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> ExecResult:
        """Run `argv` in `/work`; cancelling the caller kills the whole tree.

        Raises:
            SandboxError: the sandbox failed; a failing command is a result.
            ValueError: `argv` or `env` cannot be passed to a program.
        """
        return await communicate(await self.start(argv, env=env, limits=limits), stdin)

    async def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        ports: Sequence[int] = (),
    ) -> Process:
        """Start `argv` in `/work`; each backend says how."""
        raise NotImplementedError

    def _environment(self, env: Mapping[str, str] | None) -> dict[str, str]:
        """Return what a command is given, secrets included, which are blotted out from now on."""
        secrets = resolve(self._spec.secrets)
        self._blot = Blot(secrets)
        return {**self._spec.env, **secrets, **(env or {})}
