#!/usr/bin/env python3
"""The experiments' program measures, goes on where it was interrupted, and writes pages and charts.
The clusters are small and no figure is judged; what is, is that each run is there and that nobody
dies of nothing."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

PROGRAM = os.environ["COVEY_EXPERIMENTS"]
# Flags of a run of some seconds, how many lines it measures, and the charts it draws.
RUNS = {
    "heal": (["--nodes", "5", "--seeds", "2"], 2, ["heal"]),
    "lifeguard": (["--nodes", "16", "--seeds", "1"], 28,
                  ["lifeguard-held", "lifeguard-stop", "lifeguard-late"]),
    "loss": (["--nodes", "5", "--seeds", "2", "--minutes", "2"], 8, ["loss"]),
    "rapid": (["--nodes", "12", "--seeds", "1"], 6, ["rapid"]),
    "scale": (["--nodes", "10", "--seeds", "1"], 4,
              ["scale-detection", "scale-update", "scale-traffic"]),
}
WRONG = [[], ["nothing"], ["heal", "--nodes"], ["heal", "--nodes", "0"], ["heal", "--seeds", "-1"],
         ["heal", "--what", "1"], ["heal", "--shares", "2"],
         ["heal", "--shares", "2", "--share", "2", "--results", "none"]]


def run(arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=100,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def check(problems, what, is_right, *details):
    if not is_right:
        problems.append(f"{what}: " + " ".join(str(d) for d in details))


def check_chart(problems, path):
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        problems.append(f"{path.name}: {error}")
        return
    check(problems, path.name, root.tag.endswith("svg"), root.tag)


def check_experiment(problems, name, folder):
    flags, lines, charts = RUNS[name]
    csv = folder / f"{name}.csv"
    arguments = [name, *flags, "--results", str(csv), "--charts", str(folder)]
    status, page, errors = run(arguments)
    check(problems, name, status == 0, "status", status, errors)
    if status != 0:
        return
    measured = csv.read_text(encoding="utf-8").splitlines()
    check(problems, name, len(measured) == lines + 1, len(measured) - 1, "results", measured)
    check(problems, name, "|---" in page and "nan" not in page, "page", page)
    for chart in charts:
        check_chart(problems, folder / f"{chart}.svg")
    check_resumed(problems, arguments, csv, measured, page)


def check_resumed(problems, arguments, csv, measured, page):
    """Without its last line it measures that one again, and comes to the same."""
    csv.write_text("\n".join(measured[:-1]) + "\n", encoding="utf-8")
    status, again, errors = run(arguments)
    what = f"{arguments[0]} resumed"
    check(problems, what, status == 0, "status", status, errors)
    check(problems, what, len(errors.splitlines()) == 1, "measured", errors)
    check(problems, what, csv.read_text(encoding="utf-8").splitlines() == measured, "other results")
    check(problems, what, again == page, "another page", again)


def check_shares(problems, folder):
    """Two processes at a time find what one does, and a third makes of it the same file and page."""
    flags = ["scale", "--nodes", "5", "--seeds", "3"]
    alone, shared = folder / "alone.csv", folder / "shared.csv"
    _, page, _ = run([*flags, "--results", str(alone)])
    run(["scale", "--nodes", "5", "--share", "0", "--shares", "9", "--seeds", "1",
         "--results", str(shared)])
    shares = [subprocess.Popen([PROGRAM, *flags, "--share", str(i), "--shares", "2",
                                "--results", str(shared)], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL) for i in range(2)]
    for share in shares:
        output, _ = share.communicate(timeout=100)
        check(problems, "share", share.returncode == 0 and output == b"", share.returncode, output)
    status, other, errors = run([*flags, "--results", str(shared)])
    check(problems, "shares", status == 0 and errors == "", status, errors)
    check(problems, "shares", other == page, "another page", other)
    same = alone.read_text(encoding="utf-8") == shared.read_text(encoding="utf-8")
    check(problems, "shares", same, "other results")


def check_quiet(problems, folder):
    """Without loss nobody is ever suspected."""
    for line in (folder / "loss.csv").read_text(encoding="utf-8").splitlines()[1:]:
        fields = line.split(",")
        if fields[2] == "2":
            check(problems, "quiet", [float(v) for v in fields[5:]] == [0, 0, 0], line)


def main():
    problems = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for experiment in RUNS:
            check_experiment(problems, experiment, folder)
        check_shares(problems, folder)
        if not problems:
            check_quiet(problems, folder)
        other = folder / "other.csv"
        other.write_text("header\nnonsense\n", encoding="utf-8")
        status, _, errors = run(["heal", "--nodes", "5", "--results", str(other)])
        check(problems, "other results", status == 1 and "other results" in errors, status, errors)
    for arguments in WRONG:
        status, _, errors = run(arguments)
        check(problems, "wrong use", status == 2 and "usage" in errors, arguments, status, errors)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
