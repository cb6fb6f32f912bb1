"""Run files read as text: typed parameters, and refusals that name what is wrong. Nothing is ever executed."""

from __future__ import annotations

import pytest

from gpu_graph.errors import GraphError
from gpu_graph.run_file import RESERVED, read_run_file


@pytest.fixture
def read(tmp_path):
    def from_source(source: str | bytes):
        path = tmp_path / "file.py"
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
        return read_run_file(path)

    return from_source


@pytest.fixture
def parameter(read):
    """The one parameter of a build with this signature."""
    return lambda declared: read(f"def build({declared}): ...").parameters[0]


def test_reading_never_runs_the_file(read, tmp_path):
    read(f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef build(): ...\n")
    assert not (tmp_path / "ran").exists()


def test_the_docstring_is_the_description(read):
    assert read('"""Layers against behaviours."""\ndef build(): ...').description == "Layers against behaviours."
    assert read('def build():\n    """Said there."""').description == "Said there."


@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        ("n: int = 3", "17", 17),
        ("x: float = 0.5", "-1.5e3", -1500.0),
        ("name: str = 'a'", "two words", "two words"),
        ("on: bool = False", "yes", True),
        ("n=3", "4", 4),
        ("on=True", "false", False),
        ("xs=(0.5, 1.0)", "1,2", (1.0, 2.0)),
        ("mode: Literal['a', 'b'] = 'a'", "b", "b"),
        ("k: Literal[1, 2] = 1", "2", 2),
        ("xs: tuple[int, ...] = (1,)", "1 2,3", (1, 2, 3)),
        ("xs: list[str] = []", "a,b", ("a", "b")),
        ("xs: 'tuple[float, ...]'", "-1 0 1", (-1.0, 0.0, 1.0)),
        ("n: int | None = None", "none", None),
        ("n: Optional[int] = None", "5", 5),
        ("where: Path = 'x'", "a/b", "a/b"),
    ],
)
def test_a_parameters_text_is_read_by_its_type(parameter, declared, text, value):
    assert parameter(declared).parse(text) == value


@pytest.mark.parametrize(
    ("declared", "text", "wanted"),
    [
        ("n: int = 3", "2.5", "a whole number"),
        ("x: float = 1.0", "much", "a number"),
        ("on: bool = True", "maybe", "true or false"),
        ("mode: Literal['a', 'b'] = 'a'", "c", "one of a, b"),
        ("xs: tuple[int, ...] = ()", "1,two", "a whole number"),
    ],
)
def test_a_wrong_value_is_refused_with_the_parameter_and_the_value(parameter, declared, text, wanted):
    with pytest.raises(GraphError, match=wanted) as refused:
        parameter(declared).parse(text)
    name = declared.split(":")[0]
    assert str(refused.value).startswith(f"{name}: ")


def test_a_parameter_without_default_is_required_and_keyword_only_ones_count(read):
    file = read("def build(a: int, *, b: str = 'x', c: float): ...")
    assert [(p.name, p.required) for p in file.parameters] == [("a", True), ("b", False), ("c", True)]


@pytest.mark.parametrize("name", sorted(RESERVED - {"from"}))
def test_a_parameter_named_like_an_option_of_run_is_refused_by_name(read, name):
    with pytest.raises(GraphError, match=f"'{name}', which is an option of tiller run"):
        read(f"def build({name}: str = 'x'): ...")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def build(:\n", "line 1"),
        ("def build(n: int = 1 + count()): ...", "the default of 'n' is 1 + count()"),
        ("def build(n = {1, 2}): ...", "the default of 'n' is {1, 2}"),
        ("def build(n = {[]: 1}): ...", "the default of 'n'"),
        ("def build(n = b'x'): ...", "the default of 'n'"),
        ("def build(n: dict[str, int] = None): ...", "'n' has the type dict[str, int]"),
        ("def build(n: 'not valid('): ...", "'n' has the type"),
        ("def build(n: Literal[A]): ...", "'n' has the type Literal[A]"),
        ("def build(*names): ...", "*args"),
        ("def build(a, /): ...", "positional-only"),
        ("answer = 42", "neither a function build"),
        ("async def build(): ...", "neither a function build"),
        ("import gpu_graph\nfrom gpu_graph import run\nrun([0], {}, {})", "calls run(…) itself; start it with: python"),
        ("x = 1\0", "not valid Python"),
        ("x = " + "(" * 5000 + ")" * 5000, "file.py"),
        (b"\xff\xfe", "it is not UTF-8 text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_file_named(read, source, said):
    with pytest.raises(GraphError) as refused:
        read(source)
    assert said in str(refused.value)
    assert "file.py" in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(GraphError, match=r"nothing\.py: No such file"):
        read_run_file(tmp_path / "nothing.py")
    with pytest.raises(GraphError, match="Is a directory"):
        read_run_file(tmp_path)


def test_a_module_level_graph_needs_no_build(read):
    assert not read("graph = make()").has_build
    assert not read("graph: Graph = make()").has_build
