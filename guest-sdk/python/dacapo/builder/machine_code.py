"""What an app imports that a component cannot run, found in its sources: before the slow part of a build.

Only imports that certainly happen when the app is loaded count: not those in functions, under conditions, or in a `try` that
goes on without them.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dacapo.builder.requirements import BuildError, Requirement, project_name
from dacapo.stand_ins import STAND_INS

MACHINE_CODE = "dacapo-machine-code.json"
"""A file in a folder of packages: the modules that are machine code only, and the package of each."""

_SUFFIXES = {".so", ".pyd", ".dylib"}

_COMPUTE = "compute with Python's own types (`statistics`, `csv`, `decimal`), or in a service that an activity calls over HTTP"
_DATABASE = "reach the database over HTTP from an activity, since a guest has no other connections"
_HTTP = "call the service's HTTP API from an activity"
_INSTEAD = {
    "asyncpg": _DATABASE,
    "bcrypt": "use `hashlib.pbkdf2_hmac`",
    "confluent_kafka": "use the queues of the host, or a Kafka REST proxy from an activity",
    "cv2": _COMPUTE,
    "fitz": "use `pypdf`, which is Python only",
    "gevent": "use asyncio",
    "grpc": _HTTP,
    "lxml": "use `xml.etree.ElementTree`, or `beautifulsoup4` with `html.parser`",
    "matplotlib": _COMPUTE,
    "MySQLdb": _DATABASE,
    "nacl": "use `hashlib` and `hmac`, or a service that an activity calls over HTTP",
    "numpy": _COMPUTE,
    "orjson": "use `json`",
    "pandas": _COMPUTE,
    "PIL": _COMPUTE,
    "polars": _COMPUTE,
    "psutil": "a guest has no view of its machine",
    "psycopg": _DATABASE,
    "psycopg2": _DATABASE,
    "pyarrow": _COMPUTE,
    "pydantic_core": "use pydantic 1 (`pydantic<2` in the requirements), which is Python only, or dataclasses",
    "pymssql": _DATABASE,
    "pyodbc": _DATABASE,
    "rapidfuzz": "use `difflib`",
    "scipy": _COMPUTE,
    "sklearn": _COMPUTE,
    "tensorflow": _COMPUTE,
    "tiktoken": "count tokens in a service that an activity calls over HTTP",
    "torch": _COMPUTE,
    "ujson": "use `json`",
    "zmq": "use the queues of the host",
}
"""Modules that work in no component, and what to use instead."""

_PACKAGES = {
    "cv2": "opencv-python",
    "fitz": "pymupdf",
    "grpc": "grpcio",
    "MySQLdb": "mysqlclient",
    "nacl": "pynacl",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "zmq": "pyzmq",
}
"""The packages of modules with another name."""

_OTHERS = "use a package without machine code, or a service that an activity calls over HTTP"

_LACKING = {
    "_ctypes", "_curses", "_multiprocessing", "_posixsubprocess", "_tkinter", "ctypes", "curses", "fcntl", "grp", "mmap", "pwd",
    "readline", "resource", "syslog", "termios", "tkinter", "bz2", "lzma", "_bz2", "_lzma",
}  # fmt: skip
"""Modules of the standard library that need machine code which the interpreter of a component does not have."""


@dataclass(frozen=True)
class Import:
    """An import of a module."""

    module: str
    line: int
    importer: str
    is_member: bool = False
    """Whether it is a member of a module, which need not be a module itself."""


def drop(folder: Path) -> None:
    """Removes the machine code of packages, of which many work without, and records the modules that are nothing else."""
    native = [path for path in folder.rglob("*") if path.suffix in _SUFFIXES]
    owners = _owners(folder)
    lost = {}
    for path in native:
        relative = path.relative_to(folder)
        module = ".".join([*relative.parts[:-1], relative.name.split(".")[0]])
        if not path.with_name(f"{relative.name.split('.')[0]}.py").exists():
            lost[module] = owners.get(relative.as_posix(), relative.parts[0])
        path.unlink()
    (folder / MACHINE_CODE).write_text(json.dumps(lost))


def _owners(folder: Path) -> dict[str, str]:
    """The package of each installed file."""
    owners = {}
    for record in folder.glob("*.dist-info/RECORD"):
        package = project_name(record.parent.name.partition("-")[0])
        for line in record.read_text(encoding="utf-8").splitlines():
            owners[line.partition(",")[0]] = package
    return owners


def check_names(app: Path, requirements: list[Requirement], entries: list[str]) -> None:
    """Refuses an app if these modules import one which works in no component. Nothing needs to be installed for that."""
    walk = _Walk([app])
    for found in walk.imports(entries):
        top = found.module.partition(".")[0]
        if top in {"pydantic", "pydantic_settings"}:
            _check_pydantic(walk, found, requirements)
        if top in _INSTEAD and walk.find(top) is None:
            package = _PACKAGES.get(top, top)
            raise BuildError(_sentence(walk, found, package, _required(requirements, package)))


_OF_PYDANTIC_2 = re.compile(
    r"\b(?:field_validator|model_validator|field_serializer|model_serializer|computed_field|ConfigDict|TypeAdapter|RootModel)\b"
    r"|\.model_(?:dump|dump_json|validate|validate_json|json_schema|copy|construct|rebuild|fields)\b|\bmodel_config\s*="
)
"""What only pydantic 2 has."""


def _check_pydantic(walk: _Walk, found: Import, requirements: list[Requirement]) -> None:
    """Refuses a module that uses pydantic 2, since pydantic 1, which may be installed in its place, would fail only later."""
    source = walk.find(found.importer).read_text(encoding="utf-8", errors="replace")
    if used := _OF_PYDANTIC_2.search(source):
        line = source.count("\n", 0, used.start()) + 1
        begin = f"{walk.place(Import(found.module, line, found.importer))}, uses `{used[0].strip(' .=')}` of pydantic 2"
        raise BuildError(_refusal(begin, "pydantic_core", _required(requirements, "pydantic")))


def check(
    app: Path, sdk: Path, packages: Path | None, requirements: list[Requirement], entries: list[str]
) -> None:
    """Refuses an app if these modules cannot be loaded without machine code, or without a package that it does not require."""
    lost = json.loads((packages / MACHINE_CODE).read_text()) if packages else {}
    walk = _Walk([app, sdk, *([packages] if packages else [])], packages)
    for found in walk.imports(entries):
        if package := lost.get(found.module):
            raise BuildError(_sentence(walk, found, package, _chain(packages, requirements, package)))
        if walk.is_of_app(found) and not found.is_member and not walk.is_there(found.module):
            raise BuildError(f"{walk.place(found)}: {_missing(found.module)}")


def explain(error: str, lacking: str, packages: Path | None, requirements: list[Requirement]) -> str | None:
    """Why an app that was refused when it was loaded lacks a module, if that is machine code."""
    lost = json.loads((packages / MACHINE_CODE).read_text()) if packages else {}
    package = lost.get(lacking)
    if package is None:
        return None
    own = re.search(r'File "([^"/]+)", line (\d+)', error)
    place = own[0] if own else "the app"
    return _refusal(f"{place}, imports what needs `{package}`", lacking, _chain(packages, requirements, package))


def _missing(module: str) -> str:
    if module.partition(".")[0] in _LACKING:
        return f"`{module}` of the standard library needs machine code that a component does not have"
    return f"No module named '{module}': it is not part of the app, and no package in its requirements has it"


def _sentence(walk: _Walk, found: Import, package: str, chain: str) -> str:
    first = found
    while not walk.is_of_app(first):
        first = walk.importers[first.importer]
    what = f"imports `{first.module}`" + ("" if first is found else f", which needs `{package}`")
    return _refusal(f"{walk.place(first)}, {what}", found.module, chain)


def _refusal(begin: str, module: str, chain: str) -> str:
    top = module.partition(".")[0]
    return f"{begin}{chain}: that is machine code, which cannot run in a component; {_INSTEAD.get(top, _OTHERS)}"


def _required(requirements: list[Requirement], package: str) -> str:
    for requirement in requirements:
        if project_name(requirement.text) == package:
            return f" ({requirement.origin})"
    return ""


def _chain(packages: Path, requirements: list[Requirement], package: str) -> str:
    """The requirement of the app that brings a package along."""
    if named := _required(requirements, package):
        return named
    needs = _needs(packages)
    for requirement in requirements:
        reached, open_ = set(), [project_name(requirement.text)]
        while open_:
            name = open_.pop()
            if name not in reached:
                reached.add(name)
                open_ += needs.get(name, [])
        if package in reached:
            return f" (`{project_name(requirement.text)}` requires it, {requirement.origin})"
    return ""


def _needs(packages: Path) -> dict[str, list[str]]:
    needs = {}
    for metadata in packages.glob("*.dist-info/METADATA"):
        lines = metadata.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
        required = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ") and "extra ==" not in line]
        needs[project_name(metadata.parent.name.partition("-")[0])] = [project_name(text) for text in required]
    return needs


def imported_by(app: Path) -> set[str]:
    """The modules that any source file of an app imports, anywhere in it, without what is below them. The asynchronous clients of
    Azure, whose modules are named `aio`, load `aiohttp` themselves."""
    found = set()
    for path in app.rglob("*.py"):
        try:
            tree = ast.parse(path.read_bytes(), path.name)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            found.update(name.partition(".")[0] for name in names)
            if any("aio" in name.split(".") for name in names):
                found.add("aiohttp")
    return found


def leave_out(app: Path, refuse: Callable[[list[str]], None]) -> list[str]:
    """Calls a check with the modules of an app that are certainly loaded. In the copy of an app of folders, a function that is
    refused loses its `function.json`, if another one is left. Returns what was left out, and why."""
    if (app / "function_app.py").is_file():
        refuse(["function_app"])
        return []
    folders = [path.parent for path in sorted(app.glob("*/function.json")) if (path.parent / "__init__.py").is_file()]
    try:
        refuse([folder.name for folder in folders])
        return []
    except BuildError as error:
        first = error
    warnings = []
    for folder in folders:
        try:
            refuse([folder.name])
        except BuildError as error:
            (folder / "function.json").unlink()
            warnings.append(f"`{folder.name}` cannot be loaded, so it is left out: {error}")
    if not any(app.glob("*/function.json")):
        raise first
    return warnings


class _Walk:
    """Follows the imports of modules, breadth first, and reads each module once."""

    def __init__(self, roots: list[Path], packages: Path | None = None):
        self._roots = roots
        self._seen: set[str] = set()
        self._cache = _Cache(packages)
        self.importers: dict[str, Import] = {}
        """The import by which each module was found."""

    def imports(self, entries: list[str]) -> Iterator[Import]:
        open_ = list(entries)
        while open_:
            module = open_.pop(0)
            if module in self._seen or module.partition(".")[0] in STAND_INS:
                continue
            self._seen.add(module)
            path = self.find(module)
            if path is None:
                continue
            for found in self._cache.imports(path, module):
                yield found
                # Importing a module imports the packages that it is in.
                parts = found.module.split(".")
                for end in range(1, len(parts) + 1):
                    self.importers.setdefault(".".join(parts[:end]), found)
                    open_.append(".".join(parts[:end]))
        self._cache.save()

    def find(self, module: str) -> Path | None:
        """The source file of a module."""
        for root in self._roots:
            path = root.joinpath(*module.split("."))
            for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
                if file.is_file():
                    return file
        return None

    def is_there(self, module: str) -> bool:
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in STAND_INS:
            return top not in _LACKING
        # A folder without an `__init__.py` is a package too.
        return any(root.joinpath(*module.split(".")).is_dir() for root in self._roots) or self.find(module) is not None

    def is_of_app(self, found: Import) -> bool:
        path = self.find(found.importer)
        return path is not None and path.is_relative_to(self._roots[0])

    def place(self, found: Import) -> str:
        return f'File "{self.find(found.importer).relative_to(self._roots[0]).as_posix()}", line {found.line}'


class _Cache:
    """The imports of the modules of packages, which are the same in every build."""

    def __init__(self, packages: Path | None):
        self._packages = packages
        self._file = packages / "dacapo-imports.json" if packages else None
        self._known = json.loads(self._file.read_text()) if self._file and self._file.is_file() else {}
        self._is_changed = False

    def imports(self, path: Path, module: str) -> list[Import]:
        if self._packages is None or not path.is_relative_to(self._packages):
            return list(imports_of(path, module))
        if module not in self._known:
            self._known[module] = [list(vars(found).values()) for found in imports_of(path, module)]
            self._is_changed = True
        return [Import(*values) for values in self._known[module]]

    def save(self) -> None:
        if self._is_changed:
            self._file.write_text(json.dumps(self._known))


def imports_of(path: Path, module: str) -> Iterator[Import]:
    """The imports that certainly happen when a module is loaded."""
    try:
        tree = ast.parse(path.read_bytes(), path.name)
    except (SyntaxError, ValueError):
        return  # the interpreter of the component, which is newer, reports it
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in _certain(tree.body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, module)
        else:
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield Import(base, node.lineno, module)
            for alias in node.names:
                yield Import(f"{base}.{alias.name}".lstrip("."), node.lineno, module, is_member=True)


def _certain(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield node
            case ast.ClassDef() | ast.With():
                yield from _certain(node.body)
            case ast.Try() if all(handler.body and isinstance(handler.body[-1], ast.Raise) for handler in node.handlers):
                yield from _certain([*node.body, *node.orelse, *node.finalbody])
            case ast.Try():
                yield from _certain(node.finalbody)
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                yield from _certain(node.orelse)
