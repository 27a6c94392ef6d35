"""What runs in the sandbox: these modules' source text is sent there, never imported by it."""
