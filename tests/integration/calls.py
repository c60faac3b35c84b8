#!/usr/bin/env python3
"""examples/calls: every way to call, a certificate that is renewed, and the end in good order."""

import re
import shutil
import signal
import subprocess

from cluster_process import COVEY, EXAMPLES, Lab

WAYS = [
    r"greet: Guten Tag, Ann \(served by calls_server\)",
    r"details: INVALID_ARGUMENT: a name has 1 to 64 bytes \(field=name\)",
    r"count: 1000 messages, OK ",
    r"sum: 5050",
    r"echo: one",
    r"echo: two",
    r"echo: three",
    r"async: 10 of 10 answers",
    r"deadline: (\d+) ms were left at the begin",
    r"deadline: DEADLINE_EXCEEDED",
    r"retry: OK, 1 calls were made again",
]


def client(lab, name, address, *ways):
    """calls_client to its end, as this client."""
    command = [EXAMPLES / "calls_client", "--tls", lab.issue(name, "client"), "--addr", address,
               *ways]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lab.note("calls_client", f"{name} {ways} -> {done.returncode} {done.stdout!r} {done.stderr!r}")
    return done


def check_help(lab):
    for name in "calls_server", "calls_client":
        done = subprocess.run([EXAMPLES / name, "--help"], capture_output=True, text=True,
                              timeout=30, check=False)
        lab.check_equal((done.returncode, done.stderr), (0, ""), f"{name} --help")
        lab.check(done.stdout.startswith(f"usage: {name} --tls DIR"), f"help: {done.stdout!r}")
        wrong = subprocess.run([EXAMPLES / name], capture_output=True, text=True, timeout=30,
                               check=False)
        lab.check_equal((wrong.returncode, wrong.stdout), (1, ""), f"{name} without options")
        lab.check_equal(wrong.stderr, done.stdout, f"{name}'s usage")


def check_ways(lab, server, address):
    done = client(lab, "ann", address)
    lab.check_equal(done.returncode, 0, f"calls_client's exit status: {done.stderr}")
    lines = done.stdout.splitlines()
    lab.check_equal(len(lines), len(WAYS), f"lines of {lines}")
    for line, pattern in zip(lines, WAYS):
        lab.check(re.fullmatch(pattern, line), f"expected {pattern!r}, got {line!r}")
    left = int(re.fullmatch(WAYS[8], lines[8]).group(1))
    lab.check(0 < left < 5000, f"of the client's 5 s {left} ms reached the second server")

    # What the server logged of them: the judge's line first, then the end's.
    for method, code in ("sum", "OK"), ("greet", "INVALID_ARGUMENT"), ("flaky", "UNAVAILABLE"):
        lab.wait_for(lambda: server.find_line(f"{method}: from ann"), 10, f"{method} begins")
        lab.wait_for(lambda: server.find_line(f"{method}: {code} after "), 10, f"{method} ends")
    # `relay` calls as the server, and a call whose client gave up is logged too.
    lab.wait_for(lambda: server.find_line("wait: from server"), 10, "the relayed call")
    lab.wait_for(lambda: server.find_line("wait: CANCELLED after ") or
                 server.find_line("wait: DEADLINE_EXCEEDED after "), 10, "the late call")


def check_refusals(lab, address):
    done = client(lab, "guest", address, "sum")
    lab.check_equal((done.returncode, done.stdout), (1, ""), "a guest's sum")
    lab.check_equal(done.stderr, "calls_client: sum: PERMISSION_DENIED: guests may not do this\n",
                    "what the judge said")
    for role, expected in ("client", 64 + 7), ("admin", 0):
        done = lab.run("call", "secret", "--tls", lab.issue(role, role), "--addr", address,
                       "--data", "x")
        lab.check_equal(done.returncode, expected, f"secret for the role {role}")
    done = client(lab, "ann", address, "nothing")
    lab.check_equal((done.returncode, done.stdout), (1, ""), "a way that there is not")

    # What every server has of its own.
    tls = lab.issue("ann", "client")
    lab.check_equal(lab.must("call", "covey.health", "--tls", tls, "--addr", address), b"serving",
                    "covey.health")
    methods = lab.must("call", "covey.methods", "--tls", tls, "--addr", address).decode()
    lab.check("sum stream member,client,admin\n" in methods, f"sum in {methods!r}")
    lab.check("secret unary admin\n" in methods, f"secret in {methods!r}")


def check_renewal(lab, server, address):
    """A new certificate of the same key is taken; one of another key is not."""
    folder = lab.issue("server")
    renewed = lab.folder / "renewed"
    lab.must("ca", "issue", "--dir", lab.pki, "--name", "server", "--out", renewed,
             "--key", folder / "key.pem")
    shutil.copy(renewed / "cert.pem", folder / "cert.pem")
    server.signal(signal.SIGHUP)
    lab.wait_for(lambda: server.find_line("certificate reloaded"), 10, "the renewed certificate")
    lab.check_equal(client(lab, "ann", address, "greet").returncode, 0, "a call afterwards")

    other = lab.issue("other")
    for name in "cert.pem", "key.pem":
        shutil.copy(other / name, folder / name)
    server.signal(signal.SIGHUP)
    lab.wait_for(lambda: any("not reloaded: " in line for line in list(server.error_lines)), 10,
                 "another key is refused")
    lab.check_equal(client(lab, "ann", address, "greet").returncode, 0, "a call after that")


def check_drain(lab, server, address):
    """The call that runs gets its answer, a new one is refused, and then the server ends."""
    running = lab.start_program("waiting", [COVEY, "call", "wait", "--tls",
                                            lab.issue("bob", "client"), "--addr", address,
                                            "--data", "1500"])
    lab.wait_for(lambda: server.find_line("wait: from bob"), 10, "the call runs")
    server.signal(signal.SIGTERM)
    lab.check_equal(server.wait_exit(20), 0, "the server's exit status")
    lab.check_equal(running.wait_exit(20), 0, "the call's exit status")
    lab.check(running.find_line(" ms were left"), f"the call's answer: {running.lines}")
    lab.check_equal(server.lines[-1], "drained: all calls finished", "the server's last line")


def main():
    with Lab() as lab:
        check_help(lab)
        server = lab.start_program("server", [EXAMPLES / "calls_server", "--tls",
                                              lab.issue("server")])
        line = lab.wait_for(lambda: server.find_line("listening on "), 20, "the address")
        address = line.split()[-1]
        check_ways(lab, server, address)
        check_refusals(lab, address)
        check_renewal(lab, server, address)
        check_drain(lab, server, address)
        print("all ways were gone, the certificate renewed, the server drained")


if __name__ == "__main__":
    main()
