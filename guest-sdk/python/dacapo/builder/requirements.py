"""What an app requires."""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROVIDED = {"azure-functions", "azure-functions-durable", "azure-functions-runtime", "dacapo"}
"""Requirements that the SDK replaces."""

_BROUGHT_ALONG = {
    "azure-functions-durable": {
        **{name: name for name in ("aiohttp", "requests", "furl", "orderedmultidict", "six", "yarl", "multidict", "certifi", "urllib3")},
        **{"dateutil": "python-dateutil", "attr": "attrs", "attrs": "attrs", "idna": "idna", "opentelemetry": "opentelemetry-sdk"},
    },
    "azure-functions": {"werkzeug": "werkzeug", "markupsafe": "markupsafe"},
}
"""What the packages that the SDK replaces require themselves, by the modules: apps import these without requiring them."""

_PYTHON_ONLY = ["pydantic<2", "fastapi<0.119", "jsonschema<4.18"]
"""Versions without machine code, and of what goes with them. They are taken where the requirements allow."""

class BuildError(Exception):
    """An error that the author of the app can fix, described in one sentence."""


@dataclass(frozen=True)
class Requirement:
    """One requirement of an app."""

    text: str
    origin: str
    """Its file and line, for error messages."""


def preferred_versions(requirements: list[Requirement]) -> list[str]:
    """The versions without machine code that are wanted. Requirements with hashes are exact anyway."""
    if any("--hash" in requirement.text for requirement in requirements):
        return []
    return _PYTHON_ONLY


def with_brought_along(all_: list[Requirement], imported: set[str]) -> list[Requirement]:
    """The requirements without the packages that the SDK provides, but with those of their requirements that the app imports."""
    own = [requirement for requirement in all_ if project_name(requirement.text) not in PROVIDED]
    if any("--hash" in requirement.text for requirement in own):
        return own
    named = {project_name(requirement.text) for requirement in own}
    brought = {}
    for requirement in all_:
        of_package = _BROUGHT_ALONG.get(project_name(requirement.text), {})
        if project_name(requirement.text) == "azure-functions-durable":
            of_package = {**_BROUGHT_ALONG["azure-functions"], **of_package}
        for module in sorted(imported & of_package.keys()):
            if of_package[module] not in named:
                brought.setdefault(of_package[module], Requirement(of_package[module], requirement.origin))
    return [*own, *brought.values()]


def read_requirements(folder: Path) -> list[Requirement]:
    """The requirements of the app, as it states them."""
    if (folder / "requirements.txt").is_file():
        return list(read_requirements_file(folder / "requirements.txt"))
    if (folder / "pyproject.toml").is_file():
        return read_pyproject(folder / "pyproject.toml")
    return []


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
