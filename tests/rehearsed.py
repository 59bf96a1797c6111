"""Verifying migrations of a project in a test."""

from plugin_migrate.rehearsal.verify import Verified, verify
from plugin_migrate.version import Version
from project import Project


def verified(project: Project, *versions: str, **options: bool) -> dict[str, Verified]:
    """Return what `verify` found, by version."""
    parsed = [Version.parse(version) for version in versions]
    return {str(item.version): item for item in verify(project.workspace(), parsed, **options)}
