"""`make bench`: every benchmark, or those named. `make bench ARGS="ingest latency"`.

Each has options of its own: `python -m benchmarks.latency --trials 40`.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ALL = ("ingest", "latency", "receiver", "matching", "objections", "identifiers", "rematch", "backoffice")


def options_of(name: str) -> str:
    """What the benchmark's own --help says."""
    shown = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"], check=False, capture_output=True, text=True
    )
    return shown.stdout or f"  its options cannot be shown here: {(shown.stderr.strip() or '?').splitlines()[-1]}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", add_help=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all of them when none is named")
    parser.add_argument("-h", "--help", action="store_true", help="show the benchmarks and the options of each")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in ALL]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(ALL)}")
    if options.help:
        print(__doc__, parser.format_help(), sep="\n")
        names = options.names or ALL
        with ThreadPoolExecutor(2) as pool:
            for name, told in zip(names, pool.map(options_of, names), strict=True):
                print(f"# {name}\n", told, sep="\n")
        return
    for name in options.names or ALL:
        print(f"\n# {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
