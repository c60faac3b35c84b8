#!/usr/bin/env python3
"""examples/connection_swap: what the cluster believes of workers is late, or a lie."""

import signal

from swap_lab import SwapLab


def check_late_tags():
    """The cluster hears of each failure and recovery two seconds late, as --tag-delay has it: the
    director goes on naming a worker that has failed, and the client gets its tokens all the same."""
    with SwapLab() as lab:
        director = lab.start_director("director")
        late = lab.start_workers(("late",), director, "--fail-every", "50", "--down-for", "3000",
                                 "--tag-delay", "2000")["late"]
        client = lab.start_client("client", [director], count=200)
        lab.wait_for(lambda: late.find_line("fails, as its schedule says"), 30, "late fails")
        lab.check(not director.find_line("available=false"), "the director does not know yet")
        # A client that knows nothing of the failure is still sent there, refused, and comes back.
        other = lab.start_client("other", [director], count=20)
        lab.wait_for(lambda: other.find_line("this worker takes no streams now"), 30,
                     "another client is sent to it and refused")
        lab.check(not director.find_line("available=false"), "the director does not know yet")
        lab.start_workers(("b",), director)
        lab.check_whole(client, 1)
        lab.check_whole(other, 0)
        lab.wait_lines(director, "node_tags_updated late at", 2)
        failed = float(late.find_line("fails, as its schedule says").split()[0])
        told = float(late.find_line("tells the cluster available=false").split()[0])
        lab.check(told - failed >= 1.99, f"told after {told - failed:.2f} s")


def check_liar():
    """A member that says it is a worker and has no tokens, under another's name and address: it is
    believed about itself, which costs an attempt, and about nobody else."""
    with SwapLab() as lab:
        director = lab.start_director("director")
        workers = lab.start_workers(("a", "b"), director)
        liar = lab.start_agent("liar", "--join", director.address, "--tag", "role=worker",
                               "--tag", "available=true", "--tag", "name=a",
                               "--tag", f"address={workers['a'].address}",
                               "--tag", "a.available=false")
        lab.wait_member(director, "liar")
        said = {lab.call(director.address, "get_worker").stdout.decode().split()[1]
                for _ in range(6)}
        lab.check_equal(said, {liar.address, *(w.address for w in workers.values())},
                        "all three are named, each at its own address")
        for turn in range(3):  # so that the liar's turn comes
            client = lab.start_client(f"client-{turn}", [director], count=20)
            lab.check_whole(client, 0)
        lab.check(any("UNIMPLEMENTED" in line for program in lab.programs
                      for line in program.lines), "a client was sent to the liar")
        liar.signal(signal.SIGTERM)


def main():
    check_late_tags()
    check_liar()
    print("all tokens while tags are two seconds late, and beside a liar")


if __name__ == "__main__":
    main()
