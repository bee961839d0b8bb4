"""Files from the network: retried, checked, and kept whole or not at all."""

import logging
import os
import time
from pathlib import Path

import requests

from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.progress import bar, note

ATTEMPTS = 3
TIMEOUT = 30  # seconds without a byte
PIECE = 1 << 20  # bytes between two steps of the progress bar
REASONS = {
    requests.exceptions.ChunkedEncodingError: "the connection broke off",
    requests.Timeout: f"no answer within {TIMEOUT} seconds",
    requests.ConnectionError: "no connection",
}


def download(url: str, path: Path, *, size: int | None = None, sha256: str | None = None) -> str:
    """Fetch ``url`` into the new file ``path`` and return its sha256; after a failure no file is there.

    Raises:
        ArtifactError: offline (``ULMFIT_OFFLINE``), not reachable after 3 attempts, or not of the ``size`` and
            ``sha256`` that it must have, where these are known.
    """
    if os.environ.get("ULMFIT_OFFLINE"):
        raise ArtifactError(f"{url}: not downloaded, because ULMFIT_OFFLINE is set")
    import pooch  # only here: most runs download nothing

    pooch.get_logger().setLevel(logging.WARNING)  # the notes and the progress bar are ours
    for attempt in range(1, ATTEMPTS + 1):  # pooch's own retries ask again even after a 404
        try:
            with bar(total=size or 1, description=path.name, unit="B") as progress:  # pooch sets the total itself
                get = pooch.HTTPDownloader(progress, PIECE, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
                pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent, downloader=get)
            break
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else 0
            found = (reason for kind, reason in REASONS.items() if isinstance(error, kind))
            reason = f"the server answers {status}" if status else next(found, str(error).split("\n")[0][:200])
            if attempt == ATTEMPTS or 400 <= status < 500:
                raise ArtifactError(
                    f"{url}: cannot be downloaded ({reason}); "
                    f"fetch it by other means and use: models download --from-file FILE"
                ) from error
            note(f"{url}: {reason}; attempt {attempt + 1} of {ATTEMPTS}")
            time.sleep(attempt)
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
    sha256_found = pooch.file_hash(str(path), alg="sha256")
    if size is not None and path.stat().st_size != size:
        problem = f"{path.stat().st_size:,} bytes, and {size:,} are expected"
    elif sha256 is not None and sha256_found != sha256.lower():
        problem = f"sha256 {sha256_found}, and {sha256.lower()} is expected"
    else:
        return sha256_found
    path.unlink()
    raise ArtifactError(f"{url}: not the file that it should be: {problem}; nothing was kept")
