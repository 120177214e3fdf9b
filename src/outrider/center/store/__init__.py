"""The center's database: schema, migrations, readers, the group-commit writer, the event log, retention."""
