#!/usr/bin/env python3
"""Garbage on the UDP port changes nothing: random, QUIC-like and truncated datagrams."""

import random
import socket
import sys
import time

from cluster_process import Lab

COUNT = 3000
QUIC_V1 = b"\x00\x00\x00\x01"


def long_header(rng, first, version):
    """A long header packet with honest lengths and nonsense behind it."""
    dcid = rng.randbytes(rng.choice([0, 8, 18, 20]))
    scid = rng.randbytes(rng.choice([0, 8, 20]))
    body = rng.randbytes(rng.randrange(0, 1200))
    return (bytes([first]) + version + bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid + body)


def datagram(rng):
    kind = rng.randrange(7)
    if kind == 0:
        return rng.randbytes(rng.randrange(0, 1500))
    if kind == 1:  # Initial, large enough to be looked at
        return long_header(rng, 0xC0 | rng.randrange(16), QUIC_V1).ljust(1200, b"\x00")
    if kind == 2:  # Handshake, 0-RTT and Retry out of the blue
        return long_header(rng, rng.choice([0xD0, 0xE0, 0xF0]) | rng.randrange(16), QUIC_V1)
    if kind == 3:  # a version that nobody speaks: draws a version negotiation at most
        return long_header(rng, 0xC0, rng.randbytes(4)).ljust(1200, b"\x00")
    if kind == 4:  # short header of an unknown connection
        return bytes([0x40 | rng.randrange(64)]) + rng.randbytes(rng.randrange(0, 100))
    if kind == 5:  # cut off inside the header
        return long_header(rng, 0xC3, QUIC_V1)[:rng.randrange(0, 30)]
    return bytes([rng.choice([0x00, 0xFF])]) * rng.randrange(1, 1400)


def facts(members):
    return {name: (m["id"], m["addr"], m["state"], m["incarnation"], m["tags"])
            for name, m in members.items()}


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else time.time_ns()
    print(f"seed {seed}")
    rng = random.Random(seed)
    with Lab() as lab:
        a = lab.start_agent("a", "--echo")
        b = lab.start_agent("b", "--join", a.address)
        agents = [a, b]
        lab.wait_states(agents, {"a": "alive", "b": "alive"}, 30)
        before = facts(lab.members(a))
        lines_before = {agent.name: len(agent.lines) for agent in agents}

        host, port = a.address.rsplit(":", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(COUNT):
                sender.sendto(datagram(rng), (host, int(port)))
                if number % 50 == 0:
                    time.sleep(0.005)  # so that its buffer is not all that is tested
        answer = lab.must("call", "echo", "--tls", b.tls, "--addr", a.address, "--data", "still?")
        lab.check_equal(answer, b"still?", "the echo afterwards")
        lab.check_equal(facts(lab.members(a)), before, "what a knows afterwards")
        lab.wait_states(agents, {"a": "alive", "b": "alive"}, 10)
        for agent in agents:
            lab.check(agent.running(), f"{agent.name} runs")
            lab.check_equal(agent.lines[lines_before[agent.name]:], [], f"new lines of {agent.name}")
        print(f"{COUNT} datagrams changed nothing")


if __name__ == "__main__":
    main()
