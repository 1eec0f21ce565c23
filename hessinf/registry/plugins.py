"""Plugins: packages of users that register names when they are imported.

Four routes lead to one function: entry points in the group ``hessinf.plugins``,
``--include-package``, the files ``.hessinf_plugins`` and ``~/.hessinf/plugins``, and ``include`` in
a config. Nothing is skipped silently, and an error inside a plugin is that plugin's error.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from hessinf.errors import HessinfError
from hessinf.registry.errors import PluginError
from hessinf.registry.suggestions import did_you_mean

ENTRY_POINT_GROUP = "hessinf.plugins"
LOCAL_PLUGINS_FILE = ".hessinf_plugins"
GLOBAL_PLUGINS_FILE = os.path.join("~", ".hessinf", "plugins")


@dataclass(frozen=True)
class Plugin:
    """A plugin that was imported.

    Parameters
    ----------
    name
        The package's name, or the path of a file, as it was given.
    route
        How it came in: ``"--include-package"``, ``"entry point label-similarity"``,
        ``".hessinf_plugins:3"``.
    modules
        Every module that was imported for it.
    registered
        What it registered: ``'Solver "lissa"'``.
    """

    name: str
    route: str
    modules: tuple[str, ...]
    registered: tuple[str, ...] = ()

    @property
    def found_anywhere(self) -> str:
        """The name by which another process finds it, in whatever folder that works.

        The path of a file may have been relative to a config's folder: it becomes absolute.
        """
        module = sys.modules.get(self.modules[0]) if self.modules else None
        file = getattr(module, "__file__", None)
        if file is None or not _looks_like_path(self.name):
            return self.name
        path = Path(file).resolve()
        return str(path.parent if path.name == "__init__.py" else path)


_imported: dict[str, Plugin] = {}
_registered: list[str] = []


def note_registered(what: str) -> None:
    """Note what was registered, so that a plugin can be told what came of it."""
    _registered.append(what)


def imported_plugins() -> tuple[Plugin, ...]:
    """List the plugins imported so far, in order."""
    return tuple(_imported.values())


def plugins_hint() -> str:
    """Say which plugins were imported, and how to import another."""
    plugins = ", ".join(plugin.name for plugin in imported_plugins()) or "none"
    return (
        f"plugins loaded: {plugins}; load one with --include-package PKG, "
        '"include": ["PKG"] in the config, or a line in .hessinf_plugins'
    )


def import_plugins(
    packages: Iterable[str | Path],
    *,
    route: str = "import_plugins",
    base: str | Path | None = None,
) -> tuple[Plugin, ...]:
    """Import packages of users, with all their submodules, so that they register their names.

    Parameters
    ----------
    packages
        Each a module (``"my_package.my_module"``), a package (all its submodules are imported too),
        or a path to a ``.py`` file.
    route
        How they were named; shown in errors.
    base
        The folder that relative paths of files start from, tried before the working directory.

    Returns
    -------
    tuple of Plugin
        One for each package.

    Raises
    ------
    PluginError
        When a package cannot be found, or raises while it is imported.
    """
    if isinstance(packages, str | Path):
        packages = [packages]
    _put_working_directory_on_path()
    return tuple(_import_plugin(os.fspath(package), route, base) for package in packages)


def import_installed_plugins() -> tuple[Plugin, ...]:
    """Import every plugin that an installed package declares in the group ``hessinf.plugins``."""
    import importlib.metadata  # 30 ms, for commands that use plugins only

    plugins = []
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        route = f"entry point {entry_point.name}"
        plugins.append(_import_plugin(entry_point.module, route, None))
    return tuple(plugins)


def import_listed_plugins() -> tuple[Plugin, ...]:
    """Import the plugins listed in ``.hessinf_plugins`` here and in ``~/.hessinf/plugins``.

    One a line; what follows ``#`` is a comment. Both files are read, the local one first.
    """
    plugins = []
    for file in (Path(LOCAL_PLUGINS_FILE), Path(os.path.expanduser(GLOBAL_PLUGINS_FILE))):
        if not file.is_file():
            continue
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PluginError(f"cannot read {file}: {error}") from error
        for number, line in enumerate(lines, start=1):
            package = line.partition("#")[0].strip()
            if package:
                _put_working_directory_on_path()
                plugins.append(_import_plugin(package, f"{file}:{number}", file.parent))
    return tuple(plugins)


def _put_working_directory_on_path() -> None:
    """Let users name packages of the folder that they work in."""
    working_directory = os.getcwd()
    if working_directory not in sys.path:
        sys.path.insert(0, working_directory)


def _import_plugin(package: str, route: str, base: str | Path | None) -> Plugin:
    if not package.strip():
        raise PluginError(f"an empty plugin name (from {route}): expected a package or a .py file")
    file = _find_file(package, base) if _looks_like_path(package) else None
    key = str(file) if file is not None else package
    if key in _imported:
        return _imported[key]
    before = len(_registered)
    if file is not None:
        modules = _import_file(file, package, route)
    elif _looks_like_path(package):
        folders = [os.path.abspath(folder) for folder in (base, os.getcwd()) if folder is not None]
        raise PluginError(
            f'cannot find the plugin file "{package}" (from {route}): expected a .py file, or a '
            f"folder with an __init__.py; looked in: {', '.join(dict.fromkeys(folders))}"
        )
    else:
        modules = _import_package(package, route)
    _imported[key] = Plugin(package, route, tuple(modules), tuple(_registered[before:]))
    return _imported[key]


def _looks_like_path(package: str) -> bool:
    return package.endswith(".py") or os.sep in package or "/" in package


def absolute_name(package: str, base: str | Path | None = None) -> str:
    """Return a plugin's name so that it is found from any folder: paths become absolute."""
    file = _find_file(package, base) if _looks_like_path(package) else None
    if file is None:
        return package
    return str(file.parent if file.name == "__init__.py" else file)


def _find_file(package: str, base: str | Path | None) -> Path | None:
    folders = [Path(base)] if base is not None else []
    for folder in (*folders, Path.cwd()):
        file = (folder / Path(package).expanduser()).resolve()
        if file.is_file():
            return file
        if (file / "__init__.py").is_file():
            return file / "__init__.py"
    return None


def _import_file(file: Path, package: str, route: str) -> list[str]:
    """Import one file, or a package by its folder; under its own name when that is free."""
    import importlib.util

    is_package = file.name == "__init__.py"
    name = re.sub(r"\W", "_", file.parent.name if is_package else file.stem)
    existing = sys.modules.get(name)
    if existing is None:
        known = importlib.util.find_spec(name)
        place = None if known is None else known.origin
        # A mere folder of that name on Python's path, without modules of its own, takes no name.
        is_free = known is None or place is None or os.path.realpath(place) == str(file)
    else:
        is_free = os.path.realpath(getattr(existing, "__file__", None) or "") == str(file)
    if existing is not None and is_free:
        return [name, *_import_submodules(existing, package, route)]
    if not is_free:
        import hashlib

        name = f"{name}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    specification = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(file.parent)] if is_package else None
    )
    if specification is None or specification.loader is None:
        raise PluginError(f'"{package}" (from {route}) is no Python file')
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _plugin_error(package, route, error) from error
    return [name, *_import_submodules(module, package, route)]


def _import_package(package: str, route: str) -> list[str]:
    try:
        exists = module_exists(package)
    except (Exception, SystemExit) as error:
        raise _plugin_error(package, route, error) from error
    if not exists:
        import pkgutil

        folders = [entry for entry in sys.path if os.path.isdir(entry or ".")]
        neighbours = [module.name for module in pkgutil.iter_modules(folders)]
        raise PluginError(
            f'cannot find the plugin "{package}" (from {route})'
            f"{did_you_mean(package, neighbours)}; is it installed, or its folder the working "
            "directory or on PYTHONPATH?"
        )
    try:
        module = importlib.import_module(package)
    except (Exception, SystemExit) as error:
        raise _plugin_error(package, route, error) from error
    if getattr(module, "__file__", None) is None:
        _check_folder(list(module.__path__), package, route)
    return [package, *_import_submodules(module, package, route)]


def _check_folder(folders: list[str], package: str, route: str) -> None:
    """Refuse a folder that Python takes for a package, and that is none."""
    for folder in folders:
        for file in ("setup.cfg", "pyproject.toml", "setup.py"):
            if os.path.isfile(os.path.join(folder, file)):
                raise PluginError(
                    f'"{package}" (from {route}) is the folder of a project, not its package: '
                    f"found {os.path.join(folder, file)}; install it (pip install {folder}), or "
                    "name the folder of the package in it"
                )
    if not any(True for _ in _names_below(folders)):
        places = ", ".join(dict.fromkeys(folders))
        raise PluginError(f'"{package}" (from {route}) is a folder without modules: {places}')


def _import_submodules(module: ModuleType, package: str, route: str) -> list[str]:
    """Import everything below a package, but ``__main__``: importing that would run it."""
    names = []
    for name in _names_below(list(getattr(module, "__path__", []))):
        full_name = f"{module.__name__}.{name}"
        try:
            submodule = importlib.import_module(full_name)
        except (Exception, SystemExit) as error:
            raise _plugin_error(package, route, error) from error
        names += [full_name, *_import_submodules(submodule, package, route)]
    return names


def _names_below(folders: list[str]) -> Iterator[str]:
    """List the modules in a package's folders, and the folders of modules without __init__.py."""
    import pkgutil

    names = {found.name for found in pkgutil.iter_modules(folders)} - {"__main__"}
    for folder in folders:
        entries = os.scandir(folder) if os.path.isdir(folder) else ()
        names |= {
            entry.name
            for entry in entries
            if entry.name.isidentifier() and entry.is_dir() and _holds_modules(entry.path)
        }
    yield from sorted(names)


def _holds_modules(folder: str) -> bool:
    return any(name.endswith(".py") for name in os.listdir(folder))


def module_exists(name: str) -> bool:
    """Whether there is a module of this name; what its parent packages raise is passed on."""
    import importlib.util

    if name in sys.modules:  # also __main__ and others that have no spec
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            return False
        raise  # a parent package is there, and imports something that is not


def _plugin_error(package: str, route: str, error: BaseException) -> PluginError:
    if isinstance(error, PluginError):
        return error
    return PluginError(f'"{package}" (from {route}) failed: {describe_import_error(error)}')


def describe_import_error(error: BaseException) -> str:
    """Say where and why an import failed: ``file:line: NameError: …``, at the innermost line."""
    import traceback

    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    ours = {__file__, importlib.__file__}
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in ours and not frame.filename.startswith("<")
    ]
    # The innermost line at the top level of a module is the plugin's own, not a library's inside.
    own = [frame for frame in frames if frame.name == "<module>"] or frames
    place = f"{own[-1].filename}:{own[-1].lineno}: " if own else ""
    text = str(error).partition("\n")[0]
    if isinstance(error, HessinfError):
        return f"{place}{text}"
    return f"{place}{type(error).__name__}" + (f": {text}" if text else "")
