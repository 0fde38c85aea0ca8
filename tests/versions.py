"""The suite on every Python that is supported: `make versions`.

Each gets a virtual environment of its own under `.versions`, and runs `make test` in it. A Python that is not
installed is an error: what was not run did not pass.
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


def main() -> int:
    """Run all; the exit status is 1 if one failed or is missing."""
    failed = []
    for version in supported():
        python = interpreter(version)
        if python is None:
            print(f"error: no Python {version} on PATH and none of pyenv's; install it", file=sys.stderr)
            failed.append(version)
            continue
        print(f"== Python {version}", flush=True)
        command = ["make", "test", f"PYTHON={python}", f"VENV=.versions/{version}"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(version)
    print(f"failed: {', '.join(failed)}" if failed else f"passed: {', '.join(supported())}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
