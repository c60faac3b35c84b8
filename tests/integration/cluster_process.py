"""What the process tests share: a folder with a CA, programs that run in it, and waiting.

    with Lab() as lab:
        first = lab.start_agent("a")
        second = lab.start_agent("b", "--join", first.address)
        lab.wait_for(lambda: lab.states(first) == {"a": "alive", "b": "alive"}, 20, "both alive")

Leaving the block ends every process by its id; those that still run must end with 0 at a SIGTERM.
When a wait or a check fails, everything that the processes printed is shown, in the order of time.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

COVEY = os.environ["COVEY_BIN"]
EXAMPLES = Path(os.environ["COVEY_EXAMPLES"])

# How the sanitizers and assert() begin what they print.
COMPLAINTS = ("Sanitizer", "runtime error:", "Assertion")


def free_address():
    """One where nothing listens: of this process alone, and a port that nobody gets by chance."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 16 & 63)}.{pid >> 8 & 255}.{pid & 255}:14433"


class Failure(Exception):
    pass


class Program:
    """A running program whose output is read as it comes."""

    def __init__(self, lab, name, command):
        self.lab = lab
        self.name = name
        self.lines = []
        self.error_lines = []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors="replace")
        lab.note(name, f"started as process {self.process.pid}")
        self.readers = [self._read(self.process.stdout, self.lines, "out"),
                        self._read(self.process.stderr, self.error_lines, "err")]

    def _read(self, stream, lines, kind):
        def run():
            for line in stream:
                lines.append(line.rstrip("\n"))
                self.lab.note(self.name, f"{kind}: {lines[-1]}")
        reader = threading.Thread(target=run, daemon=True)
        reader.start()
        return reader

    def running(self):
        return self.process.poll() is None

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        self.lab.note(self.name, "SIGKILL")
        self.process.kill()
        self.process.wait(10)

    def signal(self, number):
        self.lab.note(self.name, signal.Signals(number).name)
        self.process.send_signal(number)

    def wait_exit(self, deadline):
        """The exit status, with all output read."""
        try:
            self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {deadline} s") from None
        for reader in self.readers:
            reader.join(10)
        self.lab.note(self.name, f"ended with {self.process.returncode}")
        return self.process.returncode

    def find_line(self, text):
        return next((line for line in list(self.lines) if text in line), None)


class Agent(Program):
    """`covey agent`; its lines are JSON."""

    def __init__(self, lab, name, tls, arguments, listen, profile):
        self.tls = tls
        super().__init__(lab, name, [COVEY, "agent", "--tls", str(tls), "--listen", listen,
                                     "--profile", profile, *arguments])
        lab.wait_for(lambda: self.lines or not self.running(), 20, f"{name}'s first line")
        lab.check(self.lines, f"{name} ended without a line")
        first = json.loads(self.lines[0])
        lab.check(first["event"] == "listening", f"{name}'s first line is {first}")
        self.address = first["addr"]
        self.id = first["id"]

    def events(self, kind=None, about=None):
        """Events so far, of one kind, about the node of this name."""
        found = [json.loads(line) for line in list(self.lines)]
        return [event for event in found if kind in (None, event["event"])
                and about in (None, event.get("name"))]


class Lab:
    def __init__(self, cluster="test"):
        self.folder = Path(tempfile.mkdtemp(prefix="covey-test-"))
        self.pki = self.folder / "pki"
        self.start = time.monotonic()
        self.transcript = []
        self.programs = []
        self.programs = []
        self.must("ca", "init", "--dir", self.pki, "--cluster", cluster)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if error is None:
                self._end_well()
        except Failure as failure:
            kind, error = Failure, failure
        for program in self.programs:
            if program.running():
                program.process.kill()
                program.process.wait(10)
        if error is not None and kind is not SystemExit:  # another lab's failure, shown already
            print("".join(self.transcript), end="")
            print(f"FAILED: {error}" if kind is Failure else f"FAILED: {kind.__name__}: {error}")
        shutil.rmtree(self.folder, ignore_errors=True)
        if kind is Failure:
            sys.exit(1)
        return False

    def _end_well(self):
        """What still runs ends with 0 when it is asked to, and no sanitizer had anything to say."""
        running = [program for program in self.programs if program.running()]
        for program in running:
            program.signal(signal.SIGTERM)
        for program in running:
            self.check_equal(program.wait_exit(30), 0, f"{program.name}'s exit status at the end")
        for program in self.programs:
            for line in list(program.error_lines):
                self.check(not any(word in line for word in COMPLAINTS),
                           f"{program.name} printed: {line}")

    def note(self, who, what):
        self.transcript.append(f"{time.monotonic() - self.start:8.3f} {who}: {what}\n")

    def check(self, condition, what):
        if not condition:
            raise Failure(what)

    def check_equal(self, found, expected, what):
        self.check(found == expected, f"{what}: expected {expected!r}, found {found!r}")

    def wait_for(self, condition, deadline, what):
        """Until the condition holds; its last value is returned."""
        end = time.monotonic() + deadline
        while True:
            value = condition()
            if value:
                self.note("test", f"saw: {what}")
                return value
            if time.monotonic() > end:
                raise Failure(f"waited {deadline} s for: {what}")
            time.sleep(0.05)

    def run(self, *arguments, data=None, deadline=30):
        """Runs `covey ARGUMENT...` to its end."""
        command = [COVEY, *map(str, arguments)]
        started = time.monotonic()
        try:
            done = subprocess.run(command, input=data if data is not None else b"",
                                  capture_output=True, timeout=deadline, check=False)
        except subprocess.TimeoutExpired:
            raise Failure(f"covey {' '.join(command[1:])}: no end within {deadline} s") from None
        self.note("covey", f"{' '.join(command[1:])} -> {done.returncode} after "
                           f"{time.monotonic() - started:.2f} s {done.stderr.decode()!r}")
        return done

    def must(self, *arguments, data=None):
        """Runs a command that must succeed and returns what it printed."""
        done = self.run(*arguments, data=data)
        self.check_equal(done.returncode, 0, f"covey {' '.join(map(str, arguments))}: "
                                             f"{done.stderr.decode()}")
        return done.stdout

    def issue(self, name, role="member"):
        """The folder of a certificate, which is made at the first time."""
        folder = self.folder / name
        if not folder.exists():
            self.must("ca", "issue", "--dir", self.pki, "--name", name, "--out", folder,
                      "--role", role)
        return folder

    def start_agent(self, name, *arguments, listen="127.0.0.1:0", profile="local"):
        return self._keep(Agent(self, name, self.issue(name), arguments, listen, profile))

    def start_program(self, name, command):
        return self._keep(Program(self, name, [str(part) for part in command]))

    def _keep(self, program):
        self.programs.append(program)
        return program

    def members(self, agent, tls=None):
        """What an agent knows, by the members' names; None when it cannot be asked."""
        done = self.run("members", "--tls", tls or agent.tls, "--addr", agent.address,
                        "--format", "json")
        if done.returncode != 0:
            return None
        return {member["name"]: member for member in json.loads(done.stdout)}

    def states(self, agent):
        members = self.members(agent)
        return members and {name: member["state"] for name, member in members.items()}

    def wait_states(self, agents, expected, deadline):
        """Until each of the agents sees exactly these states."""
        for agent in agents:
            self.wait_for(lambda: self.states(agent) == expected, deadline,
                          f"{agent.name} sees {expected}")
