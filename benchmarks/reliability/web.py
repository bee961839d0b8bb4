"""Ask the server everything that its OpenAPI document allows, and much that it does not: no answer may be a 5xx.

    pip install schemathesis
    python benchmarks/reliability/web.py --cases 2000 --json

schemathesis makes up the requests until there were so many; the server runs in a process of its own.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inputs import make_model

SERVE = [sys.executable, "-m", "ulmfit_lib.cli", "serve"]
TEST = [sys.executable, "-m", "schemathesis.cli", "run"]
COUNTED = re.compile(r"(\d+) generated, (\d+) passed")
OPERATIONS = 10  # that share the cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    url, cases, passed, seed = f"http://127.0.0.1:{arguments.port}/openapi.json", 0, 0, 1
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder))
        options = ["--port", str(arguments.port), "--folder", str(Path(folder) / "server"), "--quiet"]
        server = subprocess.Popen([*SERVE, str(model), *options], stderr=subprocess.DEVNULL)
        try:
            while cases < arguments.cases and server.poll() is None:
                count = str(max(10, arguments.cases // OPERATIONS))
                run = [*TEST, url, "--checks", "not_a_server_error", "-n", count, "--seed", str(seed)]
                said = subprocess.run([*run, "--wait-for-schema", "60"], capture_output=True, text=True).stdout
                if not (found := COUNTED.search(said)):
                    sys.exit(said)
                cases, passed, seed = cases + int(found[1]), passed + int(found[2]), seed + 1
                print(f"{cases:,} cases, {cases - passed} with a 5xx", file=sys.stderr)
        finally:
            alive = server.poll() is None
            server.terminate()
            server.wait(60)
    result = {"cases": cases, "failed": cases - passed, "server_alive": alive, "date": time.strftime("%Y-%m-%d")}
    print(json.dumps(result) if arguments.json else f"{cases:,} cases: {cases - passed} ended in a 5xx")
    sys.exit(bool(result["failed"]) or not alive)


if __name__ == "__main__":
    main()
