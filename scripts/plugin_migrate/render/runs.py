"""What an upgrade or a downgrade did, would do, or why it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..plan import HALVES
from .errors import error_text
from .style import Style, indented, one_line, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.prepare import Prepared
    from ..operations.migrate import DryRun, Run
    from ..plan import Plan
    from ..report import StepResult
    from ..survey import Survey


_UNCHANGED = "Nothing was changed."


def run_text(run: Run, style: Style, is_named: bool = False) -> str:
    """Return what an upgrade or a downgrade did; a failure is shown by :func:`error_text`.

    Parameters:
        is_named: the reader has seen a line for each migration already.
    """
    if not run.results and run.error is None:
        return _nothing_to_do(run.survey, run.plan, style)
    if not run.results:
        return ""
    count = len(run.results)
    tick = style.paint("green", "✓")
    if run.plan.direction == "up":
        first = f"{tick} Applied {count} migration(s) in {run.duration:.1f}s"
    else:
        first = f"{tick} Rolled back {count} migration(s)"
    lines = [first]
    lines += [
        f"  • {result.version} - {one_line(result.description)}{_where(result)}"
        for result in (() if is_named else run.results)
    ]
    lines += _run_remarks(run)
    return "\n".join(lines + _passed_over(run.survey, run.plan))


def _where(result: StepResult) -> str:
    half = "brought" if result.direction == "up" else "took back"
    said = []
    if result.is_half:
        said.append(f"the database only: git {half} its files")
    if result.from_ledger:
        said.append("from the stored source: its file is gone")
    return f" ({'; '.join(said)})" if said else ""


def _run_remarks(run: Run) -> list[str]:
    lines = []
    if run.plan.direction == "down" and run.error is None:
        took = f"to version {run.plan.target}" if run.plan.target else _steps(run.plan.limit or 1)
        lines += ["", f"Downgraded {took}. Current version: {run.current or 'none'}"]
    done = {result.version for result in run.results}
    late = [str(version) for version in run.plan.out_of_order if version in done]
    if late:
        lines += ["", f"Applied out of order, below the version before: {', '.join(late)}"]
    return lines


def _passed_over(survey: Survey, plan: Plan) -> list[str]:
    if plan.direction == "down" or not survey.misnamed:
        return []
    from .status import misnamed_lines

    return misnamed_lines(survey.misnamed)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _nothing_to_do(survey: Survey, plan: Plan, style: Style) -> str:
    tick = style.paint("green", "✓")
    current = f"  Current version: {survey.current or 'none'}"
    if plan.direction == "down":
        what = f" above {plan.target}" if plan.target and survey.current else ""
        return f"{tick} Nothing to roll back{what}\n{current}"
    if not survey.entries:
        from .status import no_migrations

        return f"{tick} No pending migrations\n{current}\n  " + no_migrations(survey, style)
    if plan.beyond:
        rest = f"  {plan.beyond} pending above {plan.target}"
        lines = [f"{tick} No pending migrations up to {plan.target}", current, rest]
    else:
        lines = [f"{tick} No pending migrations", current, "  All migrations up to date"]
    return "\n".join(lines + _passed_over(survey, plan))


def run_json(run: Run) -> dict[str, object]:
    """Return the keys of the ``upgrade`` and ``downgrade`` documents."""
    document: dict[str, object] = {
        "steps": [
            {
                "version": str(result.version),
                "description": result.description,
                "direction": result.direction,
                "duration_ms": result.duration_ms,
                "from_stored_source": result.from_ledger,
                "database_only": result.is_half,
            }
            for result in run.results
        ],
        "current_version": str(run.current) if run.current else None,
        "target": str(run.plan.target) if run.plan.target else None,
        "count": run.plan.limit,
        "out_of_order": [str(version) for version in run.plan.out_of_order],
    }
    document |= _misnamed_json(run.survey, run.plan)
    if run.failed is not None:
        document["failed"] = {
            "version": str(run.failed.version),
            "description": run.failed.description,
            "direction": run.failed.direction,
        }
    return document


def runs_text(done: Sequence[Run], style: Style, is_named: bool = False) -> str:
    """Return what the runs of one command did: a redo rolls back, then it upgrades."""
    return "\n\n".join(run_text(run, style, is_named) for run in done)


def runs_json(done: Sequence[Run]) -> dict[str, object]:
    """Return the keys of one command's document: the steps of all its runs in their order."""
    document = run_json(done[-1])
    steps = [step for run in done for step in _steps_in(run_json(run))]
    return document | {"steps": steps, "count": done[0].plan.limit}


def _steps_in(document: dict[str, object]) -> list[object]:
    steps = document["steps"]
    assert isinstance(steps, list)
    return steps


def redo_dry_run_text(planned: tuple[DryRun, DryRun], style: Style, with_sources: bool) -> str:
    """Return the plan of a redo for people."""
    back, forth = (dry_run_text(one, style, with_sources) for one in planned)
    if not planned[0].prepared:
        return back
    return back.removesuffix(f"\n\n{_UNCHANGED}") + f"\n{forth}"


def redo_dry_run_json(planned: tuple[DryRun, DryRun], with_sources: bool) -> dict[str, object]:
    """Return the keys of the document about the plan of a redo."""
    back, forth = (dry_run_json(one, with_sources) for one in planned)
    steps = [*_steps_in(back), *_steps_in(forth)]
    return back | {"steps": steps}


def in_step_text(style: Style) -> str:
    """Return that a sync found nothing to do."""
    return f"{style.paint('green', '✓')} In step with the installed plugin: nothing to do"


def in_step_json() -> dict[str, object]:
    """Return the keys of a sync's document that tell the same."""
    return {"steps": []}


def dry_run_text(dry_run: DryRun, style: Style, with_sources: bool) -> str:
    """Return the plan of a dry run for people."""
    if not dry_run.prepared:
        return _nothing_to_do(dry_run.survey, dry_run.plan, style)
    verb = "apply" if dry_run.plan.direction == "up" else "roll back"
    lines = [f"Dry run: would {verb} {len(dry_run.prepared)} migration(s)"]
    for prepared, is_half in _with_halves(dry_run):
        half = " (the database only)" if is_half else ""
        lines.append(f"  • {prepared.version} - {one_line(prepared.description)}{half}")
        if with_sources:
            lines += ["", *indented(printable(prepared.source)), ""]
    if dry_run.plan.out_of_order:
        late = ", ".join(map(str, dry_run.plan.out_of_order))
        lines.append(f"Out of order, below the current version: {late}")
    lines += _passed_over(dry_run.survey, dry_run.plan)
    lines += ["", _UNCHANGED]
    return "\n".join(lines)


def _with_halves(dry_run: DryRun) -> Iterator[tuple[Prepared, bool]]:
    """Yield each step, and whether it is for the databases only."""
    for step, prepared in zip(dry_run.plan.steps, dry_run.prepared, strict=True):
        yield prepared, step.entry.state in HALVES


def dry_run_json(dry_run: DryRun, with_sources: bool) -> dict[str, object]:
    """Return the keys of a dry run's document: the steps it would take, none of them run."""
    steps = []
    for prepared, is_half in _with_halves(dry_run):
        step: dict[str, object] = {
            "version": str(prepared.version),
            "description": prepared.description,
            "direction": prepared.direction,
            "duration_ms": None,
            "from_stored_source": prepared.from_ledger,
            "database_only": is_half,
        }
        if with_sources:
            step["source"] = prepared.source
        steps.append(step)
    current = dry_run.survey.current
    document: dict[str, object] = {
        "dry_run": True,
        "steps": steps,
        "current_version": str(current) if current else None,
        "target": str(dry_run.plan.target) if dry_run.plan.target else None,
        "count": dry_run.plan.limit,
        "out_of_order": [str(version) for version in dry_run.plan.out_of_order],
    }
    return document | _misnamed_json(dry_run.survey, dry_run.plan)


def _misnamed_json(survey: Survey, plan: Plan) -> dict[str, object]:
    if plan.direction == "down":
        return {}
    return {"misnamed": [one._asdict() for one in survey.misnamed]}


def failure_text(run: Run, shown: Callable[[str], str], style: Style) -> str:
    """Return why a run stopped, what stays, and what to do next."""
    return run_error_text(run, shown, style) + "\n\n" + "\n".join(_next_steps(run, style))


def run_error_text(run: Run, shown: Callable[[str], str], style: Style) -> str:
    """Return why a run stopped, and at which migration."""
    error = run.error
    assert error is not None
    text = error_text(error, shown, style)
    if run.failed is not None and error.code != "needs_repair":
        verb = "apply" if run.plan.direction == "up" else "roll back"
        head = (
            f"{style.paint('red', '✗')} Error: Could not {verb} {run.failed.version} -"
            f" {one_line(run.failed.description)}"
        )
        text = head + "\n" + "\n".join(f"  {line}" for line in _body(text))
    return text


def _body(text: str) -> list[str]:
    first, *rest = text.split("\n")
    return [first.partition("Error: ")[2], *(line[2:] for line in rest)]


def _next_steps(run: Run, style: Style) -> list[str]:
    assert run.error is not None
    count = len(run.results)
    if run.error.code in ("history_lacks_tree", "would_drop_rows"):
        return [f"{_steps(count)} of this run finished before it."]
    if run.error.code == "needs_repair":
        return [f"{_steps(count)} of this run finished before it."]
    if run.plan.direction == "up":
        is_interrupted = run.error.code == "interrupted"
        which = "interrupted" if is_interrupted else "failed"
        lines = [f"The {which} migration was undone completely."]
        if run.failed is not None and not run.failed.action.atomic:
            lines = ["The migration runs outside a transaction: what it did before stays."]
        if count:
            lines.append(
                f"{count} migration(s) applied before it stay; to undo them:"
                f" {style.call('downgrade', str(count))}"
            )
        again = "To go on, run" if is_interrupted else "Fix it, then run"
        return [*lines, f"{again}: {style.call('upgrade')}"]
    lines = []
    if count:
        lines.append(f"Rolled back before it: {count} migration(s), which stay rolled back.")
    if run.failed is not None and run.failed.action.atomic:
        lines.append("The state is as before the failed step; its down may need a fix by hand.")
    else:
        lines.append("The state is left as it is, and manual work may be needed.")
    return lines
