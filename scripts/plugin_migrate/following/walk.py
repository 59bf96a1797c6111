"""Running steps on a shadow one after the other, each with the files that it needs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from ..engine.engine import Engine
from ..report import Reporter, StepResult
from .files import Chooser, Tree
from .shadow import Noted, Shadow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.prepare import Prepared
    from ..plan import KnownRecord
    from ..sandbox.signals import Signals
    from ..storage.live_database import LiveDatabase
    from ..way_back.keeper import WayBackKeeper

# Makes a walk on a shadow that is like another.
NewWalk = Callable[[Shadow], "Walk"]


class Walk:
    """One way through a shadow.

    Parameters:
        shadow: where the steps run.
        chooser: finds the files of each.
        done_by: who runs this, for the ledger.
        signals: requests to stop.
        ways_back: keeps in the live state what takes back those steps that no down takes back.

    ``noted`` is what the steps have changed so far.
    """

    def __init__(
        self,
        shadow: Shadow,
        chooser: Chooser,
        done_by: str,
        signals: Signals,
        ways_back: WayBackKeeper,
    ) -> None:
        self.shadow = shadow
        self.noted = Noted()
        self._chooser = chooser
        self._done_by = done_by
        self._signals = signals
        self._ways_back = ways_back
        self._tree: Tree | None = None

    def begin(self, state: LiveDatabase) -> None:
        """Take our half of the state as it is here now; git's files stay those of the last step.

        Raises:
            StateUnreadable, Busy: something cannot be read.
        """
        self.noted = Noted()
        self.shadow.take_ours(state)

    def lose_its_way(self) -> None:
        """Have the next step get files of its own: what a failed one left of them is unknown."""
        self._tree = None

    def run(
        self, prepared: Prepared, record: KnownRecord, reporter: Reporter | None = None
    ) -> StepResult:
        """Run a step on the files that it needs.

        Parameters:
            record: the step's.

        Raises:
            HistoryLacksTree: the files cannot be found.
            StepFailed and other MigrateErrors: as for the engine.
        """
        workspace = self.shadow.workspace
        tree = self._chooser.tree_for(prepared, record, self._tree, workspace.claude)
        if tree is not self._tree:
            is_here = tree.commit is None
            self.shadow.take_files(
                None if is_here else lambda claude: self._chooser.write(tree, prepared, claude)
            )
            self._tree = tree
        told = reporter or Reporter()
        known = (workspace, self._done_by, self._signals, told, self.noted, self._ways_back)
        with closing(Engine(*known)) as engine:
            (result,) = engine.execute([prepared])
        return result
