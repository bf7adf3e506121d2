"""The parameters that a notebook declares, and the check of values against them.

A notebook declares its parameters by assignments in its one cell tagged `parameters`; the type of
a parameter is its annotation or, without one, the type of its default.
"""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from vae_book.params import ParameterError, nearest


class Parameter(NamedTuple):
    """A parameter that a notebook declares; `default` and `type` as they would be written."""

    name: str
    default: str
    type: str


def declared_parameters(notebook: str | Path) -> dict[str, Parameter]:
    """The parameters of a notebook, read from its cell tagged `parameters`; {} without one."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            try:
                body = ast.parse(cell.source).body
            except SyntaxError as error:
                raise ParameterError(
                    f"{notebook}: the cell tagged `parameters` is not plain Python: {error}"
                ) from error
            return {p.name: p for p in map(_parameter, body) if p is not None}
    return {}


def check_values(notebook: str | Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with tuples as lists, once each is declared by the notebook and of its type.

    Raises:
        ParameterError: names the parameter, the value and what would be right.
    """
    declared = declared_parameters(notebook)
    checked = {}
    for name, value in values.items():
        if name not in declared:
            raise ParameterError(
                f"{notebook} declares no parameter {name!r}; {nearest(name, declared)}"
            )
        kind = declared[name].type
        if not _fits(value, ast.parse(kind, mode="eval").body):
            raise ParameterError(
                f"{notebook}: {name}={value!r} is not of type {kind}"
                f" (default {declared[name].default}){_number_hint(value, kind)}"
            )
        checked[name] = _tuples_to_lists(value)
    return checked


def _parameter(statement: ast.stmt) -> Parameter | None:
    """The parameter that a statement `name = value` or `name: type = value` declares."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        if statement.value is None:
            return None
        kind = ast.unparse(statement.annotation)
        return Parameter(statement.target.id, ast.unparse(statement.value), kind)
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        source = ast.unparse(statement.value)
        return Parameter(statement.targets[0].id, source, _type_of_source(source))
    return None


def _type_of_source(source: str) -> str:
    """The type of a default; `Any` if it is None or not an expression of literals."""
    try:
        return _type_of(eval(source, {"__builtins__": {}}))
    except Exception:
        return "Any"


def _type_of(value: Any) -> str:
    if isinstance(value, list | tuple):
        elements = sorted({_type_of(element) for element in value})
        return f"list[{' | '.join(elements)}]" if elements else "list"
    return "Any" if value is None else type(value).__name__


_PLAIN = {"bool": bool, "str": str, "int": int, "float": int | float, "dict": dict}
_LISTS = {"list", "tuple", "Sequence", "Iterable"}


def _fits(value: Any, kind: ast.expr) -> bool:
    """Whether a value is of the type that an annotation spells; unknown types take anything."""
    match kind:
        case ast.Constant(None):
            return value is None
        case ast.Constant(str(quoted)):
            return _fits(value, ast.parse(quoted, mode="eval").body)
        case ast.BinOp(left, ast.BitOr(), right):
            return _fits(value, left) or _fits(value, right)
        case ast.Name(name) if name in _LISTS:
            return isinstance(value, list | tuple)
        case ast.Name(name) if name in _PLAIN:
            return isinstance(value, _PLAIN[name]) and (
                name == "bool" or not isinstance(value, bool)
            )
        case ast.Subscript(ast.Name("Literal"), choices):
            elements = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            return any(value == ast.literal_eval(element) for element in elements)
        case ast.Subscript(ast.Name("Optional"), inner):
            return value is None or _fits(value, inner)
        case ast.Subscript(ast.Name("dict")):
            return isinstance(value, dict)
        case ast.Subscript(ast.Name(name), inner) if name in _LISTS:
            element = inner.elts[0] if isinstance(inner, ast.Tuple) else inner
            return isinstance(value, list | tuple) and all(_fits(v, element) for v in value)
    return True


def _number_hint(value: Any, kind: str) -> str:
    """How to write a number that YAML has read as text, or as a float, in the type asked for."""
    for element in value if isinstance(value, list | tuple) else [value]:
        try:
            number = float(element)
        except (TypeError, ValueError):
            continue
        if isinstance(element, str) and "float" in kind:
            mantissa, _, exponent = f"{number:e}".partition("e")
            written = f"{float(mantissa)}e{int(exponent):+d}"
            return f"; YAML reads {element} as text, write {written}"
        if not isinstance(element, bool | int) and "int" in kind and number.is_integer():
            return f"; write {int(number)}"
    return ""


def _tuples_to_lists(value: Any) -> Any:
    """papermill writes a tuple as a string into the notebook, a list as a list."""
    return [_tuples_to_lists(v) for v in value] if isinstance(value, list | tuple) else value
