"""The journal: SQLite in WAL mode with full synchronization, one writer, any number of readers."""
