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
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"error: the builder needs Python 3.11 or newer, and this is {sys.version.split()[0]}")

# After the check that these can be imported.
from dacapo import image, late_imports, packing  # noqa: E402
from immortal import immortalise  # noqa: E402
from requirements import BuildError, install, install_requirements, read_requirements  # noqa: E402

COMPILER = "componentize-py==0.25.1"
TIME_ZONES = "tzdata==2026.6"
"""The time zones of apps that do not require this package themselves: the original finds them on its machines."""

SDK = Path(__file__).resolve().parent
WORLD = "dacapo:python/guest@0.1.0"
WIT = [SDK.parent / "wit", SDK / "wit"]

ENTRY = "dacapo_entry"
ENTRY_SOURCE = """\
import os
import dacapo.guest
WitWorld = dacapo.guest.world(os.path.dirname(os.path.abspath(__file__)), library="/{library}")
"""
"""The name of the component's entry module, which is written to the folder of the app."""

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
    requirements = read_requirements(folder)
    compiler, library = tools / "compiler", tools / f"library-{TIME_ZONES}"
    install([COMPILER], compiler, "the compiler")
    install([TIME_ZONES], library, "time zones", packing.pack)
    paths = [SDK]
    if requirements:
        paths.append(install_requirements(requirements, tools))
    with tempfile.TemporaryDirectory(prefix="dacapo-build-") as temporary:
        stage = Path(temporary, "app")
        copy_app(folder, stage)
        packing.pack(stage)
        late_imports.record(stage)
        paths.append(library)
        known = prepared_files(paths)
        functions, warnings = componentize(compiler, stage, paths, out)
        if prepared_files(paths) != known:
            # The interpreter has compiled modules of packages, and the memory of that is in the snapshot. Now it need not.
            functions, warnings = componentize(compiler, stage, paths, out)
    for warning in warnings:
        print(f"warning: {warning}")
    return functions


def prepared_files(paths: list[Path]) -> set[Path]:
    """What the interpreter leaves for the next build: byte code, and the archive of its standard library."""
    return {file for path in paths for pattern in ("*.pyc", packing.STANDARD_LIBRARY) for file in path.rglob(pattern)}


def copy_app(folder: Path, stage: Path) -> None:
    def left_out(parent: str, names: list[str]) -> list[str]:
        def is_left_out(name: str) -> bool:
            path = Path(parent, name)
            return name.startswith(".") or name in LEFT_OUT or (path / "pyvenv.cfg").exists() or name.endswith(".wasm")

        return [name for name in names if is_left_out(name)]

    shutil.copytree(folder, stage, ignore=left_out)


def componentize(compiler: Path, stage: Path, paths: list[Path], out: Path) -> tuple[int, list[str]]:
    """Runs the compiler, which loads the app in the component and snapshots that. The loaded app writes a report. Returns the
    number of its functions, and warnings."""
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
    said = json.loads(report.read_text()) if report.is_file() else {}
    if "error" in said:
        raise BuildError(said["error"])
    if done.returncode != 0:
        raise BuildError(f"the compiler failed:\n{done.stdout}{done.stderr}".strip())
    immortalise(out, array("I", (stage / image.OBJECTS).read_bytes()))
    return said["functions"], said["warnings"]


if __name__ == "__main__":
    sys.exit(main())
