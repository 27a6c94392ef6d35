"""Write tips until killed, printing the id of each after it is acknowledged."""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import make_url

from memory.database import Database, sqlite_engine
from memory.memory import build_memory
from memory.postgres import postgres_engine
from memory.records import Provenance, Tip
from models.embedders.hashing import HashingEmbedder


async def write(folder: Path, name: str, count: int, index: str, url: str) -> None:
    engine = postgres_engine(make_url(url)) if url else sqlite_engine(folder / "strop.db")
    database = Database(engine)
    memory = build_memory(database, HashingEmbedder(), folder=folder, index=index)
    for number in range(count):
        tip = Tip(text=f"Advice {name}{number} of {name}{number}x and {name}{number}y.")
        provenance = Provenance(run_id=f"{name}{number}")
        remembered = await memory.propose(tip, namespace="n", provenance=provenance)
        assert remembered.entry is not None
        sys.stdout.write(f"{remembered.entry.id} {name}{number}\n")
        sys.stdout.flush()
        await memory.maintain()
    database.close()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]))
