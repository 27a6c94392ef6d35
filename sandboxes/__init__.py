"""Where untrusted code runs: one port, one file per backend."""
