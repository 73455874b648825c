"""Builds the component of a Python app for Dacapo.

    python build.py APP_FOLDER --out APP.wasm [--tools DIRECTORY]

The folder holds `function_app.py`, or folders with a `function.json`. The component includes the packages in its
`requirements.txt` or `pyproject.toml`. Nothing is installed globally: tools and dependencies are in the tools folder.
"""

from __future__ import annotations

import argparse
import codecs
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"error: the builder needs Python 3.11 or newer, and this is {sys.version.split()[0]}")

# After the check that these can be imported.
import tomllib  # noqa: E402

from dacapo import image, late_imports  # noqa: E402
from immortal import immortalise  # noqa: E402

COMPILER = "componentize-py==0.25.1"
SDK = Path(__file__).resolve().parent
WORLD = "dacapo:python/guest@0.1.0"
WIT = [SDK.parent / "wit", SDK / "wit"]

ENTRY = "dacapo_entry"
ENTRY_SOURCE = """\
import os
import dacapo.guest
WitWorld = dacapo.guest.world(os.path.dirname(os.path.abspath(__file__)))
"""
"""The name of the component's entry module, which is written to the folder of the app."""

PROVIDED = {"azure-functions", "azure-functions-durable", "azure-functions-runtime", "dacapo"}
"""Requirements that the SDK replaces."""

NATIVE_PARTS = "dacapo-native-parts.txt"
"""A file with the names of the installed packages that had machine code."""

LEFT_OUT = {"__pycache__", "node_modules", "venv", "env", "local.settings.json"}
"""What is not copied with an app, in addition to hidden files and virtual environments: settings of this machine may be secret."""


class BuildError(Exception):
    """An error that the author of the app can fix, described in one sentence."""


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
    compiler = tools / "compiler"
    install([COMPILER], compiler, "the compiler")
    paths = [SDK]
    if requirements := read_requirements(folder):
        paths.append(tools / "dependencies" / digest(requirements))
        install_requirements(requirements, paths[-1])
        warn_of_native_parts(paths[-1])
    with tempfile.TemporaryDirectory(prefix="dacapo-build-") as temporary:
        stage = Path(temporary, "app")
        copy_app(folder, stage)
        return componentize(compiler, stage, paths, out)


def install(packages: list[str], folder: Path, what: str, prepare: Callable[[Path], None] = lambda _: None) -> None:
    """Installs packages into their own folder and prepares it, unless it exists."""
    if folder.is_dir():
        return
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        raise BuildError(f"{sys.executable} has no pip: install python3-pip, or run this with a Python that has it")
    print(f"installing {what} into {folder}", flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Only a complete folder gets the final name. If two builds run at once, the slower one uses that of the other.
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder.parent) as temporary:
        unfinished = Path(temporary, "packages")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        done = subprocess.run([*pip, "--target", str(unfinished), *packages], capture_output=True, text=True)
        if done.returncode != 0:
            raise BuildError(f"pip cannot install {what}:\n{done.stderr.strip()}")
        prepare(unfinished)
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


@dataclass(frozen=True)
class Requirement:
    """One requirement of an app."""

    text: str
    origin: str
    """Its file and line, for error messages."""


def install_requirements(requirements: list[Requirement], folder: Path) -> None:
    def prepare(installed: Path) -> None:
        drop_native_parts(installed)
        late_imports.record(installed)

    with tempfile.TemporaryDirectory(prefix="dacapo-build-") as temporary:
        file = Path(temporary, "requirements.txt")
        file.write_text("\n".join(requirement.text for requirement in requirements))
        try:
            install(["--requirement", str(file)], folder, "what the app requires", prepare)
        except BuildError as error:
            # pip names lines of the temporary file.
            named = re.sub(
                r"line (\d+) of \S*requirements\.txt", lambda line: requirements[int(line[1]) - 1].origin, str(error)
            )
            raise BuildError(named) from None


def read_requirements(folder: Path) -> list[Requirement]:
    """The requirements of the app, without the packages that the SDK provides."""
    if (folder / "requirements.txt").is_file():
        requirements = list(read_requirements_file(folder / "requirements.txt"))
    elif (folder / "pyproject.toml").is_file():
        requirements = read_pyproject(folder / "pyproject.toml")
    else:
        requirements = []
    return [requirement for requirement in requirements if project_name(requirement.text) not in PROVIDED]


def read_requirements_file(path: Path) -> Iterator[Requirement]:
    continued = ""
    for number, line in enumerate([*read_text(path).splitlines(), ""], 1):
        line = continued + line
        if line.endswith("\\"):
            continued = line[:-1]
            continue
        continued = ""
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if other := re.match(r"(?:-r|--requirement)[ =]*(.+)", line):
            yield from read_requirements_file(path.parent / other[1])
        elif line:
            yield Requirement(line, f"{path.name}, line {number}")


def read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        # PowerShell writes UTF-16, with a byte order mark.
        is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BuildError(f"{path} is not UTF-8: {error}") from None


def read_pyproject(path: Path) -> list[Requirement]:
    try:
        project = tomllib.loads(read_text(path)).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise BuildError(f"{path} is not TOML: {error}") from None
    dependencies = project.get("dependencies", []) if isinstance(project, dict) else None
    if not isinstance(dependencies, list) or not all(isinstance(text, str) for text in dependencies):
        raise BuildError(f"{path}: `dependencies` of [project] must be a list of texts")
    return [Requirement(text, path.name) for text in dependencies]


def project_name(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]*", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def digest(requirements: list[Requirement]) -> str:
    return hashlib.sha256("\n".join(requirement.text for requirement in requirements).encode()).hexdigest()[:16]


def drop_native_parts(folder: Path) -> None:
    """Removes machine code. Many packages work without theirs; the import of one that does not fails."""
    native = [path for path in folder.rglob("*") if path.suffix in {".so", ".pyd", ".dylib"}]
    packages = sorted({path.relative_to(folder).parts[0] for path in native})
    (folder / NATIVE_PARTS).write_text(", ".join(packages))
    for path in native:
        path.unlink()


def warn_of_native_parts(folder: Path) -> None:
    if packages := (folder / NATIVE_PARTS).read_text():
        print(f"warning: left out the machine code of {packages}: only Python runs in a component")


def copy_app(folder: Path, stage: Path) -> None:
    def left_out(parent: str, names: list[str]) -> list[str]:
        def is_left_out(name: str) -> bool:
            path = Path(parent, name)
            return name.startswith(".") or name in LEFT_OUT or (path / "pyvenv.cfg").exists() or name.endswith(".wasm")

        return [name for name in names if is_left_out(name)]

    shutil.copytree(folder, stage, ignore=left_out)


def componentize(compiler: Path, stage: Path, paths: list[Path], out: Path) -> int:
    """Runs the compiler, which loads the app in the component and snapshots that. The loaded app writes a report."""
    out.parent.mkdir(parents=True, exist_ok=True)
    late_imports.record(stage)
    (stage / f"{ENTRY}.py").write_text(ENTRY_SOURCE)
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
    for warning in said["warnings"]:
        print(f"warning: {warning}")
    return said["functions"]


if __name__ == "__main__":
    sys.exit(main())
