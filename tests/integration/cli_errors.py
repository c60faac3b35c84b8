#!/usr/bin/env python3
"""Every bad input ends in one clear line on stderr and a non-zero exit: no crash, hang, silence."""

import shutil
import socket
import subprocess
from pathlib import Path

from cluster_process import COVEY, Lab, free_address

DEADLINE = 30
# A seed that nobody answers at is tried ten times with growing pauses; joining takes at most 120 s.
JOIN_DEADLINE = 150
FIXTURES = Path(__file__).resolve().parent / "fixtures"

WRONG_USE = 2
FAILED = 1


class Errors:
    def __init__(self, lab):
        self.lab = lab
        self.checked = 0

    def expect(self, status, text, *arguments, begins="covey"):
        """`covey ARGUMENT...` ends with this status and one line that holds the text."""
        done = self.lab.run(*arguments, deadline=DEADLINE)
        self.judge(status, text, done.returncode, done.stdout, done.stderr.decode(), arguments,
                   begins)

    def judge(self, status, text, found_status, stdout, stderr, arguments, begins="covey"):
        lab = self.lab
        what = f"covey {' '.join(map(str, arguments))}"
        lab.check_equal(found_status, status, f"{what}: the exit status ({stderr!r})")
        # An agent's log goes to stderr too; the last line is the reason, and there is only one.
        reasons = [line for line in stderr.splitlines() if line.startswith(begins)]
        lab.check_equal(len(reasons), 1, f"{what}: lines that give a reason, of {stderr!r}")
        lab.check_equal(stderr.splitlines()[-1], reasons[0], f"{what}: the last line")
        lab.check(text.lower() in reasons[0].lower(), f"{what}: '{text}' in {reasons[0]!r}")
        if arguments[:1] != ("agent",):
            lab.check_equal(len(stderr.splitlines()), 1, f"{what}: lines on stderr: {stderr!r}")
            lab.check_equal(stdout, b"", f"{what}: stdout")
        self.checked += 1


def wrong_use(errors, tls):
    use = lambda text, *arguments: errors.expect(WRONG_USE, text, *arguments)
    use("no command")
    use("no command 'dance'", "dance")
    use("no command 'ca'", "ca")
    use("no command 'ca dance'", "ca", "dance")
    use("--tls is missing", "members", "--addr", "127.0.0.1:1")
    use("--addr is missing", "members", "--tls", tls)
    use("--addr is given twice", "members", "--tls", tls, "--addr", "a:1", "--addr", "b:1")
    use("--addr needs a value", "members", "--tls", tls, "--addr")
    use("unknown option --dance", "members", "--tls", tls, "--addr", "a:1", "--dance")
    use("unexpected argument 'x'", "members", "--tls", tls, "--addr", "a:1", "x")
    use("--format", "members", "--tls", tls, "--addr", "a:1", "--format", "xml")
    use("--format", "status", "--tls", tls, "--addr", "a:1", "--format", "xml")
    use("--deadline", "call", "m", "--tls", tls, "--addr", "a:1", "--deadline", "soon")
    use("--deadline", "call", "m", "--tls", tls, "--addr", "a:1", "--deadline", "-1s")
    use("--deadline", "call", "m", "--tls", tls, "--addr", "a:1", "--deadline", "5")
    use("METHOD", "call", "--tls", tls, "--addr", "a:1")
    use("METHOD", "call", "one", "two", "--tls", tls, "--addr", "a:1")
    use("no tag", "tag", "set", "--tls", tls, "--addr", "a:1")
    use("'key' is no tag", "tag", "set", "key", "--tls", tls, "--addr", "a:1")
    use("'=value' is no tag", "tag", "set", "=value", "--tls", tls, "--addr", "a:1")
    use("at most 64 bytes", "tag", "set", "k" * 65 + "=v", "--tls", tls, "--addr", "a:1")
    use("at most 128 bytes", "tag", "set", "k=" + "v" * 129, "--tls", tls, "--addr", "a:1")
    use("no tag", "tag", "remove", "--tls", tls, "--addr", "a:1")
    agent = ("agent", "--tls", tls, "--listen", "127.0.0.1:0")
    use("--profile", *agent, "--profile", "moon")
    use("'x' is no tag", *agent, "--tag", "x")
    use("at most 16 tags", *agent, *(f"--tag=k{number}=v" for number in range(17)))


def bad_simulations(errors, lab):
    use = lambda text, *arguments: errors.expect(WRONG_USE, text, "sim", *arguments)
    for nodes in ("x", "-1", "10001", "5 "):
        use("--nodes is a whole number", "--nodes", nodes)
    use("number of nodes is from 2", "--nodes", "1")
    use("--seed is a whole number", "--seed", "4294967296")
    use("--duration is a time", "--duration", "60")
    use("duration is from 1 s", "--duration", "999ms")
    use("duration is from 1 s", "--duration", "1441m")
    for loss in ("5%", ".5", "1.25", "100.1", "1.", "-1"):
        use("--loss is a percentage", "--loss", loss)
    use("loss is below 100", "--loss", "100")
    use("--kill is a whole number", "--kill", "all")
    use("neither killed nor paused", "--kill", "4")
    use("neither killed nor paused", "--kill", "2", "--pause", "2:500")
    for sides in ("5", "3-", "-2", "5-0", "3-2-1", "3:2"):
        use("--partition is two sizes", "--partition", sides)
    use("sides of a partition are all nodes", "--partition", "3-3")
    for pause in ("1", "1-500", "0:500", "1:", "1:500ms"):
        use("--pause is nodes and milliseconds", "--pause", pause)
    use("a pause is from 1 ms", "--pause", "1:0")
    use("--format is text or json", "--format", "xml")
    use("unexpected argument 'x'", "x")
    errors.expect(FAILED, "cannot write", "sim", "--plot", lab.folder / "none" / "x.svg")


def bad_ca(errors, lab):
    fail = lambda text, *arguments: errors.expect(FAILED, text, *arguments)
    use = lambda text, *arguments: errors.expect(WRONG_USE, text, *arguments)
    new = lab.folder / "new"
    fail("exists already", "ca", "init", "--dir", lab.pki, "--cluster", "test")
    fail("no name for a cluster", "ca", "init", "--dir", new, "--cluster", "a/b")
    fail("no name for a cluster", "ca", "init", "--dir", new, "--cluster", "")
    fail("no name for a cluster", "ca", "init", "--dir", new, "--cluster", "c" * 64)
    use("--key-type", "ca", "init", "--dir", new, "--cluster", "x", "--key-type", "rsa")
    use("--days", "ca", "init", "--dir", new, "--cluster", "x", "--days", "0")
    (lab.folder / "file").write_text("")
    fail("cannot make", "ca", "init", "--dir", lab.folder / "file" / "pki", "--cluster", "x")

    issue = ("ca", "issue", "--dir", lab.pki, "--out", new, "--name")
    fail("no name for a node", *issue, "a b")
    fail("--san", *issue, "a", "--san", "no host")
    use("--role", *issue, "a", "--role", "king")
    use("--days", *issue, "a", "--days", "36501")
    use("--days", *issue, "a", "--days", "-5")
    use("--days", *issue, "a", "--days", "1e3")
    use("--key-type", *issue, "a", "--key-type", "")
    existing = lab.issue("existing")
    fail("exists already", "ca", "issue", "--dir", lab.pki, "--name", "b", "--out", existing)
    fail("cannot read", "ca", "issue", "--dir", new, "--name", "b", "--out", lab.folder / "x")
    fail("cannot read", *issue, "a", "--key", lab.folder / "no-key.pem")
    fail("the key of --key", *issue, "a", "--key", existing / "cert.pem")
    lab.must(*issue, "existing", "--key", existing / "key.pem")
    lab.check_equal((new / "key.pem").read_bytes(), (existing / "key.pem").read_bytes(),
                    "the key of a renewed certificate")
    shutil.rmtree(new)
    broken = lab.folder / "broken-pki"
    shutil.copytree(lab.pki, broken)
    (broken / "ca.pem").write_text("no certificate\n")
    fail("ca.pem", "ca", "issue", "--dir", broken, "--name", "b", "--out", lab.folder / "x")
    shutil.copy(lab.pki / "ca.pem", broken / "ca.pem")
    (broken / "ca-key.pem").write_text("no key\n")
    fail("ca-key.pem", "ca", "issue", "--dir", broken, "--name", "b", "--out", lab.folder / "x")


def bad_identities(lab, other):
    """Folders with something wrong in them, and what must be said of each."""
    good = lab.issue("good")

    def damaged(name, file, content):
        folder = lab.folder / name
        shutil.copytree(good, folder)
        (folder / file).write_bytes(content)
        return folder

    cut = (good / "cert.pem").read_bytes()
    yield "ca.pem", lab.folder / "nowhere"
    yield "ca.pem", damaged("bad-ca", "ca.pem", b"nothing")
    yield "cert.pem", damaged("bad-cert", "cert.pem", b"nothing")
    yield "cert.pem", damaged("cut-cert", "cert.pem", cut[:len(cut) // 2])
    yield "key.pem", damaged("bad-key", "key.pem", b"nothing")
    yield "key.pem", damaged("empty-key", "key.pem", b"")
    yield "key.pem", damaged("other-key", "key.pem", (lab.issue("existing") / "key.pem").read_bytes())
    yield "cert.pem", damaged("other-ca", "ca.pem", (other.pki / "ca.pem").read_bytes())
    yield "expired", FIXTURES / "expired"


def bad_agents(errors, lab):
    tls = lab.issue("good")
    agent = ("agent", "--tls", tls, "--listen")
    fail = lambda text, *arguments: errors.expect(FAILED, text, *arguments)
    for address in "nonsense", "127.0.0.1", "127.0.0.1:99999", "[::1:0", "":
        fail("--listen", *agent, address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        fail("in use", *agent, f"127.0.0.1:{taken.getsockname()[1]}")
    fail("--advertise", *agent, "0.0.0.0:0")
    fail("--advertise", *agent, "127.0.0.1:0", "--advertise", "nonsense")
    fail("--join", *agent, "127.0.0.1:0", "--join", "nonsense")
    fail("member", "agent", "--tls", lab.issue("reader", "client"), "--listen", "127.0.0.1:0")
    fail("member", "agent", "--tls", lab.issue("boss", "admin"), "--listen", "127.0.0.1:0")
    tags = [f"--tag=k{number}=" + "v" * 120 for number in range(5)]
    fail("tags", *agent, "127.0.0.1:0", *tags)


def bad_questions(errors, lab, other, address, closed):
    tls = lab.issue("good")
    fail = lambda text, *arguments: errors.expect(FAILED, text, *arguments)
    for command in ("members",), ("status",), ("leave",), ("tag", "set", "k=v"), ("tag", "remove", "k"):
        fail("--addr", *command, "--tls", tls, "--addr", "nonsense")
        fail("", *command, "--tls", tls, "--addr", closed)
    stranger = other.issue("stranger")
    fail("", "members", "--tls", stranger, "--addr", address)
    fail("", "members", "--tls", tls, "--addr", "no-such-host.invalid:4433")
    call = ("call", "--tls", tls, "--addr", address)
    fail("no name for a method", *call, "")
    fail("no name for a method", *call, "a b")
    fail("cannot read", *call, "echo", "--data", f"@{lab.folder}/nothing")
    large = lab.folder / "large"
    large.write_bytes(bytes((4 << 20) + 1))
    fail("too large", *call, "echo", "--data", f"@{large}")
    # A status, not an error: `call` gives it as 64 + its number.
    unavailable = 64 + 14
    for tls, where in (tls, closed), (stranger, address):
        errors.expect(unavailable, "", "call", "echo", "--tls", tls, "--addr", where,
                      begins="UNAVAILABLE: ")


def start_joins(lab, other, address, closed):
    """Joins that cannot succeed take their time: they run beside the rest."""
    cases = [
        ("no seed is reachable", lab.issue("lonely"), closed),
        ("", other.issue("stranger"), address),
        ("resolve", lab.issue("lost"), "no-such-host.invalid:4433"),
    ]
    started = []
    for text, tls, seed in cases:
        arguments = ("agent", "--tls", tls, "--listen", "127.0.0.1:0", "--profile", "local",
                     "--join", seed)
        program = lab.start_program(f"agent to {seed}", [COVEY, *arguments])
        started.append((text, arguments, program))
    return started


def check_broken_pipe(lab):
    """Nobody reads what an agent prints: it says so and leaves, by no signal."""
    command = [COVEY, "agent", "--tls", str(lab.issue("piped")), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    error = process.stderr.read().decode()
    lab.check_equal(process.wait(DEADLINE), FAILED, f"an agent without a reader: {error}")
    lab.check("cannot write to stdout" in error, f"what it says: {error}")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([COVEY, "--help"], stdout=full, stderr=subprocess.PIPE,
                              timeout=DEADLINE, check=False)
    lab.check_equal(done.returncode, FAILED, "--help to a full disk")
    lab.check_equal(len(done.stderr.decode().splitlines()), 1, "its lines")


def main():
    with Lab() as lab, Lab("elsewhere") as other:
        errors = Errors(lab)
        agent = lab.start_agent("a", "--echo")
        closed = free_address()
        joins = start_joins(lab, other, agent.address, closed)

        tls = lab.issue("good")
        wrong_use(errors, tls)
        bad_simulations(errors, lab)
        bad_ca(errors, lab)
        for text, folder in bad_identities(lab, other):
            errors.expect(FAILED, text, "agent", "--tls", folder, "--listen", "127.0.0.1:0")
            errors.expect(FAILED, text, "members", "--tls", folder, "--addr", agent.address)
        bad_agents(errors, lab)
        bad_questions(errors, lab, other, agent.address, closed)
        check_broken_pipe(lab)
        for text, arguments, program in joins:
            status = program.wait_exit(JOIN_DEADLINE)
            errors.judge(FAILED, text, status, b"", "\n".join(program.error_lines), arguments)

        mode = (lab.pki / "ca-key.pem").stat().st_mode & 0o777
        lab.check_equal(mode, 0o600, "the mode of the CA's key")
        lab.check_equal((tls / "key.pem").stat().st_mode & 0o777, 0o600, "the mode of a key")
        lab.check_equal(lab.states(agent), {"a": "alive"}, "what the agent knows after all that")
        print(f"{errors.checked} bad inputs, one clear line each")


if __name__ == "__main__":
    main()
