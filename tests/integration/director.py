#!/usr/bin/env python3
"""examples/director_with_cluster: who is named, in which order, and what a killed worker costs."""

import signal
import time

from cluster_process import EXAMPLES, Lab


def address_of(lab, program):
    line = lab.wait_for(lambda: program.find_line("listening on "), 20, f"{program.name}'s address")
    return line.split("listening on ")[1].split(",")[0]


def get_worker(lab, director):
    done = lab.run("call", "get_worker", "--tls", lab.issue("viewer", "client"), "--addr", director)
    return done.stdout.decode() if done.returncode == 0 else done


def check_assignment(lab, director):
    """Workers here are plain agents with tags: the director asks for nothing else."""
    started = time.monotonic()
    nobody = get_worker(lab, director)
    lab.check_equal(nobody.returncode, 64 + 14, "UNAVAILABLE without workers")
    took = time.monotonic() - started
    lab.check(0.9 < took < 10, f"three tries 500 ms apart took {took:.2f} s")

    busy = lab.start_agent("busy", "--join", director, "--tag", "role=worker",
                           "--tag", "available=false")
    other = lab.start_agent("other", "--join", director, "--tag", "role=printer",
                            "--tag", "available=true")
    lab.wait_states([busy, other], {"director": "alive", "busy": "alive", "other": "alive"}, 30)
    lab.check_equal(get_worker(lab, director).returncode, 64 + 14, "neither is available")

    tags = ("--join", director, "--tag", "role=worker", "--tag", "available=true")
    workers = [lab.start_agent(name, *tags) for name in ("x", "y", "z")]
    for worker in workers:
        lab.wait_for(lambda: worker.id in get_worker(lab, director), 20, f"{worker.name} is named")
    expected = [f"{worker.id} {worker.address}" for worker in sorted(workers, key=lambda w: w.id)]
    turns = [get_worker(lab, director) for _ in range(6)]
    first = expected.index(turns[0])
    lab.check_equal(turns, [expected[(first + turn) % 3] for turn in range(6)],
                    "the order of six answers")
    for agent in [busy, other, *workers]:
        agent.signal(signal.SIGTERM)
    for agent in [busy, other, *workers]:
        lab.check_equal(agent.wait_exit(20), 0, f"{agent.name}'s exit status")


def start_member(lab, program, name, *arguments):
    return lab.start_program(name, [EXAMPLES / program, "--tls", lab.issue(name), "--listen",
                                    "127.0.0.1:0", "--profile", "local", *arguments])


def check_failover(lab, director, director_address, number):
    """A client streams; the worker that serves is stopped by a signal in the middle."""
    workers = {}
    for name in ("worker-1", "worker-2", "worker-3"):
        workers[name] = start_member(lab, "worker", name, "--join", director_address)
    for name in workers:
        lab.wait_for(lambda: director.find_line(f"node_joined {name} ") or
                     director.find_line(f"node_recovered {name} "), 20, f"{name} joined")
    client = lab.start_program("client", [EXAMPLES / "client", "--tls",
                                          lab.issue("viewer", "client"), "--director",
                                          director_address, "--count", "200"])
    lab.wait_for(lambda: client.find_line("token 60 from "), 20, "token 60")
    serving = client.find_line("serves from token 1").split()[3]
    workers[serving].signal(number)
    lab.check_equal(client.wait_exit(40), 0, "the client's exit status")
    lab.check_equal(client.lines[-1], "200 tokens, 1 failover, 0 lost, 0 repeated", "the result")
    lab.wait_for(lambda: director.find_line(f"node_failed {serving} "), 20, f"{serving} failed")
    for name, worker in workers.items():
        if name != serving:
            worker.signal(signal.SIGTERM)
            lab.check_equal(worker.wait_exit(20), 0, f"{name}'s exit status")
    workers[serving].kill()


def main():
    with Lab() as lab:
        director = start_member(lab, "director", "director")
        address = address_of(lab, director)
        check_assignment(lab, address)
        check_failover(lab, director, address, signal.SIGKILL)
        director.signal(signal.SIGINT)
        lab.check_equal(director.wait_exit(20), 0, "the director's exit status")

    # A frozen worker is there and silent, which is another thing than gone.
    with Lab() as lab:
        director = start_member(lab, "director", "director")
        check_failover(lab, director, address_of(lab, director), signal.SIGSTOP)
        print("assignment in turn; 200 tokens each over a killed and a frozen worker")


if __name__ == "__main__":
    main()
