"""The command line: `python -m app`, or the launcher `./strop`."""
