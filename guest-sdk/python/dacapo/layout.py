"""Finds the functions of an app folder: when the component is built, and in tests."""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dacapo import source
from dacapo.app import DFApp
from dacapo.function import AppError, Binding, Function, Kind, clients_of

APP_MODULE = "function_app"
_CLASSIC_PACKAGE = "__app__"


@dataclass
class App:
    """The functions of an app folder."""

    functions: list[Function] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """The names and triggers of functions that Dacapo does not run."""

    def check(self) -> App:
        """Raises an error if no host could run the app."""
        if not self.functions:
            raise AppError("the app has no orchestrator, activity or entity")
        by_name: dict[str, Function] = {}
        for function in self.functions:
            function.check()
            other = by_name.setdefault(function.name.lower(), function)
            if other is not function:
                message = f"two functions are called `{function.name}`: names must differ in more than case"
                raise AppError(f"{message}. The other: {source.place_of(other.user_function)}", function.user_function)
        return self


def load(root: Path) -> App:
    """Loads the app of a folder that is on `sys.path`: `function_app.py`, or folders with a `function.json`."""
    source.relate_to(str(root))
    if (root / f"{APP_MODULE}.py").is_file():
        return _load_decorated().check()
    folders = sorted(path.parent for path in root.glob("*/function.json"))
    if not folders:
        raise AppError(f"there is neither a {APP_MODULE}.py nor a folder with a function.json")
    return _load_classic(root, folders).check()


def _load_decorated() -> App:
    module = importlib.import_module(APP_MODULE)
    apps = {id(value): value for value in vars(module).values() if isinstance(value, DFApp)}
    if len(apps) != 1:
        found = "several" if apps else "none"
        raise AppError(
            f"{APP_MODULE}.py must have exactly one app, such as `app = df.DFApp()`, at its top level, but has {found}"
        )
    (app,) = apps.values()
    return App(app.functions(), app.functions_of_others())


def _load_classic(root: Path, folders: list[Path]) -> App:
    # As in Azure Functions, the folders are packages of a package with this name.
    package = types.ModuleType(_CLASSIC_PACKAGE)
    package.__path__ = [str(root)]
    sys.modules[_CLASSIC_PACKAGE] = package
    app = App()
    for folder in folders:
        declared = _declaration(folder / "function.json")
        function = None if declared.get("disabled") is True else _declared_function(folder, declared)
        if function is None:
            app.skipped.append((folder.name, _what(declared)))
        else:
            app.functions.append(function)
    return app


def _declared_function(folder: Path, declared: dict[str, Any]) -> Function | None:
    """The function of a folder; None if its trigger is not durable."""
    bindings = [Binding(str(given.get("type")), given.get("name", "context")) for given in declared["bindings"]]
    trigger = next((binding for binding in bindings if binding.type in _KINDS), None)
    if trigger is None:
        return None
    main, kind = _entry_point(folder, declared), Kind(trigger.type)
    others = [binding for binding in bindings if binding is not trigger]
    return Function(folder.name, kind, trigger.parameter, main, clients=clients_of(folder.name, kind, others, main))


_KINDS = {kind.value for kind in Kind}


def _declaration(path: Path) -> dict[str, Any]:
    try:
        declared = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise AppError(f"{path.parent.name}/function.json is not JSON: {error}") from None
    bindings = declared.get("bindings") if isinstance(declared, dict) else None
    if not isinstance(bindings, list) or not all(isinstance(binding, dict) for binding in bindings):
        raise AppError(f"{path.parent.name}/function.json has no list of `bindings`")
    return declared


def _what(declared: dict[str, Any]) -> str:
    if declared.get("disabled") is True:
        return "disabled"
    return next((b["type"] for b in declared["bindings"] if str(b.get("type", "")).endswith("Trigger")), "no trigger")


def _entry_point(folder: Path, declared: dict[str, Any]) -> Callable:
    script = declared.get("scriptFile", "__init__.py")
    path = (folder / script).resolve()
    if not path.is_file():
        raise AppError(f"{folder.name}/function.json names the scriptFile {script}, which does not exist")
    parts = path.relative_to(folder.parent.resolve()).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    module = importlib.import_module(".".join([_CLASSIC_PACKAGE, *parts]))
    name = declared.get("entryPoint", "main")
    main = getattr(module, name, None)
    if not callable(main):
        raise AppError(
            f"{folder.name}/{script} has no function `{name}`, the entry point in its function.json"
        )
    return main
