"""Files and SQLite databases: reading without a trace, writing without a loss."""
