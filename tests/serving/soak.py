"""Many clients at once ask a server for a minute: errors, memory, latency.

Run by hand; pytest does not collect it. The server is `keras-fpn serve`, in a process
of its own.

    python tests/serving/soak.py MODEL_DIR [--clients 32] [--seconds 60]

It exits with 1 if a request failed or the server's memory grew by more than 5% from
the second quarter of the time to the last.
"""

import argparse
import base64
import http.client
import io
import itertools
import json
import pathlib
import statistics
import sys
import threading
import time

import numpy as np
from PIL import Image
from serve_process import serve_process

GROWTH = 1.05


def bodies():
    """Returns requests and the statuses they get: one photo, two, bad ones."""
    photos = []
    for height, width in ((240, 320), (320, 200), (180, 180)):
        y, x = np.mgrid[0:height, 0:width]
        pixels = np.stack([x % 256, y % 256, (x + y) % 256], axis=-1)
        file = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG")
        photos.append(file.getvalue())
    truncated = photos[0][: len(photos[0]) // 2]
    batches = [
        [(photos[0], "ok")],
        [(photos[1], "ok"), (photos[2], "ok")],
        [(photos[2], "ok"), (truncated, "damaged")],
        [(b"none", "not_jpeg_or_png")],
    ]
    return [
        (
            json.dumps(
                {"instances": [{"b64": base64.b64encode(p).decode()} for p, _ in batch]}
            ),
            [status for _, status in batch],
        )
        for batch in batches
    ]


class Clients:
    """Threads that ask until they are told to stop.

    Attributes:
        seconds: list of float, how long each answer took.
        errors: list of str.
    """

    def __init__(self, port, model, count):
        self.seconds, self.errors = [], []
        self._path = f"/v1/models/{model}:predict"
        self._port = port
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(i,)) for i in range(count)
        ]

    def run(self, seconds, look):
        """Lets all of them ask for so long; calls `look` twice a second."""
        for thread in self._threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            look()
            time.sleep(0.5)
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, first):
        requests = itertools.islice(itertools.cycle(bodies()), first, None)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        while not self._stopped.is_set():
            body, expected = next(requests)
            start = time.monotonic()
            try:
                connection.request("POST", self._path, body)
                reply = json.load(connection.getresponse())
                statuses = [row["status"] for row in reply["predictions"]]
                if statuses != expected:
                    self.errors.append(f"{statuses} instead of {expected}")
            except (OSError, http.client.HTTPException, KeyError) as error:
                self.errors.append(repr(error))
                connection.close()
            self.seconds.append(time.monotonic() - start)
        connection.close()


def resident_mib(process):
    """Returns the memory that a process holds, MiB."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def main():
    """Asks as the command line says and prints what was seen; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", metavar="MODEL_DIR")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    places = ["--max-requests", arguments.clients + 1]
    with serve_process(arguments.directory, *places) as server:
        return soak(server, arguments)


def soak(server, arguments):
    """Returns 0 if all went well; prints what was seen."""
    port, model = int(server.rest.rpartition(":")[2]), server.model
    Clients(port, model, 4).run(5, lambda: None)  # warm-up
    memory = []
    clients = Clients(port, model, arguments.clients)
    clients.run(
        arguments.seconds, lambda: memory.append(resident_mib(server.process.pid))
    )
    quarter = len(memory) // 4
    early, late = (
        statistics.median(part)
        for part in (memory[quarter : 2 * quarter], memory[-quarter:])
    )
    cuts = statistics.quantiles(clients.seconds, n=100)
    print(f"clients            {arguments.clients}")
    print(f"requests           {len(clients.seconds)} in {arguments.seconds:.0f} s")
    print(f"errors             {len(clients.errors)} {clients.errors[:3] or ''}")
    for name, value in (("p50", cuts[49]), ("p90", cuts[89]), ("p99", cuts[98])):
        print(f"latency {name}        {value * 1e3:.0f} ms")
    print(f"latency longest    {max(clients.seconds) * 1e3:.0f} ms")
    print(f"memory at start    {memory[0]:.0f} MiB")
    print(f"memory 2nd quarter {early:.0f} MiB")
    print(f"memory last        {late:.0f} MiB")
    return 1 if clients.errors or late > early * GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
