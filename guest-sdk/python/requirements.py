"""The packages of an app: what it requires, and how that is installed."""

from __future__ import annotations

import codecs
import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dacapo import late_imports, packing

PROVIDED = {"azure-functions", "azure-functions-durable", "azure-functions-runtime", "dacapo"}
"""Requirements that the SDK replaces."""

PREPARATION = "2"
"""To be changed when installed packages are prepared in another way."""

NATIVE_PARTS = "dacapo-native-parts.txt"
"""A file with the names of the installed packages that had machine code."""


class BuildError(Exception):
    """An error that the author of the app can fix, described in one sentence."""


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


def install_requirements(requirements: list[Requirement], tools: Path) -> Path:
    """Installs what an app requires, unless that has been done. Returns the folder of the packages."""
    folder = tools / "packages" / digest(requirements)

    def prepare(installed: Path) -> None:
        drop_native_parts(installed)
        packing.pack(installed)
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
    warn_of_native_parts(folder)
    return folder


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
    texts = [PREPARATION, *(requirement.text for requirement in requirements)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


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


