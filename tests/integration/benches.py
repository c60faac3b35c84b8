#!/usr/bin/env python3
"""The benchmarks run, verify what they measure, and print what script/bench reads. No figure is
judged here: this runs beside other tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

BENCHES = Path(os.environ["COVEY_BENCHES"])
RPC_KEYS = ["bench", "connections", "inflight", "size", "reply_size", "seconds", "calls", "errors",
            "calls_per_s", "p50_us", "p99_us", "p999_us", "client_cpu_us_per_call",
            "server_cpu_us_per_call", "server_rss_kib"]
CONNECTIONS_KEYS = ["bench", "connections", "errors", "seconds", "handshakes_per_s",
                    "client_cpu_us_per_handshake", "server_cpu_us_per_handshake",
                    "client_rss_kib", "server_rss_kib", "client_bytes_per_connection",
                    "server_bytes_per_connection"]
STREAM_KEYS = ["bench", "mib", "errors", "seconds", "ns_per_byte", "mb_per_s"]
DISCOVERY_KEYS = ["bench", "path", "writer", "nodes", "tags", "matches", "changes", "seconds",
                  "queries", "errors", "queries_per_s", "p50_ns", "p95_ns", "p99_ns", "max_ns",
                  "clock_ns", "publications", "publish_us"]

BALANCER_KEYS = ["bench", "policy", "nodes", "seconds", "errors", "pick_ns", "list_ns", "ratio"]
FOLLOW_KEYS = ["bench", "nodes", "seconds", "errors", "first_us", "same_us", "one_us", "half_us"]
CLUSTER_KEYS = ["bench", "nodes", "profile", "form_s", "form_cpu_s", "form_dials_per_node",
                "form_failed_handshakes", "form_false_failed", "phi_trigger_ms", "suspect_first_s",
                "failed_first_s", "failed_all_s", "tag_all_ms", "idle_s", "idle_cpu_pct_per_node",
                "idle_bytes_per_node_s", "idle_packets_per_node_s", "bytes_are_own",
                "idle_connections_per_node", "false_failed", "rss_kib_per_node",
                "gossip_updates_per_s", "tag_query_ns", "pool_hit_ns", "connect_us"]

TOLL_KEYS = ["bench", "members", "pairs", "window_ms", "inflight", "errors", "alone", "member",
             "calls_ratio", "cpu_ratio"]

# What both programs of calls must do; each run takes a second and a half.
RUNS = [
    ["--inflight", "8"],
    ["--inflight", "4", "--connections", "2", "--reply-size", "100000"],
    ["--inflight", "4", "--size", "5000"],
    ["--inflight", "4", "--rate", "200"],
    ["--inflight", "1", "--loss", "1"],
]
# What only one of them can do.
OWN_RUNS = {"rpc": [["--inflight", "2", "--blocking"], ["--inflight", "2", "--size", "0"]],
            "rpc-bound": [["--inflight", "1", "--busy-poll", "50"]]}
# Exit status 2 and a reason, at once.
REFUSED = {"rpc": [["--inflight", "0"], ["--nonsense"]],
           "rpc-bound": [["--loops", "2"], ["--blocking"], ["--size", "0"]],
           "connections": [["--connections", "0"], ["--nonsense"]],
           "stream": [["--nonsense"], ["--mib", "65"]],
           "cluster": [["--nonsense"], ["--nodes", "2"], ["--profile", "moon"], ["--idle", "0"],
                       ["--limit", "0"]],
           "toll": [["--nonsense"], ["--members", "1"], ["--pairs", "0"]],
           "balancer": [["--nonsense"], ["--nodes", "0"], ["--picks", "0"]],
           "discovery": [["--nonsense"], ["--nodes", "0"], ["--nodes", "5", "--matches", "6"]]}


def run(program, arguments, limit_s=60):
    done = subprocess.run([BENCHES / program, *arguments], capture_output=True, text=True,
                          timeout=limit_s, check=False)
    return done.returncode, done.stdout, done.stderr


def check(problems, what, is_right, *details):
    if not is_right:
        problems.append(f"{what}: " + " ".join(str(d) for d in details))


def check_line(problems, what, program, line, keys):
    try:
        result = json.loads(line)
    except ValueError:
        problems.append(f"{what}: no JSON: {line}")
        return
    check(problems, what, list(result) == keys, "keys", list(result))
    check(problems, what, result.get("bench") == program, "bench", result.get("bench"))
    check(problems, what, result.get("errors") == 0, "errors", result.get("errors"))
    check(problems, what, result.get("calls", 1) > 0, "no calls")
    check(problems, what, result.get("seconds", 0) > 0, "no time")


def check_run(problems, program, arguments, keys, line_count=1):
    what = " ".join([program, *arguments])
    status, output, errors = run(program, [*arguments, "--json"])
    print(f"{what}:\n{output}", end="")
    check(problems, what, status == 0, "status", status, output, errors)
    lines = output.splitlines()
    check(problems, what, len(lines) == line_count, len(lines), "lines:", output)
    for line in lines:
        check_line(problems, what, program, line, keys)


def check_cluster(problems):
    """A small one: all there is to measure is measured, and in an order that can be. It ends by itself
    before it is given up here, and says what it was waiting for."""
    status, output, errors = run("cluster", ["--nodes", "5", "--idle", "1", "--short", "--limit",
                                             "100", "--json"], 120)
    print(f"cluster --nodes 5:\n{output}", end="")
    check(problems, "cluster", status == 0, "status", status, output, errors)
    if status != 0:
        return
    result = json.loads(output)
    check(problems, "cluster", list(result) == CLUSTER_KEYS, "keys", list(result))
    check(problems, "cluster", result["nodes"] == 5, "nodes", result["nodes"])
    check(problems, "cluster", 0 < result["form_s"], "form_s", result["form_s"])
    check(problems, "cluster", 0 < result["suspect_first_s"] <= result["failed_first_s"] + 0.1
          and result["failed_first_s"] <= result["failed_all_s"], "order", output)
    check(problems, "cluster", result["form_dials_per_node"] > 0
          and result["idle_connections_per_node"] >= 3, "connections", output)


def check_toll(problems):
    status, output, errors = run("toll", ["--members", "3", "--pairs", "3", "--window", "100",
                                          "--json"], 120)
    print(f"toll:\n{output}", end="")
    check(problems, "toll", status == 0, "status", status, output, errors)
    if status != 0:
        return
    result = json.loads(output)
    check(problems, "toll", list(result) == TOLL_KEYS, "keys", list(result))
    check(problems, "toll", result["errors"] == 0, "errors", result["errors"])
    for side in ("alone", "member"):
        check(problems, "toll", result[side]["calls_per_s"] > 0
              and result[side]["cpu_us_per_call"] > 0, side, output)
    for ratio in (result["calls_ratio"], result["cpu_ratio"]):
        check(problems, "toll", 0 < ratio["low"] <= ratio["median"] <= ratio["high"], "order",
              output)


def check_cluster_limit(problems):
    """One second is less than it needs to settle and to rest."""
    status, output, errors = run("cluster", ["--nodes", "3", "--idle", "60", "--limit", "1"])
    check(problems, "cluster --limit", status == 1 and output == ""
          and "cluster: over its --limit; it was at: " in errors, status, output, errors)


def main():
    problems = []
    check_cluster_limit(problems)
    check_toll(problems)
    check_cluster(problems)
    for program, own in OWN_RUNS.items():
        for arguments in RUNS + own:
            check_run(problems, program, ["--seconds", "1", *arguments], RPC_KEYS)
    check_run(problems, "connections", ["--connections", "20"], CONNECTIONS_KEYS)
    check_run(problems, "stream", ["--mib", "4"], STREAM_KEYS, 2)
    check_run(problems, "balancer", ["--picks", "1000", "--nodes", "20"], BALANCER_KEYS, 6)
    check_run(problems, "balancer", ["--follow", "--nodes", "50"], FOLLOW_KEYS)
    check_run(problems, "discovery", ["--seconds", "1"], DISCOVERY_KEYS, 4)
    for program, lines in REFUSED.items():
        for arguments in lines:
            status, _, errors = run(program, arguments)
            what = " ".join([program, *arguments])
            check(problems, what, status == 2 and errors.startswith(program + ": "), status, errors)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
