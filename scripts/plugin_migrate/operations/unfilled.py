"""Templates that nobody has filled in: applying one would make it a version that is no change."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import Call, TemplateUnfilled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.prepare import Prepared

_REQUEST = "fill in"


def refuse_unfilled(steps: Iterable[Prepared]) -> None:
    """Refuse to apply a migration that still asks its reader to fill it in.

    The rule is the lint's ``placeholder``, so that its allowances hold here too.

    Raises:
        TemplateUnfilled: names the first line that asks.
    """
    for prepared in steps:
        text = prepared.migration.text or ""
        # Almost no file has the words, and the lint takes longer than the step.
        if prepared.direction == "up" and _REQUEST in text.lower():
            _refuse(prepared)


def _refuse(prepared: Prepared) -> None:
    from ..lint import lint

    for finding in lint(prepared.migration):
        if finding.code == "placeholder":
            raise TemplateUnfilled(
                f"{prepared.version} is a template that nobody has filled in",
                file=finding.file,
                line=finding.line,
                hint=(
                    "Do what the comment says and delete it, then run: ",
                    Call("verify", str(prepared.version)),
                ),
            )
