"""Fixed times for tests."""

from datetime import UTC, datetime

A_MOMENT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
