#!/usr/bin/env python3
"""examples/connection_swap: no worker at all, both down and one back, a director killed and started
again, two directors of which one goes."""

from swap_lab import SwapLab

UNAVAILABLE = 14
INVALID_ARGUMENT = 3


def check_nobody():
    """A status with a text, and no endless wait. And what is no request."""
    with SwapLab() as lab:
        director = lab.start_director("director")
        lab.check_refused(lab.call(director.address, "get_worker", "viewer-1"), UNAVAILABLE,
                          "no worker is available", "without workers")
        for bad in ("a b", "a/b", "x" * 33, "a " + "0" * 31, "a " + "g" * 32,
                    "a" + (" " + "0" * 32) * 5):
            lab.check_refused(lab.call(director.address, "get_worker", bad), INVALID_ARGUMENT,
                              "the request is", f"{bad!r} is no request")
        client = lab.start_client("client", [director], "--patience", "2", count=10)
        lab.check_equal(client.wait_exit(40), 1, "a client without patience ends")
        lab.check_equal(client.lines[-1], "0 tokens, 0 failovers, 10 lost, 0 repeated",
                        "it says what is lost")
        worker = lab.start_workers(("a",), director)["a"]
        for bad in ("", "1", "1 1", "0 1 x", "1 0 x", "1 1 x y", "-1 1 x", "2 999999999 x",
                    "1 1 x/y", "1 1 " + "x" * 33):
            lab.check_refused(lab.call(worker.address, "tokens", bad), INVALID_ARGUMENT,
                              "the request is", f"{bad!r} asks for no tokens")


def check_outages():
    """One cluster, one client, one outage after the other."""
    with SwapLab() as lab:
        director = lab.start_director("director")
        workers = lab.start_workers(("a", "b"), director, "--interval", "10")
        client = lab.start_client("client", [director], count=600)
        lab.wait_token(client, 30)

        for worker in workers.values():  # both down, one back
            worker.kill()
        lab.wait_lines(director, "has no worker for client", 1)
        workers["b"] = lab.start_worker("b", director, "--interval", "10")
        lab.wait_lines(client, " serves from token ", 2)
        lab.check_equal(lab.serving(client), "b", "who is back")
        workers["a"] = lab.start_worker("a", director, "--interval", "10")
        lab.wait_lines(director, "node_recovered a ", 1)

        director.kill()  # nobody to ask; then there is again, and knows what it is told
        in_vain = lab.count_lines(client, f"the director at {director.address} answers")
        workers["b"].kill()
        lab.wait_lines(client, f"the director at {director.address} answers", in_vain + 1)
        director = lab.start_director("director", "--join", workers["a"].address,
                                      listen=director.address)
        lab.wait_lines(client, " serves from token ", 3)
        lab.check_equal(lab.serving(client), "a", "who is left")
        lab.check_whole(client, 2)


def check_two_directors():
    """The second one knows the same, by gossip, and is asked when the first is silent."""
    with SwapLab() as lab:
        first = lab.start_director("director-1")
        second = lab.start_director("director-2", "--join", first.address)
        workers = lab.start_workers(("a", "b"), first)
        lab.wait_member(second, "a")
        lab.wait_member(second, "b")
        client = lab.start_client("client", [first, second])
        lab.wait_token(client, 60)
        first.kill()
        workers[lab.serving(client)].kill()
        lab.check_whole(client, 1)
        lab.check(second.find_line(": sends client to "), "the second director was asked")


def main():
    check_nobody()
    check_outages()
    check_two_directors()
    print("without a worker UNAVAILABLE; all tokens over outages of workers and directors")


if __name__ == "__main__":
    main()
