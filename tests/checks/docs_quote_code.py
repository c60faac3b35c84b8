#!/usr/bin/env python3
"""Compares every quoted piece of C in the documents with the source that it comes from.

A document says where a piece is from in a comment just before it:

    <!-- from examples/cluster_basic/main.c [node] -->

The source marks the same piece with two comments /* [node] */. C that is quoted without such a
comment is an error: it would be code that nothing compiles.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUOTE = re.compile(
    r"(?:<!-- from (?P<path>\S+) \[(?P<mark>\w+)\] -->\n)?```c\n(?P<code>.*?)```\n", re.S)


def marked_piece(path, mark):
    parts = (ROOT / path).read_text(encoding="utf-8").split(f"/* [{mark}] */\n")
    return parts[1] if len(parts) == 3 else None


def check_quote(document, quote):
    name = document.relative_to(ROOT)
    if quote["path"] is None:
        return f"{name}: C code without a comment that says where it is from"
    piece = marked_piece(quote["path"], quote["mark"])
    if piece is None:
        return f"{name}: {quote['path']} has no piece between two marks [{quote['mark']}]"
    if piece != quote["code"]:
        return f"{name}: the piece [{quote['mark']}] of {quote['path']} reads otherwise now"
    return None


def main():
    documents = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md"))
    documents += sorted(ROOT.glob("examples/**/*.md"))
    quotes = [(d, q) for d in documents for q in QUOTE.finditer(d.read_text(encoding="utf-8"))]
    problems = [p for p in (check_quote(d, q) for d, q in quotes) if p]
    if not any(d.name == "README.md" and d.parent == ROOT for d, _ in quotes):
        problems.append("README.md quotes no code")
    for problem in problems:
        print(problem)
    print(f"{len(quotes)} quoted pieces, {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
