"""Notebooks as one PDF: pandoc reads their text, Typst sets the pages; no LaTeX, no browser, no network.

What a learner wrote is text, never markup of ours: code and outputs are Typst strings, and of the text's links, pictures and raw parts only
those are kept that lead nowhere else. What cannot be set all the same, such as a formula that nobody knows, stands there as it was typed.
"""

import base64
import binascii
import html
import io
import json
import re
import subprocess
import tempfile
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Section", "as_pdf"]

LINES = 150  # of one output; the rest is in the notebook
CHARACTERS = 30_000
SECONDS = 120.0  # for pandoc; it takes a few tenths
UNBROKEN = 40  # characters of a word, after which it may be broken anywhere; in a table of many columns:
UNBROKEN_IN_TABLE = 4
MANY_COLUMNS = 6
INVISIBLE_BREAK = "\u200b"
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
BOXES = "Last Resort"  # a font that Matplotlib has; it knows every character, and draws boxes
READER = "ipynb+raw_tex"  # bare \begin{align} comes as raw TeX
ENVIRONMENTS = re.compile(r"\s*\\begin\{(align|alignat|aligned|cases|equation|eqnarray|gather|multline|split|array|[bpv]?matrix)\*?\}")
HTML = re.compile(r"<!--.*?(?:-->|$)|<(script|style)\b.*?(?:</\1\s*>|$)|<[^>]*>", re.DOTALL | re.IGNORECASE)
ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")

PREAMBLE = """\
#set document(title: {title}, date: none)
#set page(paper: "a4", margin: (x: 2cm, top: 2.2cm, bottom: 2cm), numbering: "1 / 1", header: context {{
  let titles = heading.where(level: 1, bookmarked: auto)
  let here-title = query(selector(titles).before(here())).at(-1, default: none)
  let next = query(titles).filter(it => it.location().page() == here().page()).at(0, default: here-title)
  if next != none {{ text(8pt, gray, next.body); v(-0.6em); line(length: 100%, stroke: 0.4pt + gray) }}
}})
#set text(font: ("Libertinus Serif", "DejaVu Sans"), size: 10.5pt, lang: "en")
#set par(justify: false)
#show heading: set block(above: 1.4em, below: 0.8em)
#show raw: set text(font: ("DejaVu Sans Mono", "DejaVu Sans"), size: 8pt)
#show link: set text(rgb("#0b5394"))
#show table: set text(size: 9pt)
#set table(inset: 5pt, stroke: 0.4pt + gray)
#let horizontalrule = line(length: 100%, stroke: 0.4pt + gray)
#let picture(path) = layout(area => {{
  let natural = measure(image(path))
  let scale = calc.min(0.75, area.width / natural.width, 620pt / natural.height)
  image(path, width: natural.width * scale)
}})
#let boxed(body, left: none, ..options) = block(
  width: 100%, inset: 6pt, above: 0.7em, below: 0.7em, stroke: (left: left), ..options, body
)
#let hanging(line) = {{
  let indent = line.text.len() - line.text.trim(at: start).len()
  // a box does not go on on the next page, and without words it has no height
  if line.text.trim() == "" or line.text.len() > 3000 {{ line }} else {{
    box(width: 100%, par(hanging-indent: (calc.min(indent, 32) + 8) * 0.6em, line.body))
  }}
}}
#let code(source) = {{
  show raw.line: hanging
  boxed(raw(source, lang: "python", block: true), fill: luma(245), sticky: source.split("\n").len() < 25)
}}
#let output(printed) = boxed(raw(printed, block: true), left: 1.5pt + luma(200))
#let trouble(printed) = boxed(raw(printed, block: true), left: 1.5pt + rgb("#cc4444"))
#let typed(source) = boxed(raw(source, block: true))
#let shown(body) = {{ set heading(outlined: false, bookmarked: false); body }}
#align(center, text(20pt, weight: "bold", {title}))
#outline(depth: 2)
"""


@dataclass(frozen=True)
class Section:
    """A notebook in the PDF.

    Attributes
    ----------
    file : its name, "normalization.ipynb"
    title : its heading, unless it begins with one of its own
    notebook : nbformat 4
    """

    file: str
    title: str
    notebook: Mapping[str, Any]


@dataclass
class _Part:
    """A piece of Typst, what stands in its place if it cannot be set, and the function that gets it once it is made of Markdown."""

    typst: str
    instead: str
    place: str
    function: str = ""


def as_pdf(title: str, sections: Sequence[Section], pictures: Path) -> tuple[bytes, list[str]]:
    """One PDF of all notebooks in this order: text, formulas, code, outputs, pictures; the same bytes for the same notebooks.

    Parameters
    ----------
    title : on its first page
    sections : the notebooks
    pictures : folder that pictures in their text are looked up in

    Returns
    -------
    pdf
    warnings : sentences on what could not be shown as it was meant

    Raises
    ------
    ImportError
        pandoc or Typst are not installed.
    ValueError
        One of them gave up.
    """
    try:
        import pypandoc
        import typst
    except ImportError as error:
        raise ImportError("the PDF needs two more packages: pip install chainrule[pdf]") from error
    with tempfile.TemporaryDirectory(prefix="chainrule-pdf-") as folder:
        maker = _Maker(Path(folder), pictures, pypandoc.get_pandoc_path())
        parts = maker.parts(sections)
        preamble = PREAMBLE.format(title=_string(title))
        fonts = typst.Fonts(font_paths=[_fonts()])
        maker.warnings += _unknown_characters(fonts, preamble + "".join(part.typst for part in parts))
        main = Path(folder, "main.typ")

        def compiled(parts):
            main.write_text(preamble + "\n\n".join(part.typst for part in parts) + "\n", encoding="utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # packages are looked for in an empty folder
                return typst.compile(main, root=Path(folder), font_paths=fonts, timestamp=0, package_path=folder, package_cache_path=folder)

        try:
            return compiled(parts), maker.warnings
        except typst.TypstError:
            for part in parts:
                try:
                    compiled([part])
                except typst.TypstError as error:
                    maker.warnings.append(f"{part.place}: cannot be set in the PDF ({error.message}); it stands there as it was typed")
                    part.typst = part.instead
        try:
            return compiled(parts), maker.warnings
        except typst.TypstError as error:
            raise ValueError(f"Typst could not set the PDF: {error.message}") from error


def _fonts() -> Path:
    """Matplotlib's fonts: they have signs that Typst's lack, and are on every machine that has chainrule."""
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf")


def _characters(font: str | Path) -> set[str]:
    from matplotlib.ft2font import FT2Font

    return {chr(code) for code in FT2Font(str(font)).get_charmap()}


def _unknown_characters(fonts, text: str) -> list[str]:
    """A sentence on those that no font of this machine has."""
    # European letters are in every font; marks and joiners have no shape of their own
    left = {each for each in text if each > "\u02ff" and unicodedata.category(each) not in ("Mn", "Me", "Cf", "Zs")}
    left -= _characters(_fonts() / "DejaVuSans.ttf")
    if left:
        left -= {each for font in fonts.fonts() if font.path and not font.family.startswith(BOXES) for each in _characters(font.path)}
    if not left:
        return []
    few = " ".join(sorted(left)[:5])
    return [f"no font of this machine has {few}; the PDF shows boxes: install one, say Noto Sans CJK or Noto Emoji, and submit again"]


class _Maker:
    """Turns cells into parts; keeps the pictures' files, and what there is to say."""

    def __init__(self, folder: Path, pictures: Path, pandoc: str):
        self.folder = folder
        self.pictures = pictures
        self.pandoc = pandoc
        self.warnings: list[str] = []
        self.texts: list[tuple[_Part, str, Mapping[str, Any]]] = []  # parts that pandoc is to fill, their Markdown, their attachments
        self.files = 0

    def parts(self, sections: Sequence[Section]) -> list[_Part]:
        parts = []
        for section in sections:
            parts.append(_Part("#pagebreak(weak: true)", "", section.file))
            first = next((cell for cell in section.notebook["cells"] if _text(cell["source"]).strip()), None)
            if first is None or first["cell_type"] != "markdown" or not _text(first["source"]).lstrip().startswith("# "):
                parts.append(_Part(f"#heading(level: 1, {_string(section.title)})", "", section.file))
            for number, cell in enumerate(section.notebook["cells"], 1):
                parts += self._cell(cell, f"{section.file}, cell {number}")
        self._fill()
        return parts

    def _cell(self, cell, place) -> list[_Part]:
        source = _text(cell["source"])
        if not source.strip():
            return []
        if cell["cell_type"] == "markdown":
            return [self._markdown(source, place, cell.get("attachments", {}))]
        if cell["cell_type"] != "code":
            return [_plain("typed", source, place)]
        parts = [_plain("code", source, place)]
        for output in cell.get("outputs", ()):
            parts += self._output(output, place)
        return parts

    def _output(self, output, place) -> list[_Part]:
        kind = output["output_type"]
        if kind == "stream":
            return self._printed("output" if output["name"] == "stdout" else "trouble", _text(output["text"]), place)
        if kind == "error":
            told = "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}"
            return self._printed("trouble", told, place)
        data = output["data"]
        for mime in PICTURES:
            if mime in data:
                path = self._picture(_bytes(data[mime], mime))
                if path is not None:
                    alternative = self._printed("output", _text(data.get("text/plain", "(a picture)")), place)
                    return [_Part(f"#picture({_string(path)})", "".join(part.typst for part in alternative), place)]
                self.warnings.append(f"{place}: its picture is damaged; the PDF shows its text")
        for mime in ("text/markdown", "text/latex"):
            if mime in data:
                return [self._markdown(_text(data[mime]), place, {}, "shown")]
        plain = _text(data.get("text/plain", ""))
        if "text/html" in data and re.fullmatch(r"(<\S+ object( at \S+)?>)?", plain):  # tables have their text beside them
            plain = _without_tags(_text(data["text/html"])).strip() or "(HTML, to be seen in the notebook)"
        return self._printed("output", plain, place)

    def _printed(self, function, text, place) -> list[_Part]:
        text = ANSI.sub("", text)
        # a progress bar returns to the start of its line: what it wrote last is what one sees
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip("\n").split("\n")]
        kept = "\n".join(lines[:LINES])[:CHARACTERS]
        if not kept.strip():
            return []
        left = len(lines) - kept.count("\n") - 1
        if left or len(kept) < sum(len(line) + 1 for line in lines) - 1:
            kept += f"\n... ({left} more lines are in the notebook)" if left else "\n... (the rest is in the notebook)"
            self.warnings.append(f"{place}: its output is too long for the PDF, which shows the beginning")
        return [_plain(function, kept, place)]

    def _markdown(self, source, place, attachments, function="") -> _Part:
        part = _plain("typed", source, place)
        part.function = function
        self.texts.append((part, source, attachments))
        return part

    def _picture(self, content: bytes | None) -> str | None:
        """The name of its file beside the document; None if it is damaged."""
        from PIL import Image

        if content is None:
            return None
        suffix = "svg"
        if not content.lstrip().startswith(b"<"):
            try:
                with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
                    warnings.simplefilter("error", Image.DecompressionBombWarning)
                    image.load()
                    suffix = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}.get(image.format or "", "")
            except Exception:  # whatever Pillow's decoders make of damaged bytes
                return None
        if not suffix:
            return None
        self.files += 1
        name = f"picture-{self.files}.{suffix}"
        (self.folder / name).write_bytes(content)
        return name

    # --- Markdown ---------------------------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Typst in the place of all Markdown. Each cell is read by itself: what one leaves open ends with it."""
        if not self.texts:
            return
        cells = [
            {"cell_type": "markdown", "id": f"c{index}", "metadata": {}, "source": _clean(source)}
            for index, (_, source, _) in enumerate(self.texts)
        ]
        notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        document = json.loads(self._pandoc(READER, "json", json.dumps(notebook))[0])
        blocks = []
        for index, ((part, _, attachments), block) in enumerate(zip(self.texts, document["blocks"], strict=True)):
            # pandoc calls the attachments of the cell c3 c3-NAME
            self.place, self.attachments = part.place, {f"c{index}-{name}": content for name, content in attachments.items()}
            blocks.append({"t": "Div", "c": [_bare(), self._blocks(block["c"][1])]})
        for index, written in enumerate(self._typst(document, blocks)):
            part = self.texts[index][0]
            part.typst = f"#{part.function}[\n{written}\n]"

    def _typst(self, document, blocks) -> list[str]:
        written, told = self._pandoc("json", "typst", json.dumps({**document, "meta": {}, "blocks": _marked(blocks)}))
        unknown = {tex for block in blocks for tex in _formulas(block) if f"Could not convert TeX math {tex}, rendering" in told}
        if unknown:
            for (part, _, _), block in zip(self.texts, blocks, strict=True):
                for tex in unknown & set(_formulas(block)):
                    first = tex.strip().partition("\n")[0][:60]
                    self.warnings.append(f"{part.place}: the formula {first} cannot be set; the PDF shows it as it was typed")
            blocks = [_with_typed(block, unknown) for block in blocks]
            written, _ = self._pandoc("json", "typst", json.dumps({**document, "meta": {}, "blocks": _marked(blocks)}))
        return [piece.strip("\n") for piece in re.split(r"^// end of text \d+$", written, flags=re.MULTILINE)[: len(blocks)]]

    def _pandoc(self, source: str, target: str, text: str) -> tuple[str, str]:
        try:
            done = subprocess.run(
                [self.pandoc, "-f", source, "-t", target, "--sandbox", "--wrap=preserve"],
                input=text.encode(),
                capture_output=True,
                timeout=SECONDS,
                check=False,
                cwd=self.folder,
            )
        except subprocess.TimeoutExpired as error:
            raise ValueError(f"pandoc did not get through the notebooks' text in {SECONDS:g} seconds") from error
        if done.returncode:
            told = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
            raise ValueError(f"pandoc could not read the notebooks' text: {told[0]}")
        return done.stdout.decode(), done.stderr.decode(errors="replace")

    def _blocks(self, blocks: list) -> list:
        return [self._node(block) for block in blocks]

    def _node(self, node: Any, unbroken: int = UNBROKEN) -> Any:
        """The same piece of pandoc's tree, without what leads out of the document."""
        if isinstance(node, list):
            return [self._node(each, unbroken) for each in node]
        if not isinstance(node, dict) or "t" not in node:
            return node
        kind: str = node["t"]
        content: Any = node.get("c")
        match kind:
            case "Str":
                return {"t": "Str", "c": _breakable(content, unbroken)}
            case "Table":
                columns = UNBROKEN_IN_TABLE if len(content[2]) > MANY_COLUMNS else UNBROKEN
                return {"t": "Table", "c": [_bare(), *self._node(content[1:], columns)]}
            case "Code":
                return _raw("RawInline", f"#raw({_string(_breakable(content[1]))});")
            case "CodeBlock":
                return _raw("RawBlock", f"#typed({_string(_breakable(content[1]))})")
            case "Math":
                return {"t": "Math", "c": [content[0], _labelless(content[1])]}
            case "RawBlock":
                return {"t": "Para", "c": [self._foreign(*content)]}
            case "RawInline":
                return self._foreign(*content)
            case "Link":
                _, text, (target, _) = content
                if re.match(r"(https?://|mailto:)", target):
                    return {"t": "Link", "c": [_bare(), self._node(text, unbroken), [target, ""]]}
                return {"t": "Span", "c": [_bare(), self._node(text, unbroken)]}
            case "Image":
                return self._image(content[2][0])
            case "Figure":
                return {"t": "Div", "c": [_bare(), self._node(content[2], unbroken)]}
            case "Header":
                return {"t": "Header", "c": [content[0], _bare(), self._node(content[2], unbroken)]}
            case "Div" | "Span":
                return {"t": kind, "c": [_bare(), self._node(content[1], unbroken)]}
            case "Cite":
                return {"t": "Span", "c": [_bare(), self._node(content[1], unbroken)]}
        return {"t": kind} if content is None else {"t": kind, "c": self._node(content, unbroken)}

    def _foreign(self, language: str, text: str) -> dict:
        """TeX and HTML inside of Markdown: formulas stay formulas, other TeX is shown as it was typed; of HTML pictures and text remain."""
        if language in ("tex", "latex"):
            if ENVIRONMENTS.match(text):
                return {"t": "Math", "c": [{"t": "DisplayMath"}, _labelless(text.strip())]}
            return _raw("RawInline", f"#raw({_string(_breakable(text))});")
        if re.match(r"<br\s*/?>", text, re.IGNORECASE):
            return {"t": "LineBreak"}
        pictures = re.findall(r"""<img\s[^>]*?src\s*=\s*["']?([^"'\s>]+)""", text, re.IGNORECASE)
        left = {"t": "Str", "c": _breakable(_without_tags(text).strip())}
        return {"t": "Span", "c": [_bare(), [*(self._image(target) for target in pictures), left]]}

    def _image(self, target: str) -> dict:
        path = self._picture(self._content(target))
        if path is not None:
            return _raw("RawInline", f"#picture({_string(path)});")
        name = re.sub(r"^c\d+-", "", target)
        shown = name if len(name) <= 60 else name[:57] + "..."
        self.warnings.append(f"{self.place}: the picture {shown} is not beside the notebook; the PDF shows its name")
        return _raw("RawInline", f"#emph({_string(f'(picture {_breakable(shown)})')});")

    def _content(self, target: str) -> bytes | None:
        from urllib.parse import unquote

        from chainrule.training.storage import read_file

        if target.startswith("data:image/"):
            mime, _, content = target[5:].partition(";base64,")
            return _bytes(content, mime)
        for mime, content in self.attachments.get(unquote(target), {}).items():
            return _bytes(content, mime)
        path = (self.pictures / unquote(target)).resolve()
        if "://" in target or not path.is_relative_to(self.pictures.resolve()):
            return None
        try:
            return read_file(path)
        except (OSError, ValueError):
            return None


def _plain(function: str, text: str, place: str) -> _Part:
    typst = f"#{function}({_string(_breakable(text))})"
    return _Part(typst, typst, place)


def _raw(kind: str, typst: str) -> dict:
    """Typst as it stands; after a call, a semicolon keeps the text that follows from going on with it."""
    return {"t": kind, "c": ["typst", typst]}


def _bare() -> list:
    """No identifier, no classes, no attributes."""
    return ["", [], []]


def _marked(blocks: list) -> list:
    """The blocks, with a line after each that says where it ends."""
    marked = []
    for index, block in enumerate(blocks):
        marked += [block, _raw("RawBlock", f"// end of text {index}")]
    return marked


def _formulas(node: Any) -> list[str]:
    if isinstance(node, list):
        return [tex for each in node for tex in _formulas(each)]
    if not isinstance(node, dict):
        return []
    return [node["c"][1]] if node.get("t") == "Math" else _formulas(node.get("c"))


def _with_typed(node: Any, unknown: set[str]) -> Any:
    """The same tree with these formulas as they were typed."""
    if isinstance(node, list):
        return [_with_typed(each, unknown) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("t") == "Math" and node["c"][1] in unknown:
        return _raw("RawInline", f"#raw({_string(_breakable(node['c'][1]))});")
    return {name: _with_typed(value, unknown) for name, value in node.items()}


def _labelless(tex: str) -> str:
    """Without the labels of equations, to which nothing refers here."""
    return re.sub(r"\\label\{[^}]*\}|\\notag\b|\\nonumber\b", "", tex)


def _text(value: Any) -> str:
    """Text of a notebook, which may be in a list of lines."""
    return value if isinstance(value, str) else "".join(value)


def _bytes(value: Any, mime: str) -> bytes | None:
    if mime == "image/svg+xml":
        return _clean(_text(value)).encode()
    try:
        return base64.b64decode(_text(value))
    except (binascii.Error, ValueError):
        return None


def _clean(text: str) -> str:
    """Without control characters and halves of characters, which are in no font and no encoding."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "", text.replace("\r\n", "\n"))


def _without_tags(markup: str) -> str:
    return html.unescape(HTML.sub(" ", markup))


def _breakable(text: str, unbroken: int = UNBROKEN) -> str:
    """Words of more than so many characters get places to break that take no room."""
    return re.sub(
        rf"\S{{{unbroken},}}", lambda found: found[0][:unbroken] + "".join(INVISIBLE_BREAK + each for each in found[0][unbroken:]), text
    )


def _string(text: str) -> str:
    """A Typst string; nothing in it is markup."""
    return '"' + _clean(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "    ") + '"'
