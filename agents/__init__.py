"""Who thinks: the roles, their prompts and the graphs that compose them."""
