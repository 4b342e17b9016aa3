"""Source: docstrings that Python does not keep, such as the text below a constant or an enum's value."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from types import ModuleType
from typing import Any


def attribute_docs(owner: ModuleType | type[Any]) -> dict[str, str]:
    """Return the text below each assignment in a module or class, by the assigned name."""
    tree = ast.parse(inspect.getsource(owner).expandtabs())
    body = tree.body
    if not isinstance(owner, ModuleType) and isinstance(body[0], ast.ClassDef):
        body = body[0].body
    found = {}
    for assignment, text in pairwise(body):
        name, value = _assigned(assignment), getattr(text, "value", None)
        is_text = isinstance(text, ast.Expr) and isinstance(value, ast.Constant)
        if name and is_text and isinstance(value, ast.Constant) and isinstance(value.value, str):
            found[name] = inspect.cleandoc(value.value)
    return found


def _assigned(statement: ast.stmt) -> str:
    if isinstance(statement, ast.AnnAssign):
        target: ast.expr = statement.target
    elif isinstance(statement, ast.Assign):
        target = statement.targets[0]
    else:
        return ""
    return target.id if isinstance(target, ast.Name) else ""
