#!/usr/bin/env python3
"""Checks who includes whom. The tables below are the architecture; docs/ARCHITECTURE.md draws it.

Reads #include lines as text, prints every violation and ends with status 1 when there is one.

    tools/check_layers.py [--root DIR]
"""

import argparse
import re
import sys
from pathlib import Path

# A layer in src/ (or a folder beside it) and the layers whose headers it may include, its own among
# them. Everyone may include <covey/...>.
LAYERS = {
    "src/base": {"base"},
    "src/transport": {"base", "transport"},
    "src/cluster": {"base", "cluster"},
    "src/rpc": {"base", "rpc"},
    "src/quic": {"base", "transport", "quic"},
    "src/node": {"base", "transport", "cluster", "rpc", "quic", "node"},
    "src/io": {"base", "transport", "io"},
    "src/api": {"base", "transport", "cluster", "rpc", "quic", "node", "io", "api"},
    "sim": {"base", "transport", "cluster", "rpc", "quic", "node", "sim"},
}

# The order inside src/cluster: a module includes only modules of the rows above its own. A module is
# x.c and x.h; x_part.c and x_internal.h belong to x when x_part is not listed itself.
CLUSTER_ORDER = [
    {"incarnation", "alarm", "failure_detection/suspicion",
     "failure_detection/phi_accrual", "failure_detection/local_health",
     "partition_detector", "health_checker", "gossip/field"},
    {"node", "node_status", "tag_term"},
    {"record", "tag_index", "tags", "events", "links", "member_table", "digest", "body_table"},
    {"gossip/update", "output", "tag_query", "roster"},
    {"gossip/message", "outbox"},
    {"gossip/queue"},
    {"node_registry"},
    {"watch_rings"},
    {"gossip/ping", "gossip/ack", "gossip/relay_share", "gossip/watch", "snapshot"},
    {"gossip/protocol"},
    {"membership"},
]

STANDARD = {
    "assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdalign.h",
    "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h",
    "stdnoreturn.h", "string.h",
}
# The pure layers: what has no clock, socket or thread in it. stdio.h is there for vsnprintf;
# check_purity.sh sees to it that nothing else of it is used.
PURE = STANDARD | {"arpa/inet.h", "strings.h", "sys/queue.h"}
# QUIC and the node speak in socket addresses and wall clock times but own neither.
NO_SOCKET = PURE | {"sys/socket.h", "netinet/in.h", "sys/types.h", "time.h"}
SYSTEM = {
    "src/base": PURE,
    "src/transport": PURE,
    "src/cluster": PURE,
    "src/rpc": PURE,
    "src/quic": NO_SOCKET,
    "src/node": NO_SOCKET,
    "sim": PURE | {"sys/socket.h", "netinet/in.h", "sys/mman.h"},
}

# Libraries, by how their headers begin, and where alone they may be used.
LIBRARIES = {
    "uv.h": {"src/io", "examples"},
    "uv/": {"src/io"},
    "ngtcp2/": {"src/quic"},
    "gnutls/": {"src/quic"},
    "jansson.h": {"tools/covey"},
}

# What a public header may include beside <covey/...>.
PUBLIC_SYSTEM = {"stdbool.h", "stddef.h", "stdint.h"}

# User programs see the public interface and their own folder; examples also the folder that theirs is
# in (connection_swap/v1), and what examples have in common, which sees nothing but itself.
USER_PROGRAMS = ["tools/covey", "examples", "benches"]
# But `covey sim` runs the simulator, through the headers that need nothing of the layers.
SIMULATOR_USER = re.compile(r"tools/covey/sim(_\w+)?\.[ch]$")
SIMULATOR_HEADERS = {"sim/figures.h", "sim/plot.h", "sim/scenario.h"}
# But what covey is measured against is its libraries without covey.
BOUND = re.compile(r"benches/bound(_\w+)?\.[ch]$")
BOUND_LIBRARIES = ("ngtcp2/", "gnutls/")
# And the benchmark of the simulator sees the simulator.
SIM_PROGRAM = re.compile(r"benches/sim\.c$")
# And a cluster of hundreds of members without a network is made from inside.
INSIDE = re.compile(r"benches/(balancer|cluster_inside|discovery|gossip)(_\w+)?\.[ch]$")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found.group(1) == '"', found.group(2)


def library_of(header):
    for prefix, folders in LIBRARIES.items():
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            return folders
    return None


def cluster_module(name):
    """The module of a path below src/cluster without its suffix, and its row; None if unlisted."""
    rows = {module: row for row, modules in enumerate(CLUSTER_ORDER) for module in modules}
    while name not in rows and "_" in name.rsplit("/", 1)[-1]:
        name = name.rsplit("_", 1)[0]
    return (name, rows[name]) if name in rows else None


def check_cluster(path, own, header):
    own_module = cluster_module(own)
    other = cluster_module(header.removeprefix("cluster/").removesuffix(".h"))
    if own_module is None:
        return f"src/cluster/{own} is in no row of the order"
    if other is None:
        return f'"{header}" is in no row of the order'
    if other[0] != own_module[0] and other[1] >= own_module[1]:
        return f'{own_module[0]} may not include "{header}": it comes later in the order'
    return None


def check_layer(folder, path, quoted, header):
    if header.startswith("covey/"):
        return None if not quoted else f"write <{header}>"
    if quoted:
        layer = header.split("/")[0]
        if path.as_posix().endswith(tuple(SIMULATOR_HEADERS)):
            return check_simulator_header(path, header)
        if folder == "sim" and (path.parent / header).is_file():
            return None
        if "/" not in header or ".." in header:
            return f'"{header}" names no layer'
        if layer not in LAYERS[folder]:
            return f'{folder} may not include "{header}"'
        if layer == "cluster" and folder == "src/cluster":
            own = str(path).split("src/cluster/", 1)[1].rsplit(".", 1)[0]
            return check_cluster(path, own, header)
        return None
    allowed = library_of(header)
    if allowed is not None:
        return None if folder in allowed else f"{folder} may not include <{header}>"
    if folder in SYSTEM and header not in SYSTEM[folder]:
        return f"{folder} may not include <{header}>"
    return None


def check_simulator_header(path, header):
    if header in SIMULATOR_HEADERS:
        return None
    return f"{path.name} is for `covey sim` too and may not include \"{header}\""


def check_public(_folder, _path, quoted, header):
    if not quoted and (header.startswith("covey/") or header in PUBLIC_SYSTEM):
        return None
    return f"a public header may not include {header}"


def user_folders(folder, path):
    yield path.parent
    if folder != "examples" or path.parent.name == "common":
        return
    for outer in path.parent.parents:
        if outer.name == "examples":
            yield outer / "common"
            return
        yield outer


def check_user_program(folder, path, quoted, header):
    if SIM_PROGRAM.search(path.as_posix()) and header.startswith("sim/"):
        return None
    if quoted:
        if INSIDE.search(path.as_posix()) and header.split("/")[0] in LAYERS["src/api"]:
            return None
        if SIMULATOR_USER.search(path.as_posix()) and header in SIMULATOR_HEADERS:
            return None
        folders = user_folders(folder, path)
        if "/" in header or not any((place / header).is_file() for place in folders):
            return f'"{header}" is no file of its own folder'
        return None
    if BOUND.search(path.as_posix()) and header.startswith(BOUND_LIBRARIES):
        return None
    allowed = library_of(header)
    if allowed is not None and folder not in allowed:
        return f"{folder} may not include <{header}>"
    return None


def sources(root, folder):
    base = root / folder
    return sorted(p for p in base.rglob("*") if p.suffix in (".c", ".h")) if base.is_dir() else []


def violations(root):
    jobs = [(folder, check_layer) for folder in LAYERS]
    jobs += [("include", check_public)]
    jobs += [(folder, check_user_program) for folder in USER_PROGRAMS]
    files = 0
    for folder, check in jobs:
        for path in sources(root, folder):
            files += 1
            for number, quoted, header in includes(path):
                problem = check(folder, path, quoted, header)
                if problem:
                    yield f"{path.relative_to(root)}:{number}: {problem}"
    for modules in CLUSTER_ORDER:
        for module in sorted(modules):
            if not (root / "src/cluster" / f"{module}.h").is_file():
                yield f"src/cluster/{module}.h is in the order and does not exist"
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        if f"src/{folder.name}" not in LAYERS:
            yield f"src/{folder.name} is no layer of the table"
    if files == 0:
        yield "there are no sources"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    found = list(violations(parser.parse_args().root))
    for line in found:
        print(line)
    print(f"check_layers: {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
