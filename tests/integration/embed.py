#!/usr/bin/env python3
"""examples/embed_uv and embed_poll: a member on a libuv loop, called by a client in poll(2)."""

import signal
import subprocess

from cluster_process import EXAMPLES, Lab


def embed_poll(lab, address, method, lines):
    done = subprocess.run([EXAMPLES / "embed_poll", lab.issue("caller", "client"), address, method],
                          input=lines, capture_output=True, timeout=30, check=False)
    lab.note("embed_poll", f"{method} {lines!r} -> {done.returncode} {done.stdout!r} "
                           f"{done.stderr!r}")
    return done


def main():
    with Lab() as lab:
        nodes = {}
        seeds = []
        for name in "a", "b":
            nodes[name] = lab.start_program(name, [EXAMPLES / "embed_uv", lab.issue(name),
                                                   "127.0.0.1:0", *seeds])
            line = lab.wait_for(lambda: nodes[name].find_line("listening on "), 20, "an address")
            seeds = [line.split()[-1]]
        lab.wait_for(lambda: nodes["a"].find_line("node_joined: b at "), 30, "a sees b")
        lab.wait_for(lambda: nodes["b"].find_line("node_joined: a at "), 30, "b sees a")

        # Three calls at once, and one for a line without an end.
        done = embed_poll(lab, seeds[0], "ticks", b"1\n2\n3\n4")
        lab.check_equal(done.returncode, 0, "embed_poll's exit status")
        ticks = [int(line) for line in done.stdout.split()]
        lab.check_equal(len(ticks), 4, "answers")
        # The node's own timer goes on beside covey.
        later = lab.wait_for(lambda: int(lab.must("call", "ticks", "--tls", lab.issue("a"),
                                                  "--addr", seeds[0])) > max(ticks), 20, "ticks")
        lab.check(later, "the node's timer stands still")

        done = embed_poll(lab, seeds[0], "none", b"x\n")
        lab.check_equal(done.returncode, 1, "exit status for an unknown method")
        lab.check(b"UNIMPLEMENTED" in done.stderr, f"no UNIMPLEMENTED in {done.stderr!r}")

        nodes["b"].signal(signal.SIGINT)
        lab.check_equal(nodes["b"].wait_exit(20), 0, "b's exit status")
        lab.wait_for(lambda: nodes["a"].find_line("node_left: b at "), 20, "a sees that b left")
        print("embedded, answered, left")


if __name__ == "__main__":
    main()
