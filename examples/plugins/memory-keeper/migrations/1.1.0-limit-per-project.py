"""Say in the settings what the number limits."""

description = "Rename the setting max to max_notes"
metadata = {
    "author": "memory-keeper",
    "created_at": "2026-11-22T11:00:00Z",
    "tags": ["plugin"],
}

SETTINGS = "memory-keeper.local.md"


def up(ctx):
    _rename(ctx, "max", "max_notes")


def down(ctx):
    _rename(ctx, "max_notes", "max")


def _rename(ctx, old, new):
    if not (ctx.claude / SETTINGS).exists():
        return  # nobody has changed a setting in this project
    with ctx.edit_front_matter(SETTINGS) as settings:
        if old in settings:
            settings.rename(old, new)
