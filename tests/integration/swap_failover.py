#!/usr/bin/env python3
"""examples/connection_swap: a worker fails by its schedule, is killed, or is stopped, in the middle of a
stream; what that costs the client."""

import signal

from swap_lab import SwapLab

# The client's own deadline for a token is one second.
TOKEN_TIMEOUT_MS = 1000


def check_schedule():
    """Both workers fail every 80 tokens; the client hears of it and need not wait for silence."""
    with SwapLab() as lab:
        director = lab.start_director("director")
        lab.start_workers(("a", "b"), director, "--fail-every", "80", "--down-for", "200")
        client = lab.start_client("client", [director], count=400)
        waited = lab.check_whole(client, 3)
        lab.check(waited < TOKEN_TIMEOUT_MS, f"a failure that was told of cost {waited} ms")
        lab.wait_lines(director, "available=false role=worker", 3)
        lab.wait_lines(director, "available=true role=worker", 3)
        lab.check_equal(lab.count_lines(director, ": sends client to "),
                        lab.count_lines(director, ": sends "), "all under the client's one name")
        return waited


def check_signals(profile, wait_max_ms):
    """Killed, then, another one, stopped; the stopped one goes on later and must not be heard."""
    with SwapLab() as lab:
        director = lab.start_director("director", profile=profile)
        workers = lab.start_workers(("a", "b", "c"), director, profile=profile)
        client = lab.start_client("client", [director], count=500)
        lab.wait_token(client, 60)
        killed = lab.serving(client)
        workers[killed].kill()
        lab.wait_for(lambda: lab.serving(client) != killed, 30, "another worker serves")
        stopped = lab.serving(client)
        lab.wait_for(lambda: client.find_line(f"0 from {stopped}"), 30, f"{stopped} is at work")
        workers[stopped].signal(signal.SIGSTOP)
        lab.wait_for(lambda: lab.serving(client) != stopped, 30, "the third worker serves")
        workers[stopped].signal(signal.SIGCONT)
        waited = lab.check_whole(client, 2)
        lab.check(waited <= wait_max_ms, f"a worker that vanished cost {waited} ms")
        if profile == "local":
            lab.wait_lines(director, f"node_failed {killed} ", 1)
        return waited


def main():
    told = check_schedule()
    local = check_signals("local", 2000)
    lan = check_signals("lan", 7000)
    print(f"longest wait for a token: {told} ms when the worker said so; killed or stopped: "
          f"{local} ms (local profile), {lan} ms (lan)")


if __name__ == "__main__":
    main()
