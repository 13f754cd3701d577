"""Measurements of this machine, written to docs/bench.md by `python -m bench`.

Each file here measures one thing and has a `measure() -> str` that returns its section in Markdown. To add
one, write the file and name it in `__main__.MEASUREMENTS`.
"""
