"""Commands for who writes migrations: new files, and the proof that they work."""

from __future__ import annotations

from ...errors import UsageError
from ...version import Version
from ..output import print_cause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...workspace import Workspace
    from ..invocation import Invocation


def run_verify(invocation: Invocation) -> int:
    """Rehearse migrations on a copy, and lint them."""
    options = invocation.options
    if options.all and options.versions:
        raise UsageError(
            "--all means every migration, a version one of them", hint="Leave one of the two out."
        )
    if options.all and invocation.chooses_none:
        from ..all_sources import each

        return each(invocation, _show_verified)
    return _show_verified(invocation, invocation.workspace())


def _show_verified(invocation: Invocation, workspace: Workspace) -> int:
    from ...rehearsal.verify import verify
    from ...render import rehearsal
    from ...survey import survey_ahead
    from ..all_sources import refuse_unrehearsable
    from ..output import stdout_kept_clean
    from ..progress import RunProgress

    options = invocation.options
    versions = [Version.parse(text) for text in options.versions]
    if not options.lint_only:
        entries = survey_ahead(workspace).entries
        chosen = [one for one in entries if not versions or one.version in versions]
        refuse_unrehearsable(invocation, workspace, chosen)
    progress = RunProgress(invocation.aside, invocation.style_aside, options.verbose)
    with stdout_kept_clean(), progress:
        verified = verify(workspace, versions, options.all, options.lint_only, progress)
    if options.verbose:
        for item in verified:
            if item.error is not None:
                print_cause(item.error)
    ok = not any(item.has_failed for item in verified)
    invocation.output.result(
        lambda style: rehearsal.verified_text(verified, workspace.shown, style, options.lint_only),
        lambda: rehearsal.verified_json(verified, workspace.shown),
        ok,
    )
    return 0 if ok else 1


def run_create(invocation: Invocation) -> int:
    """Write a new migration file."""
    from ...operations import create
    from ...render.created import created_json, created_text
    from ...survey import survey

    options = invocation.options
    if options.origin is not None:
        return _run_convert(invocation)
    create.require_slug(options.name)
    version = Version.parse(options.version) if options.version is not None else None
    workspace = invocation.workspace(create=True)
    seen = survey(workspace)
    created = create.create(
        workspace,
        seen.entries,
        options.name,
        author=invocation.done_by,
        description=options.description,
        template=options.template or "empty",
        language=options.language or "python",
        version=version,
        bump=options.bump,
        refused=seen.refused,
    )
    lead = "/" if invocation.environment.get("CLAUDECODE") else ""
    invocation.output.result(
        lambda style: created_text(created, workspace, style, lead),
        lambda: created_json(created, workspace),
    )
    return 0


def _run_convert(invocation: Invocation) -> int:
    """Write the migrations of another tool as ours."""
    import os

    from ...operations.create import convert
    from ...render.created import converted_json, converted_text
    from ...survey import survey

    options = invocation.options
    for name in ("description", "template", "language"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"--{name} is for a new migration, and with --from the files say all of that",
                hint="Leave it out.",
            )
    version = Version.parse(options.version) if options.version is not None else None
    workspace = invocation.workspace(create=True)
    folder = os.path.abspath(options.name)
    done = convert(survey(workspace), options.origin, folder, version=version, bump=options.bump)
    lead = "/" if invocation.environment.get("CLAUDECODE") else ""
    invocation.output.result(
        lambda style: converted_text(done, workspace, style, lead),
        lambda: converted_json(done, workspace),
    )
    return 0


def run_init_plugin(invocation: Invocation) -> int:
    """Prepare a plugin that is to ship migrations."""
    import os

    from ...operations.init_plugin import init_plugin
    from ...platform import system
    from ...render.created import plugin_json, plugin_text

    options = invocation.options
    chosen = ("project", "database", "migrations", "plugin", "plugin_dir", "user")
    if any(getattr(options, name) for name in chosen):
        raise UsageError(
            "init-plugin takes the plugin's folder and no other",
            hint="For example: plugin-migrate init-plugin note-keeper",
        )
    prepared = init_plugin(options.folder, system.user_name())
    shown = system.slashed(os.path.relpath(prepared.root))
    invocation.output.result(
        lambda style: plugin_text(prepared, shown, style), lambda: plugin_json(prepared)
    )
    return 0
