#!/usr/bin/env python3
"""Five agents meet through one seed; one is killed and seen failed; it comes back with its key."""

from cluster_process import Lab

NAMES = ["a", "b", "c", "d", "e"]
VICTIM = "c"


def main():
    with Lab() as lab:
        agents = {"a": lab.start_agent("a")}
        for name in NAMES[1:]:
            agents[name] = lab.start_agent(name, "--join", agents["a"].address)
        all_alive = {name: "alive" for name in NAMES}
        lab.wait_states(agents.values(), all_alive, 30)

        # The ids are those of the keys: every agent tells the same of every other.
        ids = {name: agent.id for name, agent in agents.items()}
        for agent in agents.values():
            seen = {name: member["id"] for name, member in lab.members(agent).items()}
            lab.check_equal(seen, ids, f"the ids that {agent.name} sees")

        agents[VICTIM].kill()
        others = [agent for name, agent in agents.items() if name != VICTIM]
        for agent in others:
            lab.wait_for(lambda: agent.events("node_failed", VICTIM), 30,
                         f"{agent.name} prints that {VICTIM} failed")
        lab.wait_states(others, all_alive | {VICTIM: "failed"}, 30)

        again = lab.start_agent(VICTIM, "--join", agents["a"].address)
        lab.check_equal(again.id, ids[VICTIM], "the id after the restart")
        lab.wait_states([*others, again], all_alive, 60)
        for agent in others:
            lab.wait_for(lambda: agent.events("node_recovered", VICTIM), 10,
                         f"{agent.name} prints that {VICTIM} recovered")
            address = lab.members(agent)[VICTIM]["addr"]
            lab.check_equal(address, again.address, f"{VICTIM}'s address as {agent.name} knows it")
        print("five alive, one failed on four, five alive again")


if __name__ == "__main__":
    main()
