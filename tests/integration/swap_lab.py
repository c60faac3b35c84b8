"""What the tests of examples/connection_swap share: its programs in a Lab, and what a client must have
got in the end."""

import re

from cluster_process import EXAMPLES, Lab

PROGRAMS = EXAMPLES / "connection_swap"
RESULT = re.compile(r"(\d+) tokens, (\d+) failovers?, (\d+) lost, (\d+) repeated")


class SwapLab(Lab):
    def start_part(self, program, name, *arguments):
        return self.start_program(name, [PROGRAMS / program, "--tls", self.issue(name),
                                         *arguments])

    def start_viewer(self, program, name, *arguments):
        """Clients share a certificate: making one takes as long as many tokens."""
        return self.start_program(name, [PROGRAMS / program, "--tls",
                                         self.issue("viewer", "client"), *arguments])

    def address_of(self, part, text="listening on "):
        line = self.wait_for(lambda: part.find_line(text), 20, f"{part.name}: {text}")
        return line.split(text)[1].split(",")[0]

    def start_director(self, name, *arguments, listen="127.0.0.1:0", profile="local"):
        director = self.start_part("director", name, "--listen", listen, "--profile", profile,
                                   *arguments)
        director.address = self.address_of(director)
        return director

    def start_worker(self, name, director, *arguments, profile="local"):
        worker = self.start_part("worker", name, "--listen", "127.0.0.1:0", "--profile", profile,
                                 "--join", director.address, *arguments)
        worker.address = self.address_of(worker)
        return worker

    def start_workers(self, names, director, *arguments, profile="local"):
        """By their names, when the director knows them."""
        workers = {name: self.start_worker(name, director, *arguments, profile=profile)
                   for name in names}
        for name in names:
            self.wait_member(director, name)
        return workers

    def wait_member(self, director, name):
        self.wait_for(lambda: director.find_line(f"node_joined {name} ") or
                      director.find_line(f"node_recovered {name} "), 30,
                      f"{director.name} knows {name}")

    def count_lines(self, part, text):
        return sum(text in line for line in list(part.lines))

    def wait_lines(self, part, text, count, deadline=30):
        """Until the part has printed that so many times."""
        self.wait_for(lambda: self.count_lines(part, text) >= count, deadline,
                      f"{part.name}: {text} ({count} times)")

    def start_client(self, name, directors, *arguments, count=300):
        record = self.folder / f"{name}.record"
        several = [part for director in directors for part in ("--director", director.address)]
        client = self.start_viewer("client", name, *several, "--count", str(count),
                                   "--connection", name, "--record", record, *arguments)
        client.record = record
        client.count = count
        return client

    def serving(self, client):
        """The name of the worker that serves a client now; None before the first."""
        lines = [line for line in list(client.lines) if " serves from token " in line]
        return lines[-1].split()[3] if lines else None

    def wait_token(self, client, number):
        """`number` is a multiple of ten, which the client tells of."""
        self.wait_for(lambda: client.find_line(f": token {number} from "), 40,
                      f"{client.name} has token {number}")

    def check_whole(self, client, failovers_min, deadline=60):
        """Every token once and in order, by the client's count and by what it wrote down as it came.
        Returns the longest wait for a token in ms."""
        self.check_equal(client.wait_exit(deadline), 0, f"{client.name}'s exit status")
        result = RESULT.fullmatch(client.lines[-1])
        self.check(result, f"{client.name}'s last line is {client.lines[-1]!r}")
        tokens, failovers, lost, repeated = map(int, result.groups())
        self.check_equal((tokens, lost, repeated), (client.count, 0, 0), client.lines[-1])
        self.check(failovers >= failovers_min,
                   f"{client.name}: at least {failovers_min} failovers, found {failovers}")
        came = [int(line) for line in client.record.read_text().split()]
        self.check_equal(came, list(range(1, client.count + 1)), f"what came to {client.name}")
        waited = client.find_line("waited at most ")
        return int(waited.split("waited at most ")[1].split()[0])

    def check_waits(self, client, count_min, max_ms, turns):
        """What each failover cost, of a client with --lateness. A machine that is busy may keep each
        process that has to do something from running as long as it kept the client's timer: so much is
        allowed on top, for each of so many turns."""
        waits = [line.split(" after ")[1].split() for line in list(client.lines)
                 if ": went on after " in line]
        self.check(len(waits) >= count_min, f"{client.name} told of {len(waits)} failovers")
        for wait in waits:
            waited, late = int(wait[0]), int(wait[-2])
            self.check(waited <= max_ms + turns * late,
                       f"{client.name} waited {waited} ms, more than {max_ms}; the machine was late "
                       f"by {late} ms of that")
        return ", ".join(f"{wait[0]} ({wait[-2]} late)" for wait in waits)

    def call(self, address, method, data="", name="viewer", role="client"):
        """What `covey call` makes of it: status 0 and the answer, or 64 + the call's code."""
        return self.run("call", method, "--tls", self.issue(name, role), "--addr", address,
                        "--data", data)

    def check_refused(self, done, code, text, what):
        self.check_equal(done.returncode, 64 + code, f"{what}: {done.stderr.decode()}")
        self.check(text in done.stderr.decode(), f"{what}: no {text!r} in {done.stderr.decode()!r}")
