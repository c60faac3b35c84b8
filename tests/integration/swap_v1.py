#!/usr/bin/env python3
"""examples/connection_swap: v1's workers and clients with the v2 director, through a rolling upgrade."""

from swap_lab import SwapLab

UNAVAILABLE = 14
INVALID_ARGUMENT = 3
PERMISSION_DENIED = 7
UNIMPLEMENTED = 12


def start_v1_worker(lab, name, management):
    return lab.start_part("v1_worker", name, "--listen", "127.0.0.1:0", "--management", management,
                          "--register-every", "300")


def start_v1_client(lab, name, director):
    client = lab.start_viewer("v1_client", name, "--director", director.address, "--count", "200",
                              "--heartbeat-every", "300")
    client.count = 200
    return client


def check_v1_whole(lab, client):
    lab.check_equal(client.wait_exit(60), 0, f"{client.name}'s exit status")
    lab.check(client.lines[-1].startswith("200 tokens, ") and
              client.lines[-1].endswith(", 0 lost, 0 repeated"), client.lines[-1])


def check_registration(lab, director, management):
    """Who may register, as what, and for how long."""
    for address in (director.address, management):
        lab.check_refused(lab.call(address, "register_worker", "127.0.0.1:1 available=true"),
                          PERMISSION_DENIED, "", "a client registers")
    for bad in ("", "127.0.0.1:1", " available=true", "nowhere available=true",
                "127.0.0.1:1 available=maybe", "127.0.0.1:1 x available=true",
                "1:" + "1" * 80 + " available=true"):
        lab.check_refused(lab.call(management, "register_worker", bad, "mallory", "member"),
                          INVALID_ARGUMENT, "the request is", f"{bad!r} registers nothing")
    lab.must("call", "register_worker", "--tls", lab.issue("mallory"), "--addr", management,
             "--data", "127.0.0.1:1 available=false")
    lab.check_refused(lab.call(director.address, "get_worker"), UNAVAILABLE, "no worker",
                      "one that is not available is not named")
    lab.must("call", "register_worker", "--tls", lab.issue("mallory"), "--addr", management,
             "--data", "127.0.0.1:1 available=true")
    named = lab.call(director.address, "get_worker").stdout.decode()
    lab.check(named.endswith(" 127.0.0.1:1"), f"it is named where it says: {named}")
    lab.wait_for(lambda: lab.call(director.address, "get_worker").returncode == 64 + UNAVAILABLE,
                 30, "one that does not register again is forgotten")


def check_upgrade(lab, director, management):
    """The director first, then one worker after the other, clients at any time; then no RPC."""
    old = {name: start_v1_worker(lab, name, management) for name in ("a", "b")}
    for name in old:
        lab.wait_for(lambda: director.find_line(f"{name} registers its worker"), 20,
                     f"{name} is registered")

    client = start_v1_client(lab, "v1-client-1", director)  # all of v1, and one is killed
    lab.wait_token(client, 60)
    killed = lab.serving(client)
    old[killed].kill()
    check_v1_whole(lab, client)
    lab.check(client.find_line("heartbeat: the worker is gone"), "found out by a heartbeat")
    # Again, so that the client of v2 finds the dead one named and does without it.
    lab.check_whole(lab.start_client("v2-client-1", [director], count=50), 0)

    new = lab.start_workers((killed,), director, "--v1-compat")[killed]  # the first one is v2
    left = next(worker for name, worker in old.items() if name != killed)
    addresses = {lab.call(director.address, "get_worker").stdout.decode().split()[1]
                 for _ in range(4)}
    lab.check_equal(addresses, {new.address, lab.address_of(left)}, "v1 and v2 take turns")
    clients = [start_v1_client(lab, f"v1-client-2-{turn}", director) for turn in range(2)]
    for client in clients:
        check_v1_whole(lab, client)
    lab.check_equal({lab.serving(client) for client in clients}, set(old), "who served v1 clients")

    # Registering as before, out of habit, makes no second worker of a member.
    answer = lab.must("call", "register_worker", "--tls", lab.issue(killed), "--addr", management,
                      "--data", "127.0.0.1:1 available=true")
    lab.check_equal(answer.decode(), "member", "what a member's registration is answered")
    left.kill()
    lab.wait_for(lambda: {lab.call(director.address, "get_worker").stdout.decode().split()[1]
                          for _ in range(3)} == {new.address}, 30, "only the member is named")

    second = lab.start_director("director-2", "--join", director.address)  # without the RPC
    lab.wait_member(second, killed)
    lab.check_refused(lab.call(second.address, "register_worker", "127.0.0.1:1 available=true",
                               "mallory", "member"), UNIMPLEMENTED, "", "no register_worker")
    check_v1_whole(lab, start_v1_client(lab, "v1-client-3", second))


def main():
    with SwapLab() as lab:
        director = lab.start_director("director", "--v1-compat", "--v1-management", "127.0.0.1:0")
        management = lab.address_of(director, "workers register at ")
        check_registration(lab, director, management)
        check_upgrade(lab, director, management)
    print("v1's workers and clients with the v2 director, up to the last v1 worker")


if __name__ == "__main__":
    main()
