"""cpp_ext/_core.pyi against the binary, and the third-party sources against their checksums."""

import ast
import hashlib
import inspect
from pathlib import Path

import pytest

from cpp_ext import _core

FOLDER = Path(_core.__file__).parent
STUB = {
    node.name: node
    for node in ast.parse((FOLDER / "_core.pyi").read_text()).body
    if isinstance(node, ast.ClassDef)
}


def stub_members(node):
    """name -> its line or def, for what a class of the stub declares."""
    members = {}
    for item in node.body:
        members[item.target.id if isinstance(item, ast.AnnAssign) else item.name] = item
    return members


def runtime_members(cls):
    """The public ones, and __init__ where Python may call it."""
    members = {name: value for name, value in vars(cls).items() if not name.startswith("_")}
    if (cls.__init__.__doc__ or "").startswith("__init__("):
        members["__init__"] = vars(cls)["__init__"]
    return members


def signature(method):
    """The first line of a docstring by pybind11, as parsed Python: `process(self: X, block: Y) -> None`."""
    line = method.__doc__.splitlines()[0]
    return ast.parse(f"def {line}: ...").body[0]


def parameters(function):
    arguments = function.args
    return [a.arg for a in arguments.posonlyargs + arguments.args], [a.arg for a in arguments.kwonlyargs]


def test_the_same_classes():
    assert set(STUB) == {name for name, value in vars(_core).items() if inspect.isclass(value)}


@pytest.mark.parametrize("name", STUB)
def test_the_same_members(name):
    stub, runtime = stub_members(STUB[name]), runtime_members(getattr(_core, name))
    assert set(stub) == set(runtime)
    for member, node in stub.items():
        value = runtime[member]
        where = f"{name}.{member}"
        if isinstance(node, ast.AnnAssign):
            assert value.fset is not None, f"{where} cannot be set"
        elif isinstance(value, property):
            assert [ast.unparse(d) for d in node.decorator_list] == ["property"], where
            assert value.fset is None, f"{where} can be set"
        else:
            actual = signature(value)
            assert parameters(node) == parameters(actual), where
            returned = ast.unparse(actual.returns).removeprefix("cpp_ext._core.")
            assert ast.unparse(node.returns) == returned, where


def test_third_party_sources_are_as_they_came():
    folder = FOLDER / "third_party" / "kissfft"
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    listed = dict(reversed(line.split("  ")) for line in lines)
    files = {str(p.relative_to(folder).as_posix()) for p in folder.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert set(listed) == files
    for name, checksum in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum, name
