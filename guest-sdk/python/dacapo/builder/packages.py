"""Installs packages: the compiler, and what an app requires."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from dacapo import late_imports, packing
from dacapo.builder import machine_code
from dacapo.builder.requirements import BuildError, Requirement

PREPARATION = "2"
"""To be changed when installed packages are prepared in another way."""


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


def install_requirements(requirements: list[Requirement], preferred: list[str], tools: Path) -> Path:
    """Installs what an app requires, unless that has been done. Returns the folder of the packages."""
    folder = tools / "packages" / digest(requirements, preferred)

    def prepare(installed: Path) -> None:
        machine_code.drop(installed)
        packing.pack(installed)
        late_imports.record(installed)

    with tempfile.TemporaryDirectory(prefix="dacapo-build-") as temporary:
        file, constraints = Path(temporary, "requirements.txt"), Path(temporary, "constraints.txt")
        file.write_text("\n".join(requirement.text for requirement in requirements))
        constraints.write_text("\n".join(preferred))
        arguments = ["--requirement", str(file)]
        try:
            try:
                install([*arguments, "--constraint", str(constraints)], folder, "what the app requires", prepare)
                return folder
            except BuildError:
                if not preferred:
                    raise
            install(arguments, folder, "what the app requires, in other versions,", prepare)
        except BuildError as error:
            # pip names lines of the temporary file.
            named = re.sub(
                r"line (\d+) of \S*requirements\.txt", lambda line: requirements[int(line[1]) - 1].origin, str(error)
            )
            raise BuildError(named) from None
    return folder


def digest(requirements: list[Requirement], preferred: list[str]) -> str:
    texts = [PREPARATION, *preferred, *(requirement.text for requirement in requirements)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
