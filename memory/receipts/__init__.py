"""What each learned thing is worth: estimates with their doubt, and the rules that act on them."""
