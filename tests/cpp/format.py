"""Holds the C++ sources against .clang-format: python tests/cpp/format.py [--fix]

Exit code 1 where they differ; --fix changes them.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("cpp_ext", "tests/cpp")
NOT_OURS = "third_party"


def main() -> int:
    # From the Python package: styles differ between the versions that systems have.
    program = shutil.which("clang-format", path=str(Path(sys.executable).parent))
    if program is None:
        print("clang-format is missing: pip install -e '.[dev]'", file=sys.stderr)
        return 1
    sources = [
        str(path)
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.*"))
        if path.suffix in (".h", ".cpp") and NOT_OURS not in path.parts
    ]
    how = ["-i"] if "--fix" in sys.argv[1:] else ["--dry-run", "-Werror"]
    return int(subprocess.run([program, *how, *sources], cwd=ROOT).returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
