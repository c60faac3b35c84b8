#!/usr/bin/env python3
"""Members that are killed and come back with their key: at another port; and with a wall clock that was set
back by hours meanwhile, so that what they first say of themselves is older than what is known of them."""

import os
import sys
from pathlib import Path

from cluster_process import Lab

NAMES = ["a", "b", "c", "d"]
ALL_ALIVE = {name: "alive" for name in NAMES}
CLOCK_SHIFT_S = 2 * 3600
# For a failure to be noticed, spread and taken back.
DEADLINE = 60


def wait_known(lab, agents, returned, least_incarnation):
    """Until everybody sees it alive, at its new address, in a new life."""
    for agent in agents.values():
        def is_known():
            member = (lab.members(agent) or {}).get(returned.name)
            return (member is not None and member["state"] == "alive"
                    and member["addr"] == returned.address
                    and member["incarnation"] > least_incarnation)
        lab.wait_for(is_known, DEADLINE, f"{agent.name} sees {returned.name}'s new life")
    lab.wait_states(agents.values(), ALL_ALIVE, DEADLINE)


def set_tag(lab, agents, owner, value):
    """Its word counts again: all have what it says now."""
    lab.must("tag", "set", f"life={value}", "--tls", owner.tls, "--addr", owner.address)
    for agent in agents.values():
        lab.wait_for(lambda: lab.members(agent)[owner.name]["tags"] == {"life": value}, DEADLINE,
                     f"{agent.name} has {owner.name}'s tag")


def kill_and_return(lab, agents, name):
    old = agents.pop(name)
    incarnation = lab.members(agents["a"])[name]["incarnation"]
    old.kill()
    agents[name] = lab.start_agent(name, "--join", agents["a"].address)
    lab.check(agents[name].address != old.address, f"{name} got its old port again")
    wait_known(lab, agents, agents[name], incarnation)
    set_tag(lab, agents, agents[name], "second")


def told_of(agents, name):
    return {agent.name: len(agent.events(about=name)) for agent in agents.values()
            if agent.name != name}


def main():
    with Lab() as lab:
        shim = sys.argv[1] if len(sys.argv) > 1 else None
        agents = {"a": lab.start_agent("a")}
        for name in NAMES[1:3]:
            agents[name] = lab.start_agent(name, "--join", agents["a"].address)
        lab.issue("d")  # by the true clock, else the others would not take it yet
        if shim is not None:  # its clock is ahead in its first life
            lab.check(Path(shim).exists(), f"no {shim}")
            os.environ |= {"LD_PRELOAD": shim, "COVEY_TEST_CLOCK_SHIFT": str(CLOCK_SHIFT_S)}
        agents["d"] = lab.start_agent("d", "--join", agents["a"].address)
        for variable in ["LD_PRELOAD", "COVEY_TEST_CLOCK_SHIFT"]:
            os.environ.pop(variable, None)
        lab.wait_states(agents.values(), ALL_ALIVE, DEADLINE)

        if shim is not None:
            known = lab.members(agents["a"])
            ahead = known["d"]["incarnation"] - known["c"]["incarnation"]
            lab.check(ahead > (CLOCK_SHIFT_S - 600) * 1000, f"d's clock is ahead by {ahead} ms only")
        kill_and_return(lab, agents, "c")
        kill_and_return(lab, agents, "d")
        # it was killed once, and told of a few times; no quarrel about its age
        before = told_of(agents, "d")
        set_tag(lab, agents, agents["d"], "third")
        after = told_of(agents, "d")
        for name, count in after.items():
            lab.check(count - before[name] <= 1, f"{name} told {count - before[name]} things of d")
            failures = len(agents[name].events("node_failed", "d"))
            lab.check(failures <= 1, f"{name} told {failures} failures of d")
        print("another port" + (", another clock" if shim else "") + ": known again in a new life")


if __name__ == "__main__":
    main()
