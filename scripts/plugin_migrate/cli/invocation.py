"""One command with its options: which sources it concerns, who runs it, and where results go."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping

from ..errors import NoProject, UnknownPlugin, UsageError
from ..platform import system
from ..workspace import Workspace, locate
from .output import Output, style_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import TextIO

    from ..errors import MigrateError
    from ..render.style import Style
    from ..sources.attention import Attention
    from ..sources.departed import Departed
    from ..sources.installed import Plugin


# What takes several sources at once.
_OF_SEVERAL = frozenset({"upgrade", "downgrade", "status", "check", "history"})
_OF_NO_SOURCE = frozenset({"init-plugin", "help", "completion"})
_NOT_KEPT = "What a migration imports comes with its plugin, not from the ledger."


class Invocation:
    """What the function of a command works with.

    ``options`` are the parsed command line, ``environment`` the process's environment variables;
    results go to ``output``. A table may show ``most_rows`` migrations; all when ``None``.

    ``--user`` alone stands for the one plugin whose state is in the user's folder, and with
    several for all of them.

    Raises:
        UnknownPlugin, UsageError: ``--user`` stands for none, or the command wants one of several.
    """

    def __init__(
        self,
        options: Namespace,
        environment: Mapping[str, str],
        output: Output,
        most_rows: int | None = None,
    ) -> None:
        self.options = options
        self.environment = environment
        self.output = output
        self.most_rows = most_rows
        self._departed: dict[str | None, Departed] = {}
        if options.user and self.chooses_none and options.command not in _OF_NO_SOURCE:
            self._choose_users()

    def workspace(self, create: bool = False) -> Workspace:
        """Return the one workspace that the options choose.

        Parameters:
            create: whether a named project may still lack its ``.claude/``.

        Raises:
            MigrateError: there is no such project or plugin.
        """
        if self.chooses_none:
            return self._locate(create)
        workspace, option = self._chosen(self.own(create))
        self.output.of_source(workspace.source, option)
        return workspace

    def own(self, create: bool = False) -> Workspace:
        """Return the project's own workspace, beside which plugins ship theirs.

        What is done for the user needs no project.
        """
        if self.options.database or self.options.migrations:
            raise UsageError(
                "--database and --migrations name the project's own, not a plugin's",
                hint="Leave them out with --plugin, --plugin-dir and --all.",
            )
        try:
            return self._locate(create)
        except NoProject:
            if not self.options.user:
                raise
            return self._users()

    def _users(self) -> Workspace:
        """Return what the plugins have in common whose state is in the user's folder."""
        from ..sources.installed import users_folder
        from ..workspace import users_workspace

        return users_workspace(users_folder(self.environment))

    def workspace_to_repair(self) -> Workspace:
        """Return the one workspace that the options choose, also of a plugin that is gone.

        What a killed command left of it stops every source until somebody decides.

        Raises:
            MigrateError: there is no such project or plugin.
        """
        try:
            return self.workspace()
        except UnknownPlugin:
            from ..storage.unfinished import left_by

            left = left_by(self.own(), self.options.plugin) if self.options.plugin else None
            if left is None:
                raise
        self.output.of_source(left.source, f"--plugin {left.source}")
        return left

    @property
    def chooses_none(self) -> bool:
        """Whether no plugin was named."""
        return not self.options.plugin and not self.options.plugin_dir

    def attention_of_plugins(self, workspace: Workspace) -> tuple[Attention, ...]:
        """Return what plugins have to tell beside the status of one source.

        Beside the project's own that is what concerns the others; beside a plugin's, that it went
        away.
        """
        options = self.options
        if workspace.source is not None:
            gone = self._departed.get(workspace.source)
            if gone is None:
                return ()
            from ..sources.attention import attention_of_departed

            return (attention_of_departed(gone),)
        if options.all or options.database or options.migrations:
            return ()
        if not _may_have_plugins(self.environment) and not os.path.isdir(workspace.sources):
            return ()
        from ..sources.attention import attention_of_departed, attention_of_plugins

        attention = attention_of_plugins(workspace, self.plugins(workspace))
        return (*attention, *map(attention_of_departed, self.departed(workspace)))

    def plugins(self, own: Workspace) -> tuple[Plugin, ...]:
        """Return the enabled plugins that ship migrations, with ``--user`` for that folder."""
        from ..sources.shipped import is_users, require_opt_in, shipping_plugins

        folders = self.options.plugin_dir or ()
        for folder in folders:
            require_opt_in(folder)
        plugins = shipping_plugins(own, self.environment, folders)
        return tuple(filter(is_users, plugins)) if self.options.user else plugins

    def _choose_users(self) -> None:
        options = self.options
        own = self.own()
        names = [plugin.name for plugin in self.plugins(own)]
        names += [str(gone.workspace.source) for gone in self.departed(own)]
        if not names:
            raise UnknownPlugin(
                "No enabled plugin has migrations for the user's own folder",
                hint="A plugin says so in its migrations/plugin-migrate.yaml: scope: user",
            )
        if len(names) == 1:
            options.plugin = names[0]
        elif options.command in _OF_SEVERAL:
            options.all = True
        elif options.command != "sync":
            raise UsageError(
                f"Which of these plugins? {', '.join(names)}", hint="Say it with --plugin NAME."
            )

    def departed(self, own: Workspace) -> tuple[Departed, ...]:
        """Return the plugins that left state here, if the command can do with that alone."""
        from ..sources.departed import COMMANDS, departed

        if self.options.command not in COMMANDS:
            return ()
        present = {plugin.name for plugin in self.plugins(own)}
        # In the user's folder those of other projects are too, which are no news here.
        where = self._users() if self.options.user else own
        found = tuple(departed(where, self.environment, present))
        self._departed |= {one.workspace.source: one for one in found}
        return found

    def add_way_back(self, workspace: Workspace, error: MigrateError) -> None:
        """Tell of a stored source that failed what else there is, if its plugin went away."""
        gone = self._departed.get(workspace.source)
        if gone is not None and not error.advice:
            error.advice = (f"{_NOT_KEPT} {gone.absence.way_back}, then try again.",)

    def option_for(self, plugin: Plugin) -> str:
        """Return the option that names a plugin in the calls we propose."""
        import shlex

        for folder in self.options.plugin_dir or ():
            if os.path.realpath(folder) == os.path.realpath(plugin.root):
                return f"--plugin-dir {shlex.quote(system.slashed(folder))}"
        return f"--plugin {plugin.name}"

    @property
    def aside(self) -> TextIO:
        """Where progress goes, and what migrations log: with ``--quiet`` nowhere."""
        return io.StringIO() if self.options.quiet else sys.stderr

    @property
    def style_aside(self) -> Style:
        """How that looks."""
        return style_of(sys.stderr, self.environment)

    @property
    def done_by(self) -> str:
        """Who runs this, for the ledger."""
        from ..ledger.identity import who

        return who(self.environment)

    def lock_timeout(self, workspace: Workspace) -> float:
        """Return how long to wait for another run, in seconds."""
        given = self.options.lock_timeout
        return float(workspace.config.lock_timeout if given is None else given)

    def _locate(self, create: bool) -> Workspace:
        options = self.options
        return locate(
            options.project, options.database, options.migrations, self.environment, create
        )

    def _chosen(self, own: Workspace) -> tuple[Workspace, str]:
        from ..sources.shipped import choose, workspace_of

        plugins = self.plugins(own)
        if not self.options.plugin:
            plugin = self._in_folder(plugins)
            return workspace_of(own, plugin), self.option_for(plugin)
        try:
            plugin = choose(plugins, self.options.plugin)
        except UnknownPlugin as error:
            name = self.options.plugin.partition("@")[0]
            gone = self._gone(own, name)
            if gone is None:
                self._say_why(own, name, error)
                raise
            return gone.workspace, f"--plugin {gone.workspace.source}"
        return workspace_of(own, plugin), self.option_for(plugin)

    def _gone(self, own: Workspace, name: str) -> Departed | None:
        """Return the plugin ``name`` if it went away and left state here.

        Raises:
            UnknownPlugin: it did, and the command needs its files.
        """
        from ..sources.departed import COMMANDS, departed_called

        gone = departed_called(own, self.environment, name) or departed_called(
            self._users(), self.environment, name
        )
        if gone is not None and self.options.command not in COMMANDS:
            raise gone.refusal() from None
        if gone is not None:
            self._departed[name] = gone
        return gone

    def _say_why(self, own: Workspace, name: str, error: UnknownPlugin) -> None:
        """Give an error about a plugin that the client knows the reason as its hint."""
        from ..sources.installed import absence_of

        absence = absence_of(own.project, self.environment, name)
        if absence.id is not None:
            error.advice = (f"It {absence.sentence}. {absence.way_back}.",)

    def _in_folder(self, plugins: tuple[Plugin, ...]) -> Plugin:
        """Return the one plugin under development, which need not be named again."""
        folders = self.options.plugin_dir
        if len(folders) > 1:
            raise UsageError("Which of these plugins?", hint="Say it with --plugin NAME.")
        root = os.path.realpath(folders[0])
        for plugin in plugins:
            if os.path.realpath(plugin.root) == root:
                return plugin
        raise UnknownPlugin(
            "That plugin has no name that a folder can have",
            file=root,
            hint="See the name in its .claude-plugin/plugin.json.",
        )


def _may_have_plugins(environment: Mapping[str, str]) -> bool:
    """Return whether it is worth the 4 ms to find out which plugins there are."""
    if environment.get("CLAUDE_CODE_PLUGIN_CACHE_DIR") or environment.get(
        "CLAUDE_CODE_PLUGIN_DIRS"
    ):
        return True
    folder = environment.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude")
    return any(os.path.isdir(os.path.join(folder, name)) for name in ("plugins", "skills"))
