"""Small changes of a source text, each of which some test should notice: mutants, for scripts/mutants.py.

Left as it is: what no test should hold (docstrings, annotations, decorators, texts of errors and warnings, `__all__`,
`TYPE_CHECKING`) and `zip(..., strict=True)`, which states what cannot be.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
PAIRS = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}


@dataclass(frozen=True)
class Mutant:
    """One change: `source` with the bytes from `start` to `end` replaced. Lines count from 1."""

    file: str
    line: int
    lines: tuple[int, ...]  # of the statement, for what covers it
    kind: str
    before: str
    after: str
    start: int
    end: int
    in_function: bool
    statement: str  # its first line

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]

    def __str__(self) -> str:
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.file}:{self.line} [{self.kind}] {before} -> {after}"


def mutants(file: str, source: bytes) -> list[Mutant]:
    """All mutants of a file, in the order of its lines."""
    return sorted(_Finder(file, source).found, key=lambda one: (one.start, one.end, one.after))


class _Finder:
    """Walks a syntax tree and notes what could be changed where."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source, self.found = file, source, list[Mutant]()
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._statement: ast.stmt | None = None
        self._functions = 0
        self._visit(ast.parse(source))

    def _visit(self, node: ast.AST) -> None:
        if _is_left(node):
            return
        before = self._statement
        if isinstance(node, ast.stmt):
            self._statement = node
        for kind, changed in _changes(node):
            self._note(node, kind, changed)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for field, child in _children(node):
            # Defaults of arguments are of the module's time, not of the call's.
            entered = inside and field == "body"
            self._functions += entered
            self._visit(child)
            self._functions -= entered
        self._statement = before

    def _note(self, node: ast.AST, kind: str, changed: str) -> None:
        assert isinstance(node, ast.expr | ast.stmt)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[node.end_lineno - 1] + node.end_col_offset
        self.found.append(
            Mutant(
                self.file,
                node.lineno,
                self._lines(node),
                kind,
                self.source[start:end].decode(),
                changed,
                start,
                end,
                self._functions > 0,
                self.source.splitlines()[self._lines(node)[0] - 1].strip().decode(),
            )
        )

    def _lines(self, node: ast.expr | ast.stmt) -> tuple[int, ...]:
        """Lines of the node, and of the first line of its statement, which is the one that tracers note."""
        assert node.end_lineno is not None
        first = self._statement.lineno if self._statement is not None else node.lineno
        return tuple(sorted({first, *range(node.lineno, node.end_lineno + 1)}))


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield field, child


def _is_left(node: ast.AST) -> bool:
    """Whether nothing is changed in the node."""
    match node:
        case ast.Raise() | ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec"))):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="warnings")))):
            return True
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(op=ast.BitOr()) | ast.Subscript()):
            return name.lstrip("_")[:1].isupper() and not name.isupper()  # a type by another name
        case ast.Call(func=ast.Name(id="cast" | "isinstance" | "issubclass")):
            return True
        case ast.keyword(arg="strict"):
            return True
    return False


def _changes(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Kinds of changes of this node (not of its children), each with the text that stands in its place."""
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                changed = copy.deepcopy(node)
                changed.ops[index] = COMPARISONS[type(operator)]()
                yield "comparison", _text(changed)
        case ast.BinOp() if type(node.op) in ARITHMETIC and not _is_text(node):
            yield "arithmetic", _text(ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))
        case ast.AugAssign() if type(node.op) in ARITHMETIC:
            yield "arithmetic", ast.unparse(ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value))
        case ast.BoolOp():
            yield "and/or", _text(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
        case ast.UnaryOp(op=ast.Not() | ast.USub()) if not isinstance(node.operand, ast.Constant):
            yield "not or minus dropped", _text(node.operand)
        case ast.Constant(value=bool()):
            yield "constant", str(not node.value)
        case ast.Constant(value=int() | float() as value):
            if value + 1 != value:
                yield "constant", repr(value + 1)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "returned value", "return None"
        case ast.Expr(value=ast.Call()):
            yield "call dropped", "pass"
        case ast.Break():
            yield "break/continue", "continue"
        case ast.Continue():
            yield "break/continue", "break"
        case ast.IfExp():
            yield "condition negated", _text(ast.IfExp(_negated(node.test), node.body, node.orelse))
    yield from _changes_of_calls(node)


def _changes_of_calls(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in PAIRS:
            yield "min/max, any/all", _text(ast.Call(ast.Name(PAIRS[name]), node.args, node.keywords))
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in PAIRS:
            yield "min/max, any/all", _text(ast.Call(ast.Attribute(value, PAIRS[name]), node.args, node.keywords))
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg not in (None, "strict"):
                kept = [one for one in node.keywords if one is not keyword]
                yield "keyword dropped", _text(ast.Call(node.func, node.args, kept))
    # The condition itself is what is replaced: the block behind it stays as it is.
    if isinstance(node, ast.expr) and getattr(node, "is_condition", False):
        yield "condition negated", _text(_negated(node))
    if isinstance(node, ast.If | ast.While) and not _is_flipped(node.test):
        node.test.is_condition = True  # type: ignore[attr-defined]


def _is_flipped(node: ast.expr) -> bool:
    """Whether another change of the node negates it already."""
    if isinstance(node, ast.Compare):
        return not isinstance(node.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
    return isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))


def _negated(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), node)


def _is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(one, ast.JoinedStr) or isinstance(getattr(one, "value", None), str) for one in sides)


def _text(node: ast.expr) -> str:
    """Source of an expression, in brackets where it could fall apart."""
    text = ast.unparse(node)
    return text if isinstance(node, ast.Name | ast.Constant | ast.Call | ast.Attribute) else f"({text})"
