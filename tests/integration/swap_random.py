#!/usr/bin/env python3
"""examples/connection_swap: 20 runs, each with every worker killed at a random time.

    swap_random.py [SEED]

Five rounds of four clients each, two workers, one cluster. In each round each worker is killed once
while all four stream, and started again when the director has noticed; so each run has a kill in it, and
some have none to serve them for a while.
"""

import random
import sys
import threading
import time

from swap_lab import SwapLab

ROUNDS = 5
CLIENTS = 4
TOKENS = 500
INTERVAL = ("--interval", "10")  # five seconds, so that all are still at it when the kills come
FAILURES = []


class Round:
    def __init__(self, lab, director, workers, number):
        self.lab = lab
        self.director = director
        self.workers = workers
        self.clients = [lab.start_client(f"client-{number}-{i}", [director], count=TOKENS)
                        for i in range(CLIENTS)]

    def all_stream(self):
        return all(self.lab.serving(client) for client in self.clients)

    def kill_and_restart(self, name):
        failed = self.lab.count_lines(self.director, f"node_failed {name} ")
        recovered = self.lab.count_lines(self.director, f"node_recovered {name} ")
        self.workers[name].kill()

        def restart():
            try:
                self.lab.wait_lines(self.director, f"node_failed {name} ", failed + 1)
                self.workers[name] = self.lab.start_worker(name, self.director, *INTERVAL)
                self.lab.wait_lines(self.director, f"node_recovered {name} ", recovered + 1)
            except Exception as failure:  # shown by the main thread
                FAILURES.append(failure)
        thread = threading.Thread(target=restart)
        thread.start()
        return thread


def run_round(lab, director, workers, number, dice):
    this = Round(lab, director, workers, number)
    lab.wait_for(this.all_stream, 30, "all clients stream")
    victims = dice.sample(sorted(workers), 2)
    pauses = (dice.uniform(0.0, 1.0), dice.uniform(0.0, 1.0))
    print(f"round {number}: " + ", then ".join(f"{name} after {pause:.3f} s"
                                               for name, pause in zip(victims, pauses)))
    threads = []
    for name, pause in zip(victims, pauses):
        time.sleep(pause)  # the kill's random moment; nothing is concluded from it
        threads.append(this.kill_and_restart(name))
    for client in this.clients:
        lab.check_whole(client, 1)
    for thread in threads:
        thread.join()
    lab.check(not FAILURES, f"restarting: {FAILURES}")


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else time.time_ns() % 1000000
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    with SwapLab() as lab:
        director = lab.start_director("director")
        lab.issue("viewer", "client")
        workers = lab.start_workers(("a", "b"), director, *INTERVAL)
        for number in range(ROUNDS):
            run_round(lab, director, workers, number, dice)
    print(f"{ROUNDS * CLIENTS} runs of {TOKENS} tokens, none lost, none twice")


if __name__ == "__main__":
    main()
