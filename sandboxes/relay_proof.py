"""Prove that a sandbox's commands are connected as they should be, through the real relay."""

import asyncio

from sandboxes.base import Address, ExecResult, Network, Sandbox, SandboxError

PROOF_NETWORK = Network(mode="allowlist", domains=("listed.invalid",))
"""Nothing that exists; the proof is that the proxy is reached and refuses."""
_PORT = 8000
_PATIENCE_S = 10.0
_PAUSE_S = 0.01
_REFUSED = b"HTTP/1.1 403 "

# Asks the proxy for what is not listed, and tells whoever then comes in by the exposed port.
_ASK = f"""
import socket
listening = socket.create_server(("127.0.0.1", {_PORT}))
listening.settimeout({_PATIENCE_S})
proxy = socket.create_connection(("127.0.0.1", 3128), {_PATIENCE_S})
proxy.sendall(b"GET http://refused.invalid/ HTTP/1.1\\r\\n\\r\\n")
answer = proxy.recv(100)
listening.accept()[0].sendall(answer)
"""


async def is_connected(place: Sandbox) -> bool:
    """Tell whether a sandbox under `PROOF_NETWORK` reaches its proxy and exposes a port."""
    try:
        async with (
            asyncio.timeout(_PATIENCE_S),
            await place.start(["python3", "-I", "-c", _ASK], ports=[_PORT]) as process,
        ):
            ended = asyncio.create_task(process.wait())
            try:
                return await _answers(process.address(_PORT), ended)
            finally:
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)
    except (SandboxError, OSError):
        return False


async def _answers(address: Address, ended: asyncio.Task[ExecResult]) -> bool:
    while not ended.done():
        if (await _heard(address)).startswith(_REFUSED):
            return True
        await asyncio.sleep(_PAUSE_S)
    return False


async def _heard(address: Address) -> bytes:
    """Return what an exposed port says; nothing while nobody listens there yet."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        return await reader.read(len(_REFUSED))
    except ConnectionError:
        return b""
    finally:
        writer.close()
