"""The suite on every Python that is supported, and on the oldest Kopf: `make versions`.

Each gets a virtual environment of its own under `.versions`, and runs `make test` and `make lanes` in it. A Python that
is not installed is an error: what was not run did not pass.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def supported() -> list[str]:
    """The versions that pyproject.toml names, such as 3.11."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each) for each in project["classifiers"])
    return [match[1] for match in found if match]


def interpreter(version: str) -> str | None:
    """The path of such a Python: one on PATH, or one of pyenv's, whose commands on PATH need to be told a version."""
    candidates = [sys.executable, shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(each / "bin/python") for each in sorted(pyenv.glob(f"{version}.*"))]
    return next((path for path in candidates if path and _is(path, version)), None)


def _is(path: str, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return asked.returncode == 0 and asked.stdout.strip() == version


def oldest_kopf() -> str:
    """The version that pyproject.toml asks for at least, such as 1.44.0."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [least] = [match[1] for each in project["dependencies"] if (match := re.match(r"kopf>=(\d+\.\d+)", each))]
    return f"{least}.0"


def passes(*variables: str) -> bool:
    """Run the tests; `variables` are make's."""
    return all(
        subprocess.run(["make", target, *variables], cwd=ROOT, check=False).returncode == 0
        for target in ("test", "lanes")
    )


def passes_on_oldest_kopf() -> bool:
    """The same on this Python with another Kopf in the place of the locked one."""
    version = oldest_kopf()
    folder = f".versions/kopf-{version}"
    print(f"== Kopf {version}", flush=True)
    pip = [f"{folder}/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", f"kopf=={version}"]
    for command in (["make", f"{folder}/.installed", f"PYTHON={sys.executable}", f"VENV={folder}"], pip):
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            return False
    return passes(f"PYTHON={sys.executable}", f"VENV={folder}")


def main() -> int:
    """Run all; the exit status is 1 if one failed or is missing."""
    failed = [] if passes_on_oldest_kopf() else [f"Kopf {oldest_kopf()}"]
    for version in supported():
        python = interpreter(version)
        if python is None:
            print(f"error: no Python {version} on PATH and none of pyenv's; install it", file=sys.stderr)
            failed.append(version)
            continue
        print(f"== Python {version}", flush=True)
        if not passes(f"PYTHON={python}", f"VENV=.versions/{version}"):
            failed.append(version)
    everything = ", ".join([f"Kopf {oldest_kopf()}", *(f"Python {version}" for version in supported())])
    print(f"failed: {', '.join(failed)}" if failed else f"passed: {everything}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
