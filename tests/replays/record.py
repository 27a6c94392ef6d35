"""Record a case against any OpenAI-compatible server, for instance a person at a console.

python -m tests.replays.record CASE --base-url http://127.0.0.1:8099/v1 [--model NAME]
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from models.base import Feature, Model, ModelInfo, OnText
from models.litellm_gateway import LiteLLMModel
from models.messages import Reply, Request
from models.recording import RecordingModel
from tests.replays.cases import CASES, Case
from tests.replays.harness import pages, play

RECORDINGS = Path(__file__).parent / "recordings"
_FEATURES: frozenset[Feature] = frozenset({"chat", "tools", "json_schema"})


@dataclass(frozen=True)
class PatientModel:
    """Give the model inside an hour for each answer: a person reads slowly."""

    model: Model

    @property
    def info(self) -> ModelInfo:
        """What is known about the model inside."""
        return self.model.info

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Return the model's turn."""
        patient = request.model_copy(update={"timeout_s": 3600.0})
        return await self.model.complete(patient, on_text=on_text)


async def record(name: str, case: Case, base_url: str, model: str) -> int:
    """Play the case and keep what the model was asked and said."""
    info = ModelInfo(name=model, model_id=f"openai/{model}", features=_FEATURES)
    RECORDINGS.mkdir(exist_ok=True)
    target = RECORDINGS / f"{name}.jsonl"
    target.unlink(missing_ok=True)
    inner = PatientModel(LiteLLMModel(info, api_base=base_url, api_key="none"))
    with tempfile.TemporaryDirectory() as folder, pages(case):
        played = await play(case, RecordingModel(inner, target), Path(folder))
    for step in played.recorder.steps:
        tools = ", ".join(call.tool for call in step.calls)
        sys.stdout.write(f"step {step.n}: {tools}: {step.outcome} {step.feedback}\n")
    sys.stdout.write(f"{played.end.model_dump_json(indent=1)}\n")
    sys.stdout.write(f"learned: {played.memory.proposals}\n")
    return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("case", choices=sorted(CASES))
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", default="reader")
    args = parser.parse_args()
    return asyncio.run(record(args.case, CASES[args.case], args.base_url, args.model))


if __name__ == "__main__":
    raise SystemExit(main())
