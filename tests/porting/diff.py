"""Compares the diffs in docs/ with the port in examples/porting, and counts the lines that change.

usage: diff.py [--write]    --write puts the diffs and the counts into the pages
"""

import difflib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {"porting-from-onnxruntime.md": ["Translator", "BeamSearch"], "whisper.md": ["Recognizer"]}
PORT = ROOT / "examples" / "porting"
BLOCK = r"```diff\n--- before/{0}.java\n.*?^```\n"
COUNTS = r"^\| (?:greedy search|with beams) \|.*\n"
LIMITS = {"greedy search": 30, "with beams": 45}


def read(side, name):
    return (PORT / side / f"{name}.java").read_text().splitlines()


def block(name):
    both = (read("before", name), read("after", name))
    lines = difflib.unified_diff(*both, f"before/{name}.java", f"after/{name}.java", n=1, lineterm="")
    return "\n".join(["```diff", *(re.sub("^@@.*", "@@", line) for line in lines), "```", ""])


def code(lines):
    """Without imports, comments and empty lines."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", "\n".join(lines), flags=re.DOTALL)
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("import ")]


def changed(name):
    """Lines deleted without a replacement, replaced by others, and added."""
    counts = [0, 0, 0]
    before, after = code(read("before", name)), code(read("after", name))
    for _, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if before[i:j] != after[k:m]:
            replaced = min(j - i, m - k)
            counts = [counts[0] + j - i - replaced, counts[1] + replaced, counts[2] + m - k - replaced]
    return counts


def rows():
    greedy = changed("Translator")
    beams = [one + other for one, other in zip(greedy, changed("BeamSearch"))]
    return {"greedy search": greedy, "with beams": beams}


def expected(page, names, counts):
    """The text of a page with the diffs and counts that should stand there."""
    for name in names:
        text = block(name)
        page, found = re.subn(BLOCK.format(name), lambda _: text, page, flags=re.DOTALL | re.MULTILINE)
        assert found == 1, f"{found} diffs of {name}.java"
    lines = [f"| {name} | {' | '.join(map(str, row))} |\n" for name, row in counts.items()]
    rest = iter(lines)
    page, found = re.subn(COUNTS, lambda _: next(rest), page, flags=re.MULTILINE)
    assert found == (len(lines) if "Translator" in names else 0), f"{found} rows of counts"
    return page


def check_quotes(page):
    """The Java lines that a page shows of a file that it names stand in that file, in this order."""
    for path, quote in re.findall(r"\(\.\./(\S+\.java)\)[^`]*```java\n(.*?)```", page, flags=re.DOTALL):
        lines = iter(line.strip() for line in (ROOT / path).read_text().splitlines())
        for line in quote.splitlines():
            assert line.startswith("//") or line in lines, f"{path} does not have, or not here: {line}"


def main():
    counts = rows()
    for name, names in PAGES.items():
        path = ROOT / "docs" / name
        want = expected(path.read_text(), names, counts)
        if "--write" in sys.argv:
            path.write_text(want)
        elif path.read_text() != want:
            sys.exit(f"{path} is not what tests/porting/diff.py --write makes of examples/porting")
        check_quotes(path.read_text())
    for name, row in counts.items():
        print(f"{name}: {row[0]} lines deleted, {row[1]} replaced, {row[2]} added")
        assert 0 < sum(row[1:]) <= LIMITS[name]


if __name__ == "__main__":
    main()
