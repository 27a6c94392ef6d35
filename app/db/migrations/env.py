"""Alembic's entry: run the scripts on the connection that `app.db.migrate` hands over."""

from alembic import context

from app.db.migrate import compared, targets

_CONNECTION = context.config.attributes["connection"]

context.configure(
    connection=_CONNECTION,
    target_metadata=targets(),
    include_name=compared,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
