"""Graphs: nodes and edges only."""
