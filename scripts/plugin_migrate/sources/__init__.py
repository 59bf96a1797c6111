"""Plugins that ship migrations: which are there, and what each needs."""
