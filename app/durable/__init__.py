"""Tasks as durable workflows: DBOS holds the queue, everything that means something is ours."""
