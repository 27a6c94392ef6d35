"""The embedded model: a small deterministic program, not a language model."""

from models.embedded.model import INFO, embedded_model

__all__ = ["INFO", "embedded_model"]
