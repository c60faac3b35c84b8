#!/usr/bin/env python3
"""Four agents; one is denied by a file that the others read again, and let in anew when it is empty. One
whose file is wrong keeps what it had; one that is denied from the start does not get in at all."""

import json
import signal

from cluster_process import Lab

NAMES = ["a", "b", "c", "d"]
ALL_ALIVE = {name: "alive" for name in NAMES}


def main():
    with Lab() as lab:
        files = {name: lab.folder / f"{name}.deny" for name in NAMES[:3]}
        for path in files.values():
            path.write_text("# nobody yet\n\n")
        agents = {"a": lab.start_agent("a", "--deny", str(files["a"]), "--echo")}
        for name in NAMES[1:]:
            extra = ["--deny", str(files[name])] if name in files else []
            agents[name] = lab.start_agent(name, "--join", agents["a"].address, *extra)
        lab.wait_states(agents.values(), ALL_ALIVE, 30)
        others = [agents[name] for name in NAMES[:3]]

        for agent in others:
            files[agent.name].write_text(f"{agents['d'].id.upper()}  # its key was stolen\n")
            agent.signal(signal.SIGHUP)
        lab.wait_states(others, ALL_ALIVE | {"d": "failed"}, 60)
        refused = lab.run("call", "echo", "--tls", agents["d"].tls, "--addr", agents["a"].address,
                          "--data", "x", "--deadline", "2s")
        lab.check(refused.returncode != 0, "d may still call a")
        lab.check(b"refused" in refused.stderr, f"why d may not call a: {refused.stderr!r}")
        lab.must("call", "echo", "--tls", agents["b"].tls, "--addr", agents["a"].address,
                 "--data", "x")
        server = json.loads(lab.must("status", "--tls", agents["b"].tls, "--addr",
                                     agents["a"].address, "--json"))["server"]
        lab.check(server["refused_denied"] > 0 and server["connections_denied"] > 0 and
                  server["handshakes_failed"] >= server["refused_denied"], f"who is denied in {server}")

        files["a"].write_text("a typo\n")
        agents["a"].signal(signal.SIGHUP)
        lab.wait_for(lambda: any("line 1 is no node's id" in line
                                 for line in list(agents["a"].error_lines)), 20,
                     "a says what is wrong with its file")
        refused = lab.run("call", "echo", "--tls", agents["d"].tls, "--addr", agents["a"].address,
                          "--data", "x", "--deadline", "2s")
        lab.check(refused.returncode != 0, "d is let in by a file that is wrong")

        for agent in others:
            files[agent.name].write_text("")
            agent.signal(signal.SIGHUP)
        lab.wait_states(agents.values(), ALL_ALIVE, 90)
        print("denied, thrown out, kept out, let in again")


if __name__ == "__main__":
    main()
