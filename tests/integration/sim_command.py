#!/usr/bin/env python3
"""`covey sim`: its JSON has the keys that others read, runs repeat, and its picture is an SVG."""

import json
import xml.etree.ElementTree as ElementTree

from cluster_process import Lab

KEYS = {"nodes", "seed", "virtual_s", "wall_s", "killed", "first_suspect_ms", "first_failed_ms",
        "all_failed_ms", "update_all_ms", "false_failed", "healed_ms", "msgs_per_node_s",
        "bytes_per_node_s", "invariant_checks", "violations", "hash"}
PERCENTILES = {"p50", "p99", "max"}
SVG = "{http://www.w3.org/2000/svg}"


def simulate(lab, *arguments):
    figures = json.loads(lab.must("sim", "--format", "json", *arguments))
    lab.check_equal(set(figures), KEYS, "the keys")
    for key in ("first_suspect_ms", "first_failed_ms", "all_failed_ms"):
        lab.check_equal(set(figures[key]), PERCENTILES, key)
    lab.check_equal(set(figures["update_all_ms"]), {"p50", "max"}, "update_all_ms")
    lab.check_equal(figures["violations"], 0, "violations")
    lab.check(len(figures["hash"]) == 16 and int(figures["hash"], 16) > 0, "16 digits of hash")
    return figures


def check_quiet(lab):
    figures = simulate(lab, "--duration", "20s")
    lab.check_equal((figures["nodes"], figures["seed"], figures["virtual_s"]), (5, 1, 20.0),
                    "the defaults")
    lab.check_equal(figures["all_failed_ms"], dict.fromkeys(PERCENTILES), "nobody died")
    lab.check_equal(figures["healed_ms"], None, "nothing was cut")
    lab.check(0 < figures["update_all_ms"]["p50"] <= figures["update_all_ms"]["max"] < 2000,
              f"a tag is everywhere soon: {figures['update_all_ms']}")


def check_faults(lab):
    faults = ("--nodes", "12", "--seed", "7", "--duration", "90s", "--loss", "1.5", "--kill", "2",
              "--partition", "8-4", "--pause", "2:1500")
    picture = lab.folder / "run.svg"
    first = simulate(lab, *faults)
    second = simulate(lab, *faults, "--plot", picture)
    for figures in (first, second):
        lab.check(figures.pop("wall_s") >= 0, "it took some time")
    lab.check_equal(second, first, "the same options give the same run, with a plot or without")
    lab.check_equal(first["killed"], 2, "killed")
    order = [first[key]["p50"] for key in ("first_suspect_ms", "first_failed_ms", "all_failed_ms")]
    lab.check(order == sorted(order) and order[0] > 0, f"suspect, failed, failed at all: {order}")
    lab.check(first["healed_ms"] > 0, "it was whole again")

    root = ElementTree.parse(picture).getroot()
    texts = {element.text for element in root.iter(f"{SVG}text")}
    lab.check_equal(root.tag, f"{SVG}svg", "the root of the picture")
    lab.check({"0", "11", "0 s", "90 s", "cut", "heal", "crash", "pause"} <= texts,
              f"rows, times and faults: {texts}")
    lab.check(simulate(lab, *faults[:2], "--seed", "8")["hash"] != first["hash"],
              "another seed is another run")


def check_text(lab):
    text = lab.must("sim", "--nodes", "6", "--kill", "1").decode()
    for part in ("6 nodes, seed 1: 60.0 s", "failed everywhere", "tag everywhere",
                 "0 times failed by mistake", "0 broken"):
        lab.check(part in text, f"'{part}' in {text!r}")
    lab.check("whole again" not in text, "nothing was cut")


def main():
    with Lab() as lab:
        check_quiet(lab)
        check_faults(lab)
        check_text(lab)


if __name__ == "__main__":
    main()
