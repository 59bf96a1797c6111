"""Which migrations are applied, and what has happened."""
