"""Put off modules that our dependencies import at start and hardly ever use.

tabulate imports `dataclasses`, and that imports `inspect` (6 ms) and `copy` (1 ms). `inspect` is
needed where a dataclass is made: always in Python 3.12 and 3.13, else only for one without a
docstring. tabulate also takes `escape` from `html`, which brings 2,231 entities (1.5 ms).
`importlib.util.LazyLoader` is no help: the ``import`` statement itself makes it load, and it costs
3 ms.
"""

from __future__ import annotations

import sys
from _frozen_importlib import module_from_spec
from _thread import RLock
from types import ModuleType

TYPE_CHECKING = False  # importing `typing` for it costs 2 ms
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


def defer(*names: str) -> None:
    """Let ``import name`` do nothing until the module's first attribute is asked for.

    The module object is the one that an ordinary import makes; only running its code is put off.
    Modules that are imported already, or that do not exist, are left alone. ``from name import x``
    asks for an attribute, and so does importing a submodule.
    """
    for name in names:
        spec = None if name in sys.modules else _find(name)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            module = module_from_spec(spec)
            module.__class__ = _Deferred
            sys.modules[name] = module


def defer_call(name: str, function: str) -> None:
    """Defer a module of which ``from name import function`` takes a function at once.

    The function that is taken meanwhile loads the module when it is called.
    """
    defer(name)
    module = sys.modules.get(name)
    if type(module) is _Deferred:

        def stand_in(*arguments: object, **options: object) -> object:
            _load(module)
            return vars(module)[function](*arguments, **options)

        setattr(module, function, stand_in)


def import_untranslated(name: str) -> None:
    """Import a module that takes its texts through `gettext`, and let them stay English.

    argparse does: at every start it would look for catalogues of messages that nobody has, and take
    `locale` along (2 ms). Whoever imports `gettext` afterwards gets the real one.
    """
    plain = ModuleType("gettext")
    plain.gettext = str  # type: ignore[attr-defined]
    plain.ngettext = _plural  # type: ignore[attr-defined]
    _import_with(plain, "gettext", name)


def _plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


def import_with_c_datetime(name: str) -> None:
    """Import a module, such as `sqlite3`, that needs nothing of `datetime` but its classes.

    Before Python 3.12 `datetime` first defines them all in Python and then replaces them by those
    of `_datetime` (1.5 ms). The module gets these at once; they are the same that everybody gets.
    """
    try:
        import _datetime  # type: ignore[import-not-found]
    except ImportError:  # another Python than CPython
        _datetime = None
    if _datetime is None or sys.version_info >= (3, 12):
        __import__(name)
    else:
        _import_with(_datetime, "datetime", name)


def _import_with(stand_in: ModuleType, place: str, name: str) -> None:
    is_free = place not in sys.modules
    if is_free:
        sys.modules[place] = stand_in
    try:
        __import__(name)
    finally:
        if is_free:
            del sys.modules[place]


def _find(name: str) -> ModuleSpec | None:
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None)
        if spec is not None:
            return spec
    return None


_lock = RLock()
_loading: set[str] = set()


class _Deferred(ModuleType):
    """A module whose code has not run yet. Python asks `__getattr__` only for what is missing."""

    def __getattr__(self, attribute: str) -> object:
        # ``from name import x`` asks for it; a package has it before its code runs.
        if attribute != "__path__":
            _load(self)
        return ModuleType.__getattribute__(self, attribute)


def _load(module: ModuleType) -> None:
    with _lock:  # another thread may be running the code: wait for it
        name = module.__name__
        # A circular import reads the half-made module, as in an ordinary import.
        if type(module) is _Deferred and name not in _loading:
            _loading.add(name)
            try:
                _run(module)
            finally:
                _loading.remove(name)


def _run(module: ModuleType) -> None:
    spec = module.__spec__
    assert spec is not None
    assert spec.loader is not None
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(module.__name__, None)  # the next import tries again, and fails by itself
        raise
    module.__class__ = ModuleType
