"""Makes the image of a Dockerfile without Docker: its steps, run for real, in a folder that stands for the root.

Kept to what our Dockerfile needs; an instruction that is not understood is an error. Each stage begins with an empty
folder at the same path, so that the final one has what was copied into it and nothing else, and the paths in scripts
stay true. What stands for the base image is this machine: its system, and the Python that runs the tests. So this
proves the steps, the files and what they make, and not that they fit the Python of the base image.
"""

import json
import os
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: The folders of an image that our steps write to.
OURS = ("app", "opt", "src")


@dataclass
class Image:
    """What came out: a folder, and how it is to be run."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    ports: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def at(self, path: str) -> Path:
        """Where a path of the image is on this machine."""
        return self.root / path.lstrip("/")

    def localised(self, text: str) -> str:
        """A text with the image's paths as they are on this machine."""
        return re.sub(rf"(?<![\w./-])/(?=(?:{'|'.join(OURS)})\b)", f"{self.root}/", text)


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Its instructions, each in one line."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


class Context:
    """The files that a build may copy, as the .dockerignore says: nothing, but for what it names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        rules = [line for line in (root / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
        assert rules[0] == "*", "an allow-list is expected"
        self.allowed = [rule[1:] for rule in rules if rule.startswith("!")]
        self.never = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
        assert len(rules) == 1 + len(self.allowed) + len(self.never), "a rule of .dockerignore is not understood"
        self.copied: set[str] = set()

    def copy(self, source: str, target: Path) -> None:
        """As COPY does: the contents of a folder, or a file."""
        assert any(source == each or source.startswith(f"{each}/") for each in self.allowed), f"{source} is ignored"
        self.copied.add(source)
        _copy(self.root / source, target, ignored=self.never)


class Builder:
    """Runs the stages of one Dockerfile below one folder."""

    def __init__(self, context: Context, folder: Path) -> None:
        self._context = context
        self._root = folder / "root"
        self._stages = folder / "stages"
        self._tools = folder / "tools"
        self._stages.mkdir()
        self._tools.mkdir()
        # A virtual environment's Python must be called by its own path; in the image it is /usr/local/bin/python.
        python = self._tools / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        self.image = Image(self._root)
        self._stage = ""

    def build(self, dockerfile: str) -> Image:
        """Run it to its end."""
        for name, rest in instructions(dockerfile):
            getattr(self, f"_{name.lower()}")(rest)
        return self.image

    def _arg(self, rest: str) -> None:
        assert re.fullmatch(r"PYTHON_IMAGE=python:[\d.]+-slim", rest), "the base is one of Python's own images"

    def _from(self, rest: str) -> None:
        found = re.fullmatch(r"\$\{PYTHON_IMAGE\}(?: AS (\w+))?", rest)
        assert found, rest
        if self._root.exists():
            self._root.rename(self._stages / self._stage)
        self._root.mkdir()
        self._stage = found[1] or "final"
        self.image = Image(self._root, environment={"PATH": f"{self._tools}:/usr/bin:/bin"})

    def _workdir(self, rest: str) -> None:
        self.image.workdir = rest
        self.image.at(rest).mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        place = self.image.at(target if target.startswith("/") else f"{self.image.workdir}/{target}")
        stage = sources.pop(0).removeprefix("--from=") if sources[0].startswith("--from=") else None
        for source in sources:
            if stage:
                _copy(self._stages / stage / source.lstrip("/"), place)
            else:
                into = place / Path(source).name if target.endswith("/") else place
                self._context.copy(source, into)

    def _run(self, rest: str) -> None:
        # The network's settings (proxy, certificates, package index) are the machine's, as Docker's build gives them.
        network = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        done = subprocess.run(
            ["/bin/sh", "-euc", self.image.localised(rest)],
            cwd=self.image.at(self.image.workdir),
            env=network | self.image.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout}"

    def _env(self, rest: str) -> None:
        for pair in rest.split():
            name, _, value = pair.partition("=")
            value = string.Template(value).substitute(self.image.environment)
            self.image.environment[name] = self.image.localised(value) if name == "PATH" else value

    def _user(self, rest: str) -> None:
        self.image.user = rest

    def _expose(self, rest: str) -> None:
        self.image.ports += rest.split()

    def _entrypoint(self, rest: str) -> None:
        self.image.entrypoint = json.loads(rest)

    def _cmd(self, rest: str) -> None:
        self.image.command = json.loads(rest)


def _copy(source: Path, target: Path, *, ignored: list[str] | None = None) -> None:
    assert source.exists(), f"COPY: there is no {source}"
    if source.is_dir():
        shutil.copytree(
            source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*(ignored or ()))
        )
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
