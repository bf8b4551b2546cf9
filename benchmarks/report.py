#!/usr/bin/env python3
"""Prints a table from the JSON files of benchmarks/run, and draws a plot.

usage: report.py FOLDER PLOT (without extension: .svg and .png are written)
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FORMATS = ("float32", "float16", "bfloat16", "int8", "int4")


def find(report, name, **wanted):
    for case in report["cases"]:
        if case["case"] == name and all(case[key] == value for key, value in wanted.items()):
            return case
    return None


def rows_of(folder):
    """Returns one row per method: name, head of 1, 4, 16 tokens, top-1, open, resident."""
    rows = []
    for name in FORMATS:
        report = json.loads((folder / f"tied-{name}.json").read_text())
        threads = report["threads"]
        stages = {stage["stage"]: stage["rss_bytes"] for stage in report["memory"]["stages"]}
        head = [find(report, "head", tokens=n, threads=threads, deterministic=True) for n in (1, 4, 16)]
        for screen in (False, True):
            top1 = find(report, "topk", tokens=1, threads=threads, k=1, screen=screen)
            if top1 is None:
                continue
            last = "after ten top-10" if screen else "after ten heads"  # the pages are released in between
            rows.append(
                {
                    "name": f"tied, {name}" + (", screen" if screen else ""),
                    "head": [None if screen else case["ms"] for case in head],
                    "top1": top1["ms"],
                    "open": find(report, "open")["ms"],
                    "resident": stages[last] - stages["before open"],
                }
            )
    for form in ("default", "best"):
        peer = json.loads((folder / f"peer-{form}.json").read_text())
        rows.append(
            {
                "name": peer["name"],
                "head": [peer["head_ms"][n] for n in ("1", "4", "16")],
                "top1": peer["top1_ms"],
                "open": peer["open_ms"],
                "resident": peer["resident_bytes"],
            }
        )
    return rows


def number(value, digits=1):
    return "" if value is None else f"{value:.{digits}f}"


def print_table(rows):
    print("| | 1 token | 4 tokens | 16 tokens | hidden to best id | open | resident |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        heads = " | ".join(number(value) for value in row["head"])
        print(
            f"| {row['name']} | {heads} | {number(row['top1'])} | {number(row['open'], 2)} | "
            f"{row['resident'] / 1e6:.0f} |"
        )
    print("\nTimes in ms, resident memory in MB.")


def plot(rows, path):
    figure, axes = plt.subplots(figsize=(9, 5.5))
    for row in rows:
        peer = not row["name"].startswith("tied")
        x, y = row["resident"] / 1e6, row["top1"]
        axes.scatter(x, y, marker="s" if peer else "o", color="tab:red" if peer else "tab:blue")
        axes.annotate(row["name"], (x, y), textcoords="offset points", xytext=(6, 4), fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="resident memory, MB", ylabel="hidden state to best token id, ms")
    axes.set_title("256206 x 1024: one token")
    axes.grid(True, which="both", alpha=0.3)
    axes.margins(x=0.25, y=0.15)
    figure.tight_layout()
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=120)


def main():
    rows = rows_of(pathlib.Path(sys.argv[1]))
    print_table(rows)
    plot(rows, pathlib.Path(sys.argv[2]))


if __name__ == "__main__":
    main()
