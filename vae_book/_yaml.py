"""YAML as the book reads it: a safe subset in which nothing is surprising.

Numbers such as `1e-3` and `1e7`, which YAML 1.1 reads as text, are numbers, and `none` is no value.
Numbers are decimal, as in YAML 1.2: `012` is twelve and `1:30` is text, not 10 and 90.
A name that is given twice, a value that contains itself and a text that is too large, too deep or
grows too large by its aliases are refused.
"""

import re
from typing import Any

import yaml

MAX_CHARACTERS = 100_000
MAX_NODES = 20_000  # with each alias written out
MAX_DEPTH = 20


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the rules above; errors are ConstructorErrors with their place."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _written_out(node, {})
        return node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth = getattr(self, "depth", 0) + 1
        if self.depth > MAX_DEPTH:
            raise _error(self.peek_event(), f"lists nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _error(key, f"{key.value!r} is given twice")
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return node

    def construct_decimal(self, node: yaml.ScalarNode) -> int:
        try:
            return int(node.value.replace("_", ""))
        except ValueError:
            raise _error(node, f"{node.value!r} is not a whole number") from None

    def construct_exponential(self, node: yaml.ScalarNode) -> int | float:
        number = float(node.value)
        return int(number) if "e-" not in node.value.lower() and number.is_integer() else number


NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}  # with octals, sexagesimals
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag not in NUMBERS]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9][0-9_]*$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?$"
        r"|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_decimal)
# a mantissa without a point, or an exponent without a sign: text to PyYAML, a number to all else
_Loader.add_implicit_resolver(
    "!exponential", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]{1,2}$"), list("-+0123456789")
)
_Loader.add_constructor("!exponential", _Loader.construct_exponential)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(none|None)$"), ["n", "N"])


def load(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        ValueError: in one line, what is wrong and where.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{len(text):,} characters, more than {MAX_CHARACTERS:,}")
    try:
        return yaml.load(text, _Loader)  # a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{place}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:  # a control character, 2020-99-99
        raise ValueError(" ".join(str(error).split())) from None
    except (AttributeError, LookupError):  # what PyYAML raises for `!!bool maybe`
        raise ValueError("a tag (`!!...`) that does not suit its value") from None


def _written_out(node: yaml.Node, sizes: dict[int, int | None]) -> int:
    """The number of nodes below and with this one once each alias is written out."""
    if id(node) in sizes:
        size = sizes[id(node)]
        if size is None:
            raise _error(node, "a value that contains itself")
        return size
    sizes[id(node)] = None  # being counted
    children = node.value if isinstance(node, yaml.CollectionNode) else []
    if isinstance(node, yaml.MappingNode):
        children = [part for pair in children for part in pair]
    size = 1 + sum(_written_out(child, sizes) for child in children)
    if size > MAX_NODES:
        raise _error(node, f"more than {MAX_NODES:,} values, aliases written out")
    sizes[id(node)] = size
    return size


def _error(at: Any, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, at.start_mark)
