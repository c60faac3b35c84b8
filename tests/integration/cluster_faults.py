#!/usr/bin/env python3
"""Five processes with default times: a seed that comes late, a process that is stopped for a while, a
seed that is gone and comes back, a key that is used twice, and everybody started again."""

import signal
import time

from cluster_process import Lab, free_address

NAMES = ["a", "b", "c", "d", "e"]
ALL_ALIVE = {name: "alive" for name in NAMES}
SEED_IS_LATE_S = 2
STOPPED_S = 3


def start_all(lab, seed):
    """The seed comes when the others have tried in vain for a while."""
    agents = {name: lab.start_agent(name, "--join", seed, profile="lan") for name in NAMES[1:]}
    begun = time.monotonic()
    lab.wait_for(lambda: time.monotonic() - begun > SEED_IS_LATE_S, 10, "the seed is late")
    agents["a"] = lab.start_agent("a", listen=seed, profile="lan")
    lab.wait_states(agents.values(), ALL_ALIVE, 60)
    return agents


def failures(agents, about):
    return sum(len(agent.events("node_failed", about)) for agent in agents.values())


def stop_one_for_a_while(lab, agents):
    victim = agents["c"]
    victim.signal(signal.SIGSTOP)
    begun = time.monotonic()
    lab.wait_for(lambda: time.monotonic() - begun > STOPPED_S, 10, "it is stopped for long enough")
    victim.signal(signal.SIGCONT)
    lab.wait_for(lambda: lab.states(victim) == ALL_ALIVE, 30, "it answers again and sees all alive")
    lab.wait_states(agents.values(), ALL_ALIVE, 30)
    lab.check_equal(failures(agents, "c"), 0, "failures of the stopped one")
    lab.check_equal(sum(failures({"c": victim}, name) for name in NAMES), 0,
                    "failures that the stopped one saw")


def lose_the_seed(lab, agents, seed):
    agents.pop("a").kill()
    lab.wait_states(agents.values(), ALL_ALIVE | {"a": "failed"}, 60)
    lab.must("tag", "set", "round=2", "--tls", agents["b"].tls, "--addr", agents["b"].address)
    for agent in agents.values():
        lab.wait_for(lambda: lab.members(agent)["b"]["tags"] == {"round": "2"}, 30,
                     f"{agent.name} knows b's tag without the seed")
    agents["a"] = lab.start_agent("a", listen=seed, profile="lan")  # it joins nobody: they find it again
    lab.wait_states(agents.values(), ALL_ALIVE, 90)


def use_a_key_twice(lab, agents, seed):
    """Reported, and the cluster stays as it is: both are not told of in turn."""
    twin = lab.start_agent("d", "--join", seed, profile="lan")
    both = [agents["d"], twin]
    lab.wait_for(lambda: any(agent.events("node_conflict") for agent in both), 60,
                 "one of the two tells of the conflict")
    begun = time.monotonic()
    lab.wait_for(lambda: time.monotonic() - begun > 5, 10, "five seconds with both")
    told = sum(len(agent.events("node_conflict")) for agent in [*agents.values(), twin])
    lab.check(told <= 6, f"{told} conflicts told in five seconds")
    for name in ["a", "b", "c", "e"]:
        flips = len([e for e in agents[name].events() if e.get("name") == "d"])
        lab.check(flips <= 12, f"{name} told {flips} things of d")
    twin.kill()
    lab.wait_states(agents.values(), ALL_ALIVE, 60)


def main():
    with Lab() as lab:
        seed = free_address()
        agents = start_all(lab, seed)
        stop_one_for_a_while(lab, agents)
        lose_the_seed(lab, agents, seed)
        use_a_key_twice(lab, agents, seed)
        for agent in agents.values():
            agent.kill()
        start_all(lab, seed)
        print("late seed, pause, lost seed, twice the same key, all anew: five alive each time")


if __name__ == "__main__":
    main()
