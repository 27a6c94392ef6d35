"""The service: settings, wiring, REST, chat page, command line, engine."""
