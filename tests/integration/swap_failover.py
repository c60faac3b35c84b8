#!/usr/bin/env python3
"""examples/connection_swap: a worker fails by its schedule, is killed, or is stopped, in the middle of a
stream; what that costs the client."""

import signal

from swap_lab import SwapLab

# What a failover may cost. The client's own deadline for a token is one second.
TOLD_MS = 300
VANISHED_MS = {"local": 2000, "lan": 7000}


def check_schedule():
    """Both workers fail every 80 tokens; the client hears of it and need not wait for silence."""
    with SwapLab() as lab:
        director = lab.start_director("director")
        lab.start_workers(("a", "b"), director, "--fail-every", "80", "--down-for", "200")
        client = lab.start_client("client", [director], "--lateness", count=400)
        lab.check_whole(client, 3)
        waits = lab.check_waits(client, 3, TOLD_MS, 3)  # client, director, worker
        lab.wait_lines(director, "available=false role=worker", 3)
        lab.wait_lines(director, "available=true role=worker", 3)
        lab.check_equal(lab.count_lines(director, ": sends client to "),
                        lab.count_lines(director, ": sends "), "all under the client's one name")
        return waits


def check_signals(profile):
    """Killed, then, another one, stopped; the stopped one goes on later and must not be heard."""
    with SwapLab() as lab:
        director = lab.start_director("director", profile=profile)
        workers = lab.start_workers(("a", "b", "c"), director, profile=profile)
        client = lab.start_client("client", [director], "--lateness", count=500)
        lab.wait_token(client, 60)
        killed = lab.serving(client)
        workers[killed].kill()
        lab.wait_for(lambda: lab.serving(client) != killed, 30, "another worker serves")
        stopped = lab.serving(client)
        lab.wait_for(lambda: client.find_line(f"0 from {stopped}"), 30, f"{stopped} is at work")
        workers[stopped].signal(signal.SIGSTOP)
        lab.wait_for(lambda: lab.serving(client) != stopped, 30, "the third worker serves")
        workers[stopped].signal(signal.SIGCONT)
        lab.check_whole(client, 2)
        waits = lab.check_waits(client, 2, VANISHED_MS[profile], 1)  # most of it is one timer
        if profile == "local":
            lab.wait_lines(director, f"node_failed {killed} ", 1)
        return waits


def check_planted():
    """Who counts the tokens can tell: a worker that leaves one out, and one that sends one twice."""
    for plant, result in (("skip", "200 tokens, 1 failover, 1 lost, 0 repeated"),
                          ("repeat", "200 tokens, 1 failover, 0 lost, 1 repeated")):
        with SwapLab() as lab:
            director = lab.start_director("director")
            lab.start_worker("bad", director, f"--{plant}-at", "50")
            lab.wait_member(director, "bad")
            client = lab.start_client("client", [director], count=200)
            lab.wait_token(client, 10)
            lab.start_workers(("good",), director)
            lab.check_equal(client.wait_exit(60), 1, f"{plant}: the client's exit status")
            lab.check_equal(client.lines[-1], result, f"{plant}: what it counted")


def main():
    check_planted()
    told = check_schedule()
    local = check_signals("local")
    lan = check_signals("lan")
    print(f"a failover cost, in ms: {told} when the worker said so; killed or stopped: "
          f"{local} (local profile), {lan} (lan)")


if __name__ == "__main__":
    main()
