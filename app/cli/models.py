"""`strop models`: see, find and try models."""

from argparse import Namespace

from app.cli.exits import Exit
from app.cli.text import note, one_line, say, say_json, table
from app.models import ModelDesk
from app.settings import load_settings
from models.discovery import discover as find_servers
from models.probe import probe


async def list_models(args: Namespace) -> int:
    """Print the models that can be named, and the chosen one."""
    desk = ModelDesk(load_settings())
    chosen = await desk.chosen()
    cards = [chosen.info, *(card for card in desk.catalogue() if card.name != chosen.info.name)]
    if args.json:
        say_json({"chosen": chosen.info.name, "reason": chosen.reason, "models": cards})
        return Exit.DONE
    rows = [
        (
            "*" if card.name == chosen.info.name else "",
            card.name,
            f"{card.context_tokens:,}",
            f"${card.usd_per_mtok_in:g} / ${card.usd_per_mtok_out:g}",
            one_line(card.note, 80),
        )
        for card in cards
    ]
    say(table(("", "name", "context", "per million in / out", "note"), rows))
    note(f"* chosen: {chosen.reason}. Any LiteLLM id can be named too.")
    return Exit.DONE


async def discover(args: Namespace) -> int:
    """Print the model servers that answer on this machine."""
    found = await find_servers()
    if args.json:
        say_json(found)
        return Exit.DONE
    rows = [(one.server, one.base_url, ", ".join(one.models)) for one in found]
    empty = "no model server answers here (Ollama, vLLM, llama.cpp, LM Studio, SGLang)"
    say(table(("server", "address", "models"), rows) if rows else empty)
    return Exit.DONE


async def test(args: Namespace) -> int:
    """Try a model and print what it did."""
    desk = ModelDesk(load_settings(model=args.name))
    report = await probe(await desk.get())
    if args.json:
        say_json(report)
    else:
        say(f"{report.model.name} ({report.model.model_id})")
        for check in report.checks:
            tried = f"{check.status:<11} {check.name:<7} {check.seconds:6.2f} s"
            say(f"  {tried}  {one_line(check.detail)}")
        say(f"  used {report.usage.tokens:,} tokens, ${report.usage.usd:.4f}")
    return Exit.DONE if report.ok else Exit.FAILED
