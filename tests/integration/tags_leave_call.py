#!/usr/bin/env python3
"""Tags reach the others, roles are enforced, calls answer with their statuses, leaving is clean."""

import json
import os
import signal
import socket
import time

from cluster_process import Lab

STATUS = {"DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5, "PERMISSION_DENIED": 7, "UNIMPLEMENTED": 12,
          "UNAVAILABLE": 14}


def check_refused(lab, done, status_name):
    lab.check_equal(done.returncode, 1, "the exit status")
    lines = done.stderr.decode().splitlines()
    lab.check(len(lines) == 1 and status_name in lines[0], f"one line with {status_name}: {lines}")


def check_status(lab, done, status_name):
    lab.check_equal(done.returncode, 64 + STATUS[status_name], "the exit status")
    lines = done.stderr.decode().splitlines()
    lab.check(len(lines) == 1 and lines[0].startswith(f"{status_name}: "),
              f"one line '{status_name}: ...': {lines}")


def wait_tags(lab, agents, name, expected):
    for agent in agents:
        lab.wait_for(lambda: (lab.members(agent) or {}).get(name, {}).get("tags") == expected, 20,
                     f"{agent.name} sees {name} with the tags {expected}")


def check_tags(lab, agents):
    a, b, _ = agents.values()
    client = lab.issue("reader", "client")
    admin = lab.issue("boss", "admin")
    wait_tags(lab, agents.values(), "a", {"zone": "1"})

    lab.must("tag", "set", "role=worker", "note=x=y ü", "--tls", a.tls, "--addr", a.address)
    changed = {"note": "x=y ü", "role": "worker", "zone": "1"}
    wait_tags(lab, agents.values(), "a", changed)
    event = lab.wait_for(lambda: [e for e in b.events("node_tags_updated", "a")
                                  if e["tags"] == changed], 10, "b prints a's new tags")[0]
    lab.check_equal(event["id"], a.id, "the event's id")
    lab.check_equal(event["addr"], a.address, "the event's address")
    lab.check(abs(event["ts_ms"] / 1000 - time.time()) < 60, f"the event's time: {event}")

    # Neither a client nor another member may change a's tags or make it leave; an admin may.
    for tls in (client, b.tls):
        check_refused(lab, lab.run("tag", "set", "role=evil", "--tls", tls, "--addr", a.address),
                      "PERMISSION_DENIED")
        check_refused(lab, lab.run("tag", "remove", "role", "--tls", tls, "--addr", a.address),
                      "PERMISSION_DENIED")
        check_refused(lab, lab.run("leave", "--tls", tls, "--addr", a.address),
                      "PERMISSION_DENIED")
    lab.check_equal(lab.members(a)["a"]["tags"], changed, "a's tags after the refusals")
    lab.must("tag", "remove", "note", "role", "--tls", admin, "--addr", a.address)
    lab.must("tag", "set", "zone=2", "--tls", admin, "--addr", a.address)
    wait_tags(lab, agents.values(), "a", {"zone": "2"})
    check_refused(lab, lab.run("tag", "remove", "nothing", "--tls", admin, "--addr", a.address),
                  "NOT_FOUND")


def check_calls(lab, agents):
    a = agents["a"]
    client = lab.issue("reader", "client")
    to_a = ("--tls", client, "--addr", a.address)
    lab.check_equal(lab.must("call", "echo", *to_a, "--data", "hello"), b"hello", "a text")
    lab.check_equal(lab.must("call", "echo", *to_a), b"", "nothing")
    data = os.urandom(300_000)
    lab.check_equal(lab.must("call", "echo", *to_a, "--data", "-", data=data), data, "from stdin")
    path = lab.folder / "data"
    path.write_bytes(data)
    lab.check_equal(lab.must("call", "echo", *to_a, "--data", f"@{path}"), data, "from a file")

    check_status(lab, lab.run("call", "nothing.here", *to_a), "UNIMPLEMENTED")
    check_status(lab, lab.run("call", "echo", "--tls", client, "--addr", agents["b"].address),
                 "UNIMPLEMENTED")
    # Somebody is there and does not answer.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        done = lab.run("call", "echo", "--tls", client, "--addr", address, "--deadline", "700ms")
        check_status(lab, done, "DEADLINE_EXCEEDED")
        took = time.monotonic() - started
        lab.check(0.6 < took < 10, f"a deadline of 0.7 s took {took:.2f} s")


def check_table(lab, agent):
    lines = lab.must("members", "--tls", agent.tls, "--addr", agent.address).decode().splitlines()
    lab.check_equal(lines[0].split(), ["NAME", "STATE", "ADDRESS", "INCARNATION", "ID", "TAGS"],
                    "the table's first line")
    lab.check_equal(sorted(line.split()[0] for line in lines[1:]), ["a", "b", "c"], "its names")
    column = lines[0].index("ID")
    ids = {member["id"] for member in lab.members(agent).values()}
    lab.check_equal({line[column:column + 32] for line in lines[1:]}, ids, "its aligned ids")


def check_status_command(lab, agent):
    client = lab.issue("onlooker", "client")
    to_agent = ("--tls", client, "--addr", agent.address)
    status = json.loads(lab.must("status", *to_agent, "--json"))
    lab.check_equal(status, json.loads(lab.must("status", *to_agent, "--format", "json"))
                    | {"stats": status["stats"], "server": status["server"]},
                    "both ways to ask for JSON")
    partition = {"state": "healthy", "alive": 3, "expected": 3, "quorum": 2, "minority": False,
                 "read_only": False, "grace_ms": 0}
    lab.check_equal(status["partition"], partition, "the partition's state")
    lab.check_equal(status["health"], {"overall": "healthy", "checks": []}, "the health")
    stats = status["stats"]
    lab.check_equal((stats["members_alive"], stats["members_failed"], stats["connections"]),
                    (3, 0, 2), "members and connections")
    lab.check(stats["heartbeats_received"] > 0, f"heartbeats in {stats}")
    server = status["server"]
    lab.check(server["calls"] == 1 and server["calls_begun"] > 0 and server["refused_denied"] == 0,
              f"the server's counters in {server}")
    lab.check_equal(sum(name.startswith("refused_") for name in server), 15, "reasons to refuse")
    lines = lab.must("status", *to_agent).decode().splitlines()
    lab.check_equal(lines[0], "partition  healthy: 3 of 3 members alive, the quorum is 2", "line 1")
    lab.check_equal(lines[1].split(), ["health", "healthy"], "line 2")
    lab.check(any(line.split()[:2] == ["members_alive", "3"] for line in lines), f"in {lines}")
    lab.check(any(line.split()[:2] == ["calls", "1"] for line in lines), f"this call in {lines}")


def check_streams(lab, agent):
    """`call` is for unary methods, and says so when one is none."""
    client = lab.issue("onlooker", "client")
    done = lab.run("call", "covey.cluster.members", "--tls", client, "--addr", agent.address)
    check_status(lab, done, "UNIMPLEMENTED")
    lab.check(b"is no unary method" in done.stderr, f"{done.stderr!r} says so")
    lab.check_equal(done.stdout, b"", "what is written of a stream")


def check_leaving(lab, agents):
    a, b, c = agents.values()
    lab.must("leave", "--tls", lab.issue("boss", "admin"), "--addr", b.address)
    lab.check_equal(b.wait_exit(20), 0, "the exit status of b, which was told to leave")
    lab.wait_states([a, c], {"a": "alive", "b": "left", "c": "alive"}, 20)
    lab.check(a.events("node_left", "b"), "a printed that b left")

    c.signal(signal.SIGTERM)
    lab.check_equal(c.wait_exit(20), 0, "the exit status of c after SIGTERM")
    lab.wait_states([a], {"a": "alive", "b": "left", "c": "left"}, 20)
    lab.check(not a.events("node_failed"), "nobody was called failed")

    # Alone, by its own certificate.
    lab.must("leave", "--tls", a.tls, "--addr", a.address)
    lab.check_equal(a.wait_exit(20), 0, "the exit status of a")


def main():
    with Lab() as lab:
        agents = {"a": lab.start_agent("a", "--echo", "--tag", "zone=1")}
        for name in "b", "c":
            agents[name] = lab.start_agent(name, "--join", agents["a"].address)
        lab.wait_states(agents.values(), {"a": "alive", "b": "alive", "c": "alive"}, 30)
        check_tags(lab, agents)
        check_calls(lab, agents)
        check_table(lab, agents["a"])
        check_status_command(lab, agents["a"])
        check_streams(lab, agents["a"])
        check_leaving(lab, agents)
        print("tags, roles, calls and leaving are as they should be")


if __name__ == "__main__":
    main()
