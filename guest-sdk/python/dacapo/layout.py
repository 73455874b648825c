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

from dacapo import bindings, source
from dacapo.app import DFApp
from dacapo.declaration import Declaration
from dacapo.function import AppError, AppFunction, ClientFunction, Function

APP_MODULE = "function_app"
_CLASSIC_PACKAGE = "__app__"


@dataclass
class App:
    """The functions of an app folder."""

    functions: list[Function] = field(default_factory=list)
    """The orchestrators, activities and entities."""
    client_functions: list[ClientFunction] = field(default_factory=list)
    """The functions with other triggers."""
    warnings: list[str] = field(default_factory=list)
    """The functions that are left out, and what else Dacapo does not do."""
    failure: Exception | SystemExit | None = None
    """Why the first function that cannot be loaded cannot."""

    def add(self, declaration: Declaration) -> None:
        """Adds a function, or the reason why it is left out."""
        try:
            function = declaration.function()
        except bindings.LeftOut as why:
            self.warnings.append(f"`{declaration.name}` is left out: {why}")
            return
        function.check()
        self.warnings += declaration.warnings()
        if isinstance(function, ClientFunction):
            self.client_functions.append(function)
        else:
            self.functions.append(function)

    def add_folder(self, folder: Path) -> None:
        """Adds the function of a folder. As in Azure Functions, one that cannot be loaded does not keep the others from
        running."""
        try:
            self.add(_classic(folder))
        except (Exception, SystemExit) as error:
            why = str(error) if isinstance(error, AppError) else source.user_traceback(error)
            self.warnings.append(f"`{folder.name}` cannot be loaded, so it is left out: {why}")
            self.failure = self.failure or error

    def check(self) -> App:
        """Raises an error if no host could run the app."""
        functions: list[AppFunction] = [*self.functions, *self.client_functions]
        if not functions:
            raise self.failure or AppError("\n".join(["the app has no function that Dacapo runs", *self.warnings]))
        absent = [(function.name, one) for function in functions for one in function.absent]
        self.warnings += bindings.sentences(absent)
        by_name: dict[str, AppFunction] = {}
        for function in functions:
            other = by_name.setdefault(function.name.lower(), function)
            if other is not function:
                message = f"two functions are called `{function.name}`: names must differ in more than case"
                raise AppError(f"{message}. The other: {source.place_of(other.user_function)}", function.user_function)
        return self


def load(root: Path) -> App:
    """Loads the app of a folder that is on `sys.path`: `function_app.py`, or folders with a `function.json`."""
    source.relate_to(str(root))
    app = App()
    if (root / f"{APP_MODULE}.py").is_file():
        for declaration in _decorated():
            app.add(declaration)
        return app.check()
    folders = sorted(path.parent for path in root.glob("*/function.json"))
    if not folders:
        raise AppError(f"there is neither a {APP_MODULE}.py nor a folder with a function.json")
    # As in Azure Functions, the folders are packages of a package with this name.
    package = types.ModuleType(_CLASSIC_PACKAGE)
    package.__path__ = [str(root)]
    sys.modules[_CLASSIC_PACKAGE] = package
    for folder in folders:
        app.add_folder(folder)
    return app.check()


def _decorated() -> list[Declaration]:
    module = importlib.import_module(APP_MODULE)
    apps = {id(value): value for value in vars(module).values() if isinstance(value, DFApp)}
    if len(apps) != 1:
        found = "several" if apps else "none"
        raise AppError(
            f"{APP_MODULE}.py must have exactly one app, such as `app = df.DFApp()`, at its top level, but has {found}"
        )
    (app,) = apps.values()
    return app.declarations()


def _classic(folder: Path) -> Declaration:
    declared = _function_json(folder / "function.json")
    bindings_, disabled = declared["bindings"], declared.get("disabled")
    if isinstance(disabled, str):
        # The name of a setting, which the host knows.
        bindings_ = [{**one, "disabled": disabled} if bindings.is_trigger(one) else one for one in bindings_]
    return Declaration(
        folder.name,
        bindings_,
        lambda: _entry_point(folder, declared),
        has_retry="retry" in declared,
        is_disabled=disabled is True,
    )


def _function_json(path: Path) -> dict[str, Any]:
    try:
        declared = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise AppError(f"{path.parent.name}/function.json is not JSON: {error}") from None
    listed = declared.get("bindings") if isinstance(declared, dict) else None
    if not isinstance(listed, list) or not all(isinstance(binding, dict) for binding in listed):
        raise AppError(f"{path.parent.name}/function.json has no list of `bindings`")
    return declared


def _entry_point(folder: Path, declared: dict[str, Any]) -> Callable:
    script = declared.get("scriptFile", "__init__.py")
    path, root = (folder / script).resolve(), folder.parent.resolve()
    if not path.is_file():
        raise AppError(f"{folder.name}/function.json names the scriptFile {script}, which does not exist")
    if not path.is_relative_to(root):
        raise AppError(
            f"{folder.name}/function.json names the scriptFile {script}, which is not in the folder of the app"
        )
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    module = importlib.import_module(".".join([_CLASSIC_PACKAGE, *parts]))
    name = declared.get("entryPoint", "main")
    main = getattr(module, name, None)
    if not callable(main):
        raise AppError(f"{folder.name}/{script} has no function `{name}`, the entry point in its function.json")
    return main
