"""What agents can do: the Tool port and the built-in tools."""
