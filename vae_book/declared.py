"""The parameters that a notebook declares, and the check of values against them.

A notebook declares its parameters by assignments in its one cell tagged `parameters`. The type of
a parameter is its annotation or, without one, the type of its default, which is a literal; nothing
of a notebook is evaluated. A value must also be like its default in sign and in emptiness: what is
positive stays positive, and only a list that is empty by default ("those of the paper") may be.
The comment behind an assignment is for readers and binds as well: "0 to 19" are the limits of a
number, "but not latent_dim" a key that a mapping must not have.
"""

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import nbformat
from pydantic import ConfigDict, TypeAdapter, ValidationError

from vae_book.params import ParameterError, nearest, parse_yaml, shown

LIMITS = re.compile(r"\b([\d,]+) to ([\d,]+)\b")
OWN_FIELDS = re.compile(r"\bbut not ([\w, ]+)")
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_TYPES: dict[str, Any] = {"bool": bool, "int": int, "float": float, "str": str, "dict": dict}
_TYPES |= dict.fromkeys(("list", "tuple", "Sequence", "Iterable"), list)


class Parameter(NamedTuple):
    """A parameter that a notebook declares; `default` and `type` as they would be written."""

    name: str
    default: str
    type: str
    comment: str = ""

    @property
    def value(self) -> Any:
        """The default; None if it is an expression (which is not evaluated)."""
        return _literal(self.default)

    def read(self, text: str) -> Any:
        """A value written as YAML on the command line; a list may do without its brackets."""
        value = parse_yaml(text, f"-p {self.name}")
        if self.type.startswith("list") and not isinstance(value, list):
            return parse_yaml(f"[{text}]", f"-p {self.name}")
        return value

    def check(self, value: Any) -> Any:
        """The value with tuples as lists; ParameterError says why it is none for this parameter."""
        value = _tuples_to_lists(value)
        where = f"{self.name}={shown(value)}"
        if isinstance(value, list) and None in value and "None" not in self.type:
            raise ParameterError(f"{where} has an empty element: leave {self.name} out instead")
        try:
            TypeAdapter(_type(_parse(self.type)), config=_STRICT).validate_python(value)
        except ValidationError:
            hint = _number_hint(value, self.type)
            raise ParameterError(
                f"{where} is not of type {self.type} (default {self.default}){hint}"
            ) from None
        if value == [] and self.value:
            raise ParameterError(f"{where} is empty; name at least one (default {self.default})")
        if min(_numbers(self.value), default=0) > 0 and any(n <= 0 for n in _numbers(value)):
            raise ParameterError(f"{where} must be above 0 (default {self.default})")
        self._check_limits(value, where)
        return value

    def _check_limits(self, value: Any, where: str) -> None:
        """Refuses what the comment rules out."""
        if limits := LIMITS.search(self.comment):
            low, high = (int(limit.replace(",", "")) for limit in limits.groups())
            if not all(low <= number <= high for number in _numbers(value)):
                raise ParameterError(f"{where} must be {limits[0]} (default {self.default})")
        for name in re.findall(r"\w+", "".join(OWN_FIELDS.findall(self.comment))):
            if isinstance(value, dict) and name in value:
                raise ParameterError(f"{where}: the notebook itself sets {name}, leave it out")


def declared_parameters(notebook: str | Path) -> dict[str, Parameter]:
    """The parameters of a notebook, read from its cell tagged `parameters`; {} without one.

    Raises:
        ParameterError: the file is no notebook, or the cell is not as described above.
    """
    for source, tags in code_cells(notebook):
        if "parameters" in tags:
            try:
                comments = _comments(source)
                found = [
                    parameter._replace(comment=comments.get(statement.end_lineno, ""))
                    for statement in ast.parse(source).body
                    if (parameter := _parameter(statement)) is not None
                ]
                return {parameter.name: parameter for parameter in found}
            except (SyntaxError, tokenize.TokenError, ParameterError) as error:
                raise ParameterError(f"{notebook}: the cell tagged `parameters`: {error}") from None
    return {}


def check_types(notebook: str | Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with tuples as lists, once each is declared by the notebook and of its type.

    Raises:
        ParameterError: names the notebook, the parameter, the value and what would be right.
    """
    declared = declared_parameters(notebook)
    for name in values:
        if name not in declared:
            hint = nearest(name, declared)
            raise ParameterError(f"{notebook} declares no parameter {name!r}; {hint}")
    try:
        return {name: declared[name].check(value) for name, value in values.items()}
    except ParameterError as error:
        raise ParameterError(f"{notebook}: {error}") from None


def code_cells(notebook: str | Path) -> list[tuple[str, list[str]]]:
    """Source and tags of each cell with code; ParameterError if the file is no notebook."""
    try:
        cells = nbformat.read(notebook, as_version=4).cells
        return [(c.source, c.metadata.get("tags", [])) for c in cells if c.cell_type == "code"]
    except (OSError, ValueError, TypeError, AttributeError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ParameterError(f"{notebook} cannot be read as a notebook: {reason}") from None


def _comments(source: str) -> dict[int | None, str]:
    """The comments of a cell by their lines."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def _parameter(statement: ast.stmt) -> Parameter | None:
    """The parameter that a statement `name = value` or `name: type = value` declares."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        if statement.value is None:
            return None
        kind = ast.unparse(statement.annotation)
        return Parameter(statement.target.id, ast.unparse(statement.value), kind)
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        name, source = statement.targets[0].id, ast.unparse(statement.value)
        if source != "None" and _literal(source) is None:
            raise ParameterError(
                f"{name} = {source} is not a literal: write one out, or annotate it "
                f"(`{name}: int = `)"
            )
        return Parameter(name, source, _type_of(_literal(source)))
    return None


def _literal(source: str) -> Any:
    try:
        return ast.literal_eval(source)
    except ValueError:
        return None


def _type_of(value: Any) -> str:
    """How the type of a literal is written."""
    if isinstance(value, list | tuple):
        elements = sorted({_type_of(element) for element in value})
        return f"list[{' | '.join(elements)}]" if elements else "list"
    return "Any" if value is None else type(value).__name__


def _parse(annotation: str) -> ast.expr:
    return ast.parse(annotation, mode="eval").body


def _type(node: ast.expr) -> Any:
    """The type that an annotation spells, without evaluating it; Any for names that are unknown."""
    match node:
        case ast.Constant(None):
            return None
        case ast.Constant(str(quoted)):
            return _type(_parse(quoted))
        case ast.BinOp(left, ast.BitOr(), right):
            return _type(left) | _type(right)
        case ast.Subscript(ast.Name("Literal"), choices):
            return Literal[ast.literal_eval(choices)]
        case ast.Subscript(ast.Name("Optional"), inner):
            return _type(inner) | None
        case ast.Subscript(ast.Name("dict"), ast.Tuple([key, value])):
            return _TYPES["dict"][_type(key), _type(value)]
        case ast.Subscript(ast.Name(name), inner) if _TYPES.get(name) is list:
            return _TYPES[name][_type(inner.elts[0] if isinstance(inner, ast.Tuple) else inner)]
        case ast.Name(name):
            return _TYPES.get(name, Any)
    return Any


def _numbers(value: Any) -> list[int | float]:
    """The numbers that a value is, or is a list of."""
    values = value if isinstance(value, list) else [value]
    return [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]


def _number_hint(value: Any, kind: str) -> str:
    """How to write a number that came as text, or as a float, in the type asked for."""
    for element in value if isinstance(value, list) else [value]:
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
