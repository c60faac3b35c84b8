#!/usr/bin/env python3
"""Shows that tools/check_layers.py finds each kind of wrong include, in a copy of the sources."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What is added, to which file, and what must be said about it.
WRONG = [
    ("src/base/map.h", '#include "cluster/node.h"', "src/base may not include"),
    ("src/cluster/node.h", '#include "rpc/rpc.h"', "src/cluster may not include"),
    ("src/rpc/rpc.h", '#include "cluster/node.h"', "src/rpc may not include"),
    ("src/transport/transport.h", '#include "cluster/node.h"', "src/transport may not include"),
    ("src/cluster/incarnation.h", '#include "cluster/membership.h"', "later in the order"),
    ("src/cluster/incarnation.h", '#include "cluster/nowhere.h"', "in no row of the order"),
    ("src/cluster/tags.c", "#include <time.h>", "may not include <time.h>"),
    ("src/rpc/rpc.h", "#include <pthread.h>", "may not include <pthread.h>"),
    ("src/api/runtime.c", "#include <uv.h>", "may not include <uv.h>"),
    ("src/io/loop.h", "#include <ngtcp2/ngtcp2.h>", "may not include <ngtcp2/ngtcp2.h>"),
    ("src/base/map.h", '#include "../rpc/rpc.h"', "names no layer"),
    ("include/covey/node.h", "#include <time.h>", "a public header may not include"),
    ("tools/covey/main.c", '#include "base/map.h"', "no file of its own folder"),
    ("tools/covey/main.c", '#include "sim/scenario.h"', "no file of its own folder"),
    ("tools/covey/sim.c", '#include "sim/sim.h"', "no file of its own folder"),
    ("sim/include/sim/figures.h", '#include "base/map.h"', "is for `covey sim` too"),
    ("examples/cluster_basic/main.c", "#include <gnutls/gnutls.h>", "may not include"),
    ("examples/director_with_cluster/worker.c", '#include "token_streams.h"',
     "no file of its own folder"),
    ("examples/common/turns.h", '#include "token.h"', "no file of its own folder"),
    ("benches/load.c", "#include <ngtcp2/ngtcp2.h>", "may not include"),
    ("benches/bound.h", "#include <uv.h>", "may not include"),
    ("benches/bound.h", '#include "quic/qcompat.h"', "no file of its own folder"),
    ("benches/load.c", '#include "api/cluster.h"', "no file of its own folder"),
    ("benches/discovery.c", '#include "nowhere/cluster.h"', "no file of its own folder"),
]


def check(root):
    command = [sys.executable, str(ROOT / "tools/check_layers.py"), "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def main():
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("src", "include", "sim", "tools", "examples", "benches"):
            shutil.copytree(ROOT / name, copy / name)
        status, output = check(copy)
        if status != 0:
            sys.exit(f"the sources themselves are wrong:\n{output}")
        for name, line, expected in WRONG:
            path = copy / name
            original = path.read_text(encoding="utf-8")
            path.write_text(f"{line}\n{original}", encoding="utf-8")
            status, output = check(copy)
            path.write_text(original, encoding="utf-8")
            if status != 1 or f"{name}:1: " not in output or expected not in output:
                print(f"not caught: {line} in {name}; expected '{expected}', got:\n{output}")
                failures += 1
    print(f"{len(WRONG) - failures} of {len(WRONG)} wrong includes were caught")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
