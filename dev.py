#!/usr/bin/env python3
"""`python3 dev.py demo` to hear it, `python3 dev.py test` to check it, `--help` for the rest."""

import sys

# Nothing up to this check is newer than Python 2.7, so that every Python gets as far as the sentence.
if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    sys.stderr.write(
        "dev.py: Diff-VS needs Python 3.10, 3.11 or 3.12, and this is Python %d.%d: install one of those "  # noqa: UP031
        "(from python.org, or by your package manager) and run, for example: python3.12 dev.py %s\n"
        % (sys.version_info[0], sys.version_info[1], " ".join(sys.argv[1:]) or "demo")
    )
    sys.exit(2)

from devtools.commands import main

if __name__ == "__main__":
    sys.exit(main())
