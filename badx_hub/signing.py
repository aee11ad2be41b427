"""Signatures of badx.json, made and checked with SSH keys by OpenSSH's `ssh-keygen`; nothing is asked of a network.

badx.json holds the sha256 of every file of its version, so a signature of it vouches for all of them. It lies beside it
as `badx.json.sig`. Who may sign is a file of allowed signers, as `ssh-keygen` and git read it: a name and a public key
a line.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from badx_hub.errors import IntegrityError, NotFoundError, UsageError

NAMESPACE = "badx-hub"
"""What the signature is for: a signature that the same key made for something else is not taken."""

MAX_SIGNATURE_BYTES = 2**14
_KEY_STARTS = (b"-----BEGIN ", b"ssh-", b"ecdsa-", b"sk-")
_LONGEST_START = 32
_SECONDS = 120.0  # A key may have a passphrase, which a person types.


def sign(content: bytes, key: Path) -> bytes:
    """The signature of `content` by the private key in the file `key` (or the public one, of a key in an SSH agent).

    Raises NotFoundError (no such key, no `ssh-keygen`), UsageError (the key cannot be used).
    """
    if not key.is_file():
        raise NotFoundError(f"There is no key {key}. Give the file of an SSH key, such as ~/.ssh/id_ed25519.")
    if not key.read_bytes()[:_LONGEST_START].startswith(_KEY_STARTS):
        raise UsageError(f"{key} is no SSH key, so it cannot sign. Give the file of one, such as ~/.ssh/id_ed25519.")
    done = _run(["-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE], content)
    if done.returncode or not done.stdout:
        raise UsageError(f"The key {key} cannot sign ({_said(done)}). Give an SSH key that you can use.")
    return done.stdout


def signer_of(content: bytes, signature: bytes, allowed: Path, name: str) -> str:
    """The allowed signer whose key made `signature` of `content`; `name` stands for what was signed in errors.

    Raises IntegrityError (not a signature of it, or by nobody who is allowed), NotFoundError (no file of signers).
    """
    if not allowed.is_file():
        raise NotFoundError(
            f"There is no file of allowed signers {allowed}. Write one: a name and a public key a line."
        )
    with tempfile.TemporaryDirectory(prefix="badx-") as folder:
        file = Path(folder) / "signature"
        file.write_bytes(signature[:MAX_SIGNATURE_BYTES])
        where = ["-f", str(allowed), "-s", str(file)]
        found = _run(["-Y", "find-principals", *where], b"")
        signers = found.stdout.decode("utf-8", "replace").split("\n")[0].split(",")
        if found.returncode or not signers[0]:
            raise IntegrityError(f"{name} is not signed by anybody in {allowed}. Do not use it, or allow its signer.")
        done = _run(["-Y", "verify", "-I", signers[0], "-n", NAMESPACE, *where], content)
    if done.returncode:
        raise IntegrityError(
            f"The signature of {name} is not that of its badx.json. Do not use it; tell its publisher."
        )
    return signers[0]


def _run(arguments: Sequence[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments], input=content, capture_output=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise NotFoundError("Signatures need OpenSSH's ssh-keygen, which is not here. Install OpenSSH.") from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"The program ssh-keygen did not answer in {_SECONDS:.0f} seconds. Use a key without a prompt."
        ) from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = done.stderr.decode("utf-8", "replace").strip().splitlines()
    line = text[-1] if text else "it says nothing"
    return "".join(character for character in line if character.isprintable())[:160].rstrip(".")
