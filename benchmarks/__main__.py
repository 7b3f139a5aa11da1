"""`make bench`: every benchmark, or those named. `make bench ARGS="ingest latency"`."""

import subprocess
import sys

ALL = ("ingest", "latency", "receiver", "matching", "rematch", "backoffice")

for name in sys.argv[1:] or ALL:
    print(f"\n# {name}\n", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
