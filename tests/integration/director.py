#!/usr/bin/env python3
"""examples/director_with_cluster: who is named, and in which order."""

import signal

from cluster_process import EXAMPLES, Lab


def address_of(lab, program):
    line = lab.wait_for(lambda: program.find_line("listening on "), 20, f"{program.name}'s address")
    return line.split("listening on ")[1].split(",")[0]


def get_worker(lab, director, *options):
    done = lab.run("call", "get_worker", "--tls", lab.issue("viewer", "client"), "--addr", director,
                   *options)
    return done.stdout.decode() if done.returncode == 0 else done


def check_assignment(lab, director):
    """Workers here are plain agents with tags: the director asks for nothing else."""
    lab.check_equal(get_worker(lab, director).returncode, 64 + 14, "UNAVAILABLE without workers")
    # The third try is one second after the first; two would have been over by now.
    lab.check_equal(get_worker(lab, director, "--deadline", "900ms").returncode, 64 + 4,
                    "DEADLINE_EXCEEDED before the third try")

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


def check_work(lab, director):
    """The programs themselves: what a client has done is done by the worker that was named."""
    workers = [start_member(lab, "worker", name, "--join", director.address)
               for name in ("worker-1", "worker-2")]
    for worker in workers:
        lab.wait_for(lambda: director.find_line(f"node_joined {worker.name} "), 20,
                     f"{worker.name} joined")
    done_by = set()
    for turn in range(2):
        client = lab.start_program(f"client-{turn}", [EXAMPLES / "client", "--tls",
                                                      lab.issue("viewer", "client"), "--director",
                                                      director.address, "--text", "Three birds."])
        lab.check_equal(client.wait_exit(20), 0, "the client's exit status")
        answer = client.lines[-1].split("client: ")[1]
        lab.check(answer.startswith("10 letters, counted by worker-"), answer)
        done_by.add(answer.split()[-1])
    lab.check_equal(done_by, {"worker-1", "worker-2"}, "each had a turn")
    for worker in workers:
        worker.signal(signal.SIGTERM)
        lab.check_equal(worker.wait_exit(20), 0, f"{worker.name}'s exit status")
    nobody = lab.start_program("client-in-vain", [EXAMPLES / "client", "--tls",
                                                  lab.issue("viewer", "client"), "--director",
                                                  director.address, "--text", "Birds."])
    lab.check_equal(nobody.wait_exit(20), 1, "the exit status without workers")
    lab.check(any("no worker is available" in line for line in nobody.error_lines),
              f"it says why: {nobody.error_lines}")


def main():
    with Lab() as lab:
        director = start_member(lab, "director", "director")
        director.address = address_of(lab, director)
        check_assignment(lab, director.address)
        check_work(lab, director)
        director.signal(signal.SIGINT)
        lab.check_equal(director.wait_exit(20), 0, "the director's exit status")
        print("assignment in turn, three tries, work done by whom the director names")


if __name__ == "__main__":
    main()
