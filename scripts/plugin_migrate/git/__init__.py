"""Git, asked by commands that write: what it carries, and what its history holds."""
