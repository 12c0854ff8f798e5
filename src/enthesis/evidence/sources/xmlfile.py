"""An XML file from outside: bounded, without entities, without anything fetched. What is not so is refused.

A document type may be named, as PubMed does, but it is never loaded and may declare nothing: that is how small files
grow into memory (XML bombs) or read other files (external entities).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from enthesis.errors import DataError, shortened

if TYPE_CHECKING:
    from lxml.etree import _Element

#: 10,000 PubMed records with abstracts take about 100 MB
MAX_BYTES = 128 * 2**20
#: other encodings can hide declarations from the look at the bytes, and no source of evidence uses them
ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "windows-1252", "utf-16"})

_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


def parse_xml(content: bytes, name: str, roots: tuple[str, ...], what: str) -> _Element:
    """The root element of an XML document.

    Parameters
    ----------
    content : bytes
    name : str
        What messages call the file.
    roots : tuple of str
        Names that the root element may have.
    what : str
        What such a file is, for messages: `PubMed XML`.

    Returns
    -------
    lxml element

    Raises
    ------
    DataError
        When it is too large, not XML, cut, nested without end, declares entities, or is of another kind.

    Examples
    --------
    >>> parse_xml(b"<a><b/></a>", "t.xml", ("a",), "a list").tag
    'a'
    """
    from lxml import etree

    if len(content) > MAX_BYTES:
        raise DataError(f"is larger than {MAX_BYTES // 2**20} MB", file=name, fix="Split it into several files.")
    _refuse_declarations(content, name)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as problem:
        line = getattr(problem, "lineno", None)
        reason = str(problem).split(", line ")[0].rstrip(".") or "no element"
        raise DataError(
            f"cannot be read as XML ({shortened(reason, 120)})",
            file=name,
            row=line or None,
            fix=f"Export the {what} again: the file may be cut or not XML.",
        ) from None
    for entity in root.iter(etree.Entity):
        raise DataError(
            f"uses the entity {shortened(entity.text, 40)}, which it does not define",
            file=name,
            row=entity.sourceline,
            fix="Export the file again with plain characters.",
        )
    tag = str(root.tag).rpartition("}")[2]
    if tag not in roots:
        raise DataError(
            f"is not {what}: its first element is {shortened(tag, 40)!r}, not {' or '.join(map(repr, roots))}",
            file=name,
            fix="Is it the right file?",
        )
    return root


def _refuse_declarations(content: bytes, name: str) -> None:
    found = _DECLARED.match(content[:400].removeprefix(b"\xef\xbb\xbf"))
    if found and found[1].decode().lower() not in ENCODINGS:
        raise DataError(
            f"is encoded as {found[1].decode()}", file=name, fix="Save it as UTF-8, and say so in its first line."
        )
    plain = content.replace(b"\x00", b"") if b"\x00" in content else content
    if re.search(rb"<!(ENTITY|ELEMENT|ATTLIST|NOTATION)", plain):
        raise DataError(
            "declares entities or elements of its own, which no export does and a hostile file may",
            file=name,
            fix="Remove the declarations between [ and ] after DOCTYPE.",
        )


def text_of(element: _Element | None) -> str:
    """The text of an element and all within it, blanks collapsed; empty for None.

    Examples
    --------
    >>> from lxml import etree
    >>> text_of(etree.fromstring("<t>JAK<sub>1</sub>\\n and more</t>"))
    'JAK1 and more'
    """
    return "" if element is None else " ".join("".join(element.itertext()).split())
