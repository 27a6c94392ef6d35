"""`strop serve`: the server with the REST API and the chat page."""

from argparse import Namespace

from app.cli.exits import Exit
from app.cli.text import say_json
from app.serving import run_server
from app.settings import load_settings


def serve(args: Namespace) -> int:
    """Run the server until it is stopped."""
    settings = load_settings(host=args.host, port=args.port)
    if args.json:
        say_json({"host": settings.host, "port": settings.port, "home": str(settings.home_path)})
    run_server(settings)
    return Exit.DONE
