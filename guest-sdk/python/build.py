"""Builds the component of a Python app for Dacapo.

    python build.py APP_FOLDER --out APP.wasm [--tools DIRECTORY]

The folder holds `function_app.py`, or folders with a `function.json`. The component includes the packages in its
`requirements.txt` or `pyproject.toml`. Nothing is installed globally: tools and dependencies are in the tools folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from array import array
from dataclasses import dataclass, field
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"error: the builder needs Python 3.11 or newer, and this is {sys.version.split()[0]}")

# After the check that these can be imported.
from dacapo import image, late_imports, packing  # noqa: E402
from dacapo.builder.immortal import immortalise  # noqa: E402
from dacapo.builder.machine_code import check, check_names, explain, imported_by, leave_out  # noqa: E402
from dacapo.builder.packages import install, install_requirements  # noqa: E402
from dacapo.builder.requirements import BuildError, preferred_versions, read_requirements, with_brought_along  # noqa: E402

COMPILER = "componentize-py==0.25.1"
TIME_ZONES = "tzdata==2026.6"
"""The time zones of apps that do not require this package themselves: the original finds them on its machines."""

SDK = Path(__file__).resolve().parent
WORLD = "dacapo:python/guest@0.1.0"
WIT = [SDK.parent / "wit", SDK / "wit"]

ENTRY = "dacapo_entry"
ENTRY_SOURCE = """\
import os
import sys
if os.path.exists("/{library}/python"):
    sys.path[sys.path.index(sys.prefix)] = "/{library}/python"
import dacapo.guest
WitWorld = dacapo.guest.world(os.path.dirname(os.path.abspath(__file__)), library="/{library}")
"""
"""The name of the component's entry module, which is written to the folder of the app."""

_TOO_LARGE = (
    "the app and its packages take more than 128 MiB of memory when they are loaded, which the compiler cannot store: require and "
    "import less, or divide the app"
)

LEFT_OUT = {"__pycache__", "node_modules", "venv", "env", "local.settings.json"}
"""What is not copied with an app, in addition to hidden files and virtual environments: settings of this machine may be secret."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="build.py", description="Builds the component of a Python app for Dacapo.")
    parser.add_argument("folder", type=Path, metavar="APP_FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="APP.wasm")
    parser.add_argument("--tools", type=Path, default=default_tools(), metavar="DIRECTORY", help="default: %(default)s")
    parser.add_argument("--no-summary", action="store_true", help="print only warnings about the app")
    arguments = parser.parse_args()
    try:
        functions = build(arguments.folder.resolve(), arguments.out.resolve(), arguments.tools.resolve())
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # No message: the user pressed Ctrl-C. Temporary files are removed.
        return 130
    if not arguments.no_summary:
        print(f"{arguments.out}: {functions} functions, {arguments.out.stat().st_size / (1 << 20):.1f} MiB")
    return 0


def default_tools() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "dacapo" / "python"


def build(folder: Path, out: Path, tools: Path) -> int:
    """Builds the component. Returns the number of its functions."""
    if not folder.is_dir():
        raise BuildError(f"{folder} is not a folder")
    stated = read_requirements(folder)
    with tempfile.TemporaryDirectory(prefix="dacapo-build-") as temporary:
        app = Path(temporary, "app")
        copy_app(folder, app)
        warnings = leave_out(app, lambda entries: check_names(app, stated, entries))
        requirements = with_brought_along(stated, imported_by(app))
        packages = None
        if requirements:
            packages = install_requirements(requirements, preferred_versions(requirements), tools)
        warnings += leave_out(app, lambda entries: check(app, SDK, packages, stated, entries))
        compiler, library = tools / "compiler", tools / f"library-{TIME_ZONES}"
        install([COMPILER], compiler, "the compiler")
        install([TIME_ZONES], library, "time zones", packing.pack)
        packing.pack(app)
        late_imports.record(app)
        paths = [SDK, *([packages] if packages else []), library]
        known = prepared_files(paths)
        if not library.joinpath(packing.STANDARD_LIBRARY).exists():
            known = None
        loaded = componentize(compiler, app, paths, out)
        while not loaded.error and prepared_files(paths) != known:
            # The interpreter has compiled modules of packages, and the memory of that is in the snapshot. Now it need not.
            known = prepared_files(paths)
            loaded = componentize(compiler, app, paths, out)
    if loaded.error:
        raise BuildError(explain(loaded.error, loaded.lacks, packages, stated) or loaded.error)
    for warning in [*warnings, *loaded.warnings]:
        print(f"warning: {warning}")
    return loaded.functions


def prepared_files(paths: list[Path]) -> set[Path]:
    """What the interpreter leaves for the next build: byte code, also that of its standard library."""
    return {file for path in paths for file in path.rglob("*.pyc")}


def copy_app(folder: Path, stage: Path) -> None:
    def left_out(parent: str, names: list[str]) -> list[str]:
        def is_left_out(name: str) -> bool:
            path = Path(parent, name)
            return name.startswith(".") or name in LEFT_OUT or (path / "pyvenv.cfg").exists() or name.endswith(".wasm")

        return [name for name in names if is_left_out(name)]

    shutil.copytree(folder, stage, ignore=left_out)


@dataclass
class Loaded:
    """What an app reports when the compiler has loaded it."""

    functions: int = 0
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    """Why it cannot be loaded."""
    lacks: str = ""
    """The module that could not be imported, if that is why."""


def componentize(compiler: Path, stage: Path, paths: list[Path], out: Path) -> Loaded:
    """Runs the compiler, which loads the app in the component and snapshots that."""
    out.parent.mkdir(parents=True, exist_ok=True)
    (stage / f"{ENTRY}.py").write_text(ENTRY_SOURCE.format(library=len(paths)))
    python_paths = [argument for path in [stage, *paths] for argument in ("-p", str(path))]
    wit = [argument for path in WIT for argument in ("-d", str(path))]
    command = [*wit, "-w", WORLD, "componentize", *python_paths, ENTRY, "-o", str(out)]
    # Without VIRTUAL_ENV the compiler would add the packages of the active environment.
    environment = {**os.environ, "PYTHONPATH": str(compiler), "VIRTUAL_ENV": str(compiler)}
    script = "import sys, componentize_py; sys.argv[0] = 'componentize-py'; sys.exit(componentize_py.script())"
    done = subprocess.run([sys.executable, "-c", script, *command], env=environment, capture_output=True, text=True)
    report = stage / "dacapo-report.json"
    loaded = Loaded(**json.loads(report.read_text())) if report.is_file() else Loaded()
    if not loaded.error:
        if done.returncode != 0:
            if "hostcalls has been exhausted" in done.stderr:
                raise BuildError(_TOO_LARGE)
            raise BuildError(f"the compiler failed:\n{done.stdout}{done.stderr}".strip())
        immortalise(out, array("I", (stage / image.OBJECTS).read_bytes()))
    return loaded


if __name__ == "__main__":
    sys.exit(main())
