"""Notebooks as a PDF: everything in them is there, and nothing in them is taken for markup of ours."""

import base64
import io
import sys

import pytest
from nbformat import v4
from PIL import Image

from chainrule.lab.pdf import Section, as_pdf

pypandoc = pytest.importorskip("pypandoc", reason="pandoc comes with the extra `pdf`")
typst = pytest.importorskip("typst", reason="Typst comes with the extra `pdf`")
pypdf = pytest.importorskip("pypdf", reason="it reads what was written")

BREAK = "\u200b"


def picture(width=40, height=30, kind="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def text(source, **options):
    return v4.new_markdown_cell(source, **options)


def code(source, *outputs):
    return v4.new_code_cell(source, outputs=list(outputs))


def shown(**data):
    return v4.new_output("display_data", data={name.replace("_", "/").replace("/svg", "/svg+xml"): value for name, value in data.items()})


def printed(words, name="stdout"):
    return v4.new_output("stream", name=name, text=words)


def made(*cells, folder):
    """The PDF's pages after the table of contents, their text, and the warnings."""
    content, warnings = as_pdf("a2", [Section("lab.ipynb", "Lab", v4.new_notebook(cells=list(cells)))], folder)
    pages = pypdf.PdfReader(io.BytesIO(content)).pages[1:]
    return pages, "\n".join(page.extract_text() for page in pages).replace(BREAK, ""), warnings


def test_text_formulas_code_outputs_and_pictures_are_in_it(tmp_path):
    pages, words, warnings = made(
        text("# Größe\n\nStraße, naïve, ∂L/∂x ✓, [course](https://cs231n.github.io)"),
        text(r"Inline $\hat{x}_i$, then" + "\n\n" + r"$$\sum_{i=1}^N x_i \label{a}$$"),
        text("and\n\n\\begin{align}\na &= \\frac{b}{c} \\\\ d &= e\n\\end{align}"),
        text("| rule | step |\n|---|---|\n| momentum | $v$ |"),
        code("def f(x):\n    return x  # kept", printed("\x1b[31mred\x1b[0m\n 1%\r100%\n"), printed("mind\n", "stderr")),
        code("f()", v4.new_output("error", ename="ValueError", evalue="no", traceback=["\x1b[0;31mValueError\x1b[0m: no"])),
        code("plot()", shown(image_png=picture(), text_plain="<Figure>")),
        code("df", shown(text_html="<table>", text_plain="   a\n0  1"), shown(text_html="<b>only</b> &amp; HTML")),
        code("tex", shown(text_latex=r"$\displaystyle y^2$", text_plain="y**2"), shown(text_markdown="**strong**")),
        v4.new_raw_cell("as it is"),
        folder=tmp_path,
    )  # fmt: skip
    assert warnings == []
    for expected in ("Größe", "Straße, naïve, ∂L/∂x ✓, course", "momentum", "return x  # kept", "red\n100%", "mind", "ValueError: no"):
        assert expected in words
    for expected in ("0  1", "only  & HTML", "strong", "as it is"):
        assert expected in words
    for unwanted in ("\\", "$", "begin", "<Figure>", "<table>", "y**2", " 1%", "\x1b"):
        assert unwanted not in words
    assert sum(len(page.images) for page in pages) == 1


def test_notebooks_follow_in_order_with_their_headings_and_page_numbers(tmp_path):
    sections = [
        Section("first.ipynb", "First", v4.new_notebook(cells=[text("# One\n## Inside"), code("1")])),
        Section("second.ipynb", "Second", v4.new_notebook(cells=[code("2")])),
        Section("third.ipynb", "Third", v4.new_notebook(cells=[])),
    ]
    content, warnings = as_pdf("a2: notebooks", sections, tmp_path)
    reader = pypdf.PdfReader(io.BytesIO(content))
    contents, one, two, _ = (page.extract_text() for page in reader.pages)
    assert [line.rstrip(".0123456789 ") for line in contents.splitlines()[1:]][:6] == [
        "a2: notebooks",
        "Contents",
        "One",
        "Inside",
        "Second",
        "Third",
    ]
    assert one.startswith("One\n") and one.endswith("2 / 4")
    assert two.startswith("Second\n") and two.endswith("3 / 4")
    assert warnings == []
    assert as_pdf("a2: notebooks", sections, tmp_path)[0] == content


HOSTILE = [
    "#panic()",
    '`#panic("x")`{=typst}',
    "```{=typst}\n#panic()\n```",
    "] #panic() [ $ ` \\",
    '$\\text{"#panic()}$',
    "$\\mathrm{#panic()}$",
    "`code`.field (argument)[content]",
    "```\nnever closed #panic()",
    "<!-- never closed",
    "$$ \\left( \\unknown{x} $$",
    "[a](#nowhere) [b](javascript:alert(1)) <nowhere> @nobody [@nobody] ^1",
    '#import "@preview/cetz:0.3.0"',
    '#read("/etc/passwd")',
    "a\x00b\ud800c",
    "",
    "# ",
    "|\n|-|\n",
    "::: {.x}\n\n# A {#a}\n\n# B {#a}",
    "<script>#panic()</script> <div>",
]


def test_nothing_that_is_typed_is_markup_of_ours(tmp_path):
    cells = (
        [text(each) for each in HOSTILE]
        + [code(each or "pass", printed(each)) for each in HOSTILE]
        + [v4.new_raw_cell(each) for each in HOSTILE]
    )
    _, words, warnings = made(*cells, folder=tmp_path)
    assert words.count("#panic()") >= 10
    assert "root:" not in words
    assert [each for each in warnings if "cannot be set in the PDF (" in each] == []
    assert [each for each in warnings if "the formula" in each] == [
        "lab.ipynb, cell 6: the formula \\mathrm{#panic()} cannot be set; the PDF shows it as it was typed",
        "lab.ipynb, cell 10: the formula \\left( \\unknown{x} cannot be set; the PDF shows it as it was typed",
    ]
    assert "\\unknown{x}" in words


def test_long_lines_and_wide_tables_stay_on_the_page(tmp_path):
    table = "|".join(f"{number * 1234.5678:.9f}" for number in range(14))
    pages, words, _ = made(
        code("name = '" + "a" * 500 + "'", printed("word " * 100 + "\n" + "b" * 500)),
        text("c" * 500),
        text(f"|{'|'.join('x' * 14)}|\n|{'-|' * 14}\n|{table}|"),
        folder=tmp_path,
    )
    right = float(pages[0].mediabox.right)
    reached = []
    for page in pages:
        page.extract_text(visitor_text=lambda words, at, matrix, font, size: reached.append((at[4] + matrix[4], words)))
    assert max(x for x, words in reached if words.strip()) < right - 50
    for letter in "abc":
        assert words.replace("\n", "").count(letter) >= 500


def test_what_goes_on_of_a_long_line_of_code_is_further_in_than_its_start(tmp_path):
    source = f"def f(x):\n    y = [{'first, ' * 12}{'second, ' * 8}]\n\n    return y  # last"
    ((page, *_), _, _) = made(code(source), folder=tmp_path)
    lines = page.extract_text(extraction_mode="layout").splitlines()
    start, indented, continued, last = (
        next(line.index(word) for line in lines if word in line) for word in ("def", "y =", "second", "return")
    )
    assert start < indented == last
    assert continued - indented > indented - start


def test_a_line_of_code_that_is_longer_than_a_page_goes_on_on_the_next(tmp_path):
    _, words, _ = made(code("x = '" + "word " * 3000 + "'"), folder=tmp_path)
    assert words.count("word") == 3000


def test_a_heading_that_a_cell_prints_is_none_of_the_notebook(tmp_path):
    cells = [text("# Lab"), code("show()", shown(text_markdown="# big")), text("\n\n".join(["after"] * 100))]
    content, _ = as_pdf("a2", [Section("lab.ipynb", "Lab", v4.new_notebook(cells=cells))], tmp_path)
    contents, first, second, *_ = (page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    assert "big" in first
    assert "big" not in contents
    assert second.startswith("Lab\n")


def test_html_without_another_form_is_shown_as_its_text_or_told(tmp_path):
    plain = "<IPython.core.display.HTML object>"
    cell = code("show()", shown(text_html="<b>hi</b>", text_plain=plain), shown(text_html="<svg></svg>", text_plain=plain))
    _, words, _ = made(cell, folder=tmp_path)
    assert "hi" in words
    assert "(HTML, to be seen in the notebook)" in words
    assert plain not in words


def test_long_outputs_are_shortened_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("chainrule.lab.pdf.CHARACTERS", 1000)
    pages, words, warnings = made(code("flood()", printed("line\n" * 5000), printed("x" * 1001)), folder=tmp_path)
    assert "... (4850 more lines are in the notebook)" in words
    assert "... (the rest is in the notebook)" in words
    assert len(pages) < 12
    assert warnings == ["lab.ipynb, cell 1: its output is too long for the PDF, which shows the beginning"] * 2


def test_pictures_fit_the_page_and_damaged_ones_give_way_to_their_text(tmp_path):
    pages, words, warnings = made(
        code("wide", shown(image_png=picture(3000, 30), text_plain="wide")),
        code("tall", shown(image_jpeg=picture(30, 3000, "JPEG"), text_plain="tall")),
        code("broken", shown(image_png="AAAA", text_plain="<broken png>")),
        code("worse", shown(image_svg="<svg", text_plain="<broken svg>")),
        folder=tmp_path,
    )
    assert sum(len(page.images) for page in pages) == 2
    assert "<broken png>" in words
    assert "<broken svg>" in words
    assert warnings[0] == "lab.ipynb, cell 3: its picture is damaged; the PDF shows its text"
    assert warnings[1].startswith("lab.ipynb, cell 4: cannot be set in the PDF (failed to parse SVG")


def test_pictures_in_the_text_come_from_the_notebook_or_its_folder_and_from_nowhere_else(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    for path in (work / "in side.png", tmp_path / "outside.png"):
        path.write_bytes(base64.b64decode(picture()))
    (work / "link.png").symlink_to(tmp_path / "outside.png")
    pages, words, warnings = made(
        text("![a](in%20side.png) ![b](attachment:c.png)", attachments={"c.png": {"image/png": picture(50)}}),
        text(f"<img src='in%20side.png'> ![d](data:image/png;base64,{picture(60)})"),
        text(f"![](../outside.png) ![]({tmp_path}/outside.png) ![](link.png) ![](https://a.b/c.png) <img src=none.png>"),
        folder=work,
    )
    assert sum(len(page.images) for page in pages) == 3  # that which is there twice is stored once
    assert warnings[0] == "lab.ipynb, cell 3: the picture ../outside.png is not beside the notebook; the PDF shows its name"
    assert len(warnings) == 5
    assert words.count("(picture ") == 5


def test_characters_that_no_font_has_are_told(tmp_path):
    _, _, warnings = made(text("\U000f0000 ä → 😀\ufe0f"), folder=tmp_path)
    assert warnings == [
        "no font of this machine has \U000f0000; the PDF shows boxes: install one, say Noto Sans CJK or Noto Emoji, and submit again"
    ]


def test_a_text_that_pandoc_does_not_get_through_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("chainrule.lab.pdf.SECONDS", 0.0001)
    with pytest.raises(ValueError, match=r"^pandoc did not get through the notebooks' text in 0\.0001 seconds$"):
        made(text("x"), folder=tmp_path)


@pytest.mark.parametrize("missing", ["pypandoc", "typst"])
def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install chainrule\[pdf\]"):
        made(text("x"), folder=tmp_path)
