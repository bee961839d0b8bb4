"""Files from the network: retried, checked, and kept whole or not at all."""

import hashlib
import os
import time
from pathlib import Path

import requests

from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.progress import bar, note

ATTEMPTS = 3
TIMEOUT = 30  # seconds without a byte
PIECE = 1 << 20


def download(url: str, path: Path, *, size: int | None = None, sha256: str | None = None) -> str:
    """Fetch ``url`` into the new file ``path`` and return its sha256; after a failure no file is there.

    Args:
        url: where it is.
        path: where it goes; its folder exists.
        size: the bytes it must have, where known.
        sha256: the hash it must have, where known.

    Raises:
        ArtifactError: offline (``ULMFIT_OFFLINE``), not reachable after 3 attempts, or not the file that was expected.
    """
    if os.environ.get("ULMFIT_OFFLINE"):
        raise ArtifactError(f"{url}: not downloaded, because ULMFIT_OFFLINE is set")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            found = _fetch(url, path)
            break
        except requests.RequestException as error:
            path.unlink(missing_ok=True)
            if attempt == ATTEMPTS or _hopeless(error):
                raise ArtifactError(
                    f"{url}: cannot be downloaded ({_reason(error)}); "
                    f"fetch it by other means and use: models download --from-file FILE"
                ) from error
            note(f"{url}: {_reason(error)}; attempt {attempt + 1} of {ATTEMPTS}")
            time.sleep(attempt)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
    if size is not None and path.stat().st_size != size:
        problem = f"{path.stat().st_size:,} bytes, and {size:,} are expected"
    elif sha256 is not None and found != sha256.lower():
        problem = f"sha256 {found}, and {sha256.lower()} is expected"
    else:
        return found
    path.unlink()
    raise ArtifactError(f"{url}: not the file that it should be: {problem}; nothing was kept")


def _fetch(url: str, path: Path) -> str:
    digest, received = hashlib.sha256(), 0
    with requests.get(url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}) as response:
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else 0
        with path.open("xb") as file, bar(total=total, description=path.name, unit="B") as progress:
            for piece in response.iter_content(PIECE):
                file.write(piece)
                digest.update(piece)
                received += len(piece)
                progress.update(len(piece))
    if total and received < total:
        raise requests.exceptions.ChunkedEncodingError(f"{received:,} of {total:,} bytes")
    return digest.hexdigest()


def _hopeless(error: requests.RequestException) -> bool:
    return error.response is not None and 400 <= error.response.status_code < 500


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT} seconds"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error).splitlines()[0][:200]
