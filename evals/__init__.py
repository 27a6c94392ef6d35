"""Measure the runtime from outside: it is read here and never reads this."""
