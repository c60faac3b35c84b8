#!/usr/bin/env python3
"""examples/cluster_basic: two nodes meet, serve their method and leave."""

import signal

from cluster_process import EXAMPLES, Lab


def main():
    with Lab() as lab:
        nodes = {}
        seeds = []
        for name in "a", "b":
            nodes[name] = lab.start_program(name, [EXAMPLES / "cluster_basic", lab.issue(name),
                                                   "127.0.0.1:0", *seeds])
            line = lab.wait_for(lambda: nodes[name].find_line("listening on "), 20, "an address")
            seeds = [line.split()[-1]]
        lab.wait_for(lambda: nodes["a"].find_line("node_joined: b at "), 30, "a sees b")
        lab.wait_for(lambda: nodes["b"].find_line("node_joined: a at "), 30, "b sees a")
        answer = lab.must("call", "hello", "--tls", lab.issue("a"), "--addr", seeds[0])
        lab.check_equal(answer, b"hello", "b's answer")
        nodes["b"].signal(signal.SIGINT)
        lab.check_equal(nodes["b"].wait_exit(20), 0, "b's exit status")
        lab.wait_for(lambda: nodes["a"].find_line("node_left: b at "), 20, "a sees that b left")
        print("joined, answered, left")


if __name__ == "__main__":
    main()
