"""Who gets tasks worked on: the `Engine` port and what it is made of."""

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from app.db.records import Claim, Turn


class Engine(Protocol):
    """Gets queued turns worked on at least once; the tables say what came of them."""

    @property
    def running(self) -> bool:
        """Whether this process takes turns."""
        ...

    async def start(self) -> None:
        """Begin to work."""
        ...

    async def stop(self, drain_s: float) -> None:
        """Take nothing new, let what runs go on for `drain_s`, then hand it over."""
        ...

    def enqueue(self, connection: Connection, turn: Turn) -> None:
        """Queue a turn in the transaction that makes it; call `submit` after the commit."""
        ...

    async def submit(self, task_id: str) -> None:
        """Tell those who follow the task: it was queued."""
        ...

    async def cancel(self, task_id: str) -> None:
        """Stop at once what this process does for the task: it was cancelled or paused."""
        ...

    async def recover(self) -> int:
        """Put back what dead processes held and return how many tasks that were."""
        ...


class Worker(Protocol):
    """Does the work of one claim."""

    async def work(self, claim: Claim) -> None:
        """Work until the claim is settled; being cancelled means to stop at once."""
        ...


@dataclass(frozen=True)
class EngineConfig:
    """How a process works on turns."""

    concurrency: int = 4
    """Tasks run at once; as many again are learned from."""
    namespace_concurrency: int | None = None
    """Tasks of one namespace run at once by all processes together; None for no bound."""
    poll_s: float = 0.5
    """How soon a turn that another process queued, or a task that it cancelled, is noticed."""
    sweep_s: float = 1.0
    """How soon a dead process is noticed."""
    repair_s: float = 30.0
    """How often it is checked that every task that waits has its turn in the queue."""
