"""Run by Alembic: upgrade over the connection that the store has open."""

from alembic import context

from enthesis.evidence.migrations import VERSION_TABLE

# Outside Alembic the context has no configuration: whoever imports every module of the package may import this one.
if hasattr(context, "config"):
    context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
    context.run_migrations()
