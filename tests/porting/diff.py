"""Compares docs/porting-from-onnxruntime.md with the port in examples/porting, and counts the lines that change.

usage: diff.py [--write]    --write puts the diffs and the counts into the page
"""

import difflib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "porting-from-onnxruntime.md"
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


def main():
    page = PAGE.read_text()
    want = page
    for name in ("Translator", "BeamSearch"):
        text = block(name)
        want, found = re.subn(BLOCK.format(name), lambda _: text, want, flags=re.DOTALL | re.MULTILINE)
        assert found == 1, f"{PAGE} has {found} diffs of {name}.java"
    counts = rows()
    table = iter(f"| {name} | {' | '.join(map(str, row))} |\n" for name, row in counts.items())
    want, found = re.subn(COUNTS, lambda _: next(table), want, flags=re.MULTILINE)
    assert found == 2, f"{PAGE} has {found} rows of counts"
    if "--write" in sys.argv:
        PAGE.write_text(want)
    elif page != want:
        sys.exit(f"{PAGE} is not what tests/porting/diff.py --write makes of examples/porting")
    for name, row in counts.items():
        print(f"{name}: {row[0]} lines deleted, {row[1]} replaced, {row[2]} added")
        assert 0 < sum(row[1:]) <= LIMITS[name]


if __name__ == "__main__":
    main()
