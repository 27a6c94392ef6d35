"""What a sandbox may reach: the rules, the addresses, and the proxy that keeps to them."""
