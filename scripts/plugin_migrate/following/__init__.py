"""Bringing the databases to what git brought or took of the files (design, "Following git")."""
