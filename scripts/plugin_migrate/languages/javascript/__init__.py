"""TypeScript and JavaScript: reading a file without running it, and running it."""
