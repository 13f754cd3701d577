"""Audio files in blocks, in every format libsndfile knows, and written so that none is ever half there.

Samples are float32, (samples, channels). Errors are AudioFileError with one sentence.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from stream.audio.quiet import quiet_stderr
from stream.separation.separator import Audio

# float32 keeps what is louder than full scale; the others get the best they have.
SUBTYPES = {
    "WAV": "FLOAT",
    "RF64": "FLOAT",
    "W64": "FLOAT",
    "AIFF": "FLOAT",
    "CAF": "FLOAT",
    "FLAC": "PCM_24",
}
FORMATS = {".aif": "AIFF", ".oga": "OGG", ".opus": "OGG"}  # where the extension is not the name
WAV_LIMIT = 4_000_000_000  # bytes: above it a WAV header cannot say how long the file is


class AudioFileError(Exception):
    """A file that cannot be read or written; the text says which and why."""


class AudioReader:
    """A file to be read once, from the front."""

    def __init__(self, path: Path):
        self.path = path
        if path.is_dir():
            raise AudioFileError(f"{path} is a folder: give an audio file")
        if not path.exists():
            raise AudioFileError(f"there is no file {path}")
        try:
            with quiet_stderr():  # MP3s are commented on
                self._file = soundfile.SoundFile(path)
        except (OSError, soundfile.SoundFileError) as error:
            raise AudioFileError(
                f"cannot read {path}: {_reason(error)}; readable are {', '.join(sorted(readable_formats()))}"
            ) from error
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.samples: int = self._file.frames  # as promised by the header

    def blocks(self, block_size: int) -> Iterator[Audio]:
        """Blocks of block_size samples, the last one shorter; each valid until the next.

        Raises AudioFileError when the file ends before its header said it would.
        """
        block = np.empty((block_size, self.channels), np.float32)
        done = 0
        while True:
            try:
                with quiet_stderr():
                    got = self._file.read(out=block)
            except (OSError, soundfile.SoundFileError) as error:
                raise AudioFileError(f"{self.path} is damaged: {_reason(error)}") from error
            if not len(got):
                break
            done += len(got)
            yield got
        if done < self.samples:
            raise AudioFileError(
                f"{self.path} is damaged: it promises {self.samples} samples but only {done} can be read"
            )

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class AudioWriter:
    """A file that appears under its name only when the `with` block ends well; otherwise nothing is left.

    The format follows the extension. It may be as long as `samples`, which decides about large WAV files.
    """

    def __init__(self, path: Path, *, sample_rate: int, channels: int, samples: int):
        self.path = path
        if path.is_dir():
            raise AudioFileError(f"cannot write {path}: it is a folder")
        if not path.parent.is_dir():
            raise AudioFileError(f"cannot write {path}: there is no folder {path.parent}")
        major = self._format(path, samples * channels * 4)
        subtype = "OPUS" if path.suffix.lower() == ".opus" else SUBTYPES.get(major)
        try:
            descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
            os.close(descriptor)
            self._temporary = Path(name)
            self._file = soundfile.SoundFile(name, "w", sample_rate, channels, subtype, format=major)
        except (OSError, soundfile.SoundFileError, ValueError) as error:
            self._discard()
            raise AudioFileError(
                f"cannot write {path} with {channels} channels at {sample_rate} Hz: {_reason(error)}"
            ) from error

    def write(self, block: Audio) -> None:
        try:
            self._file.write(block)
        # soundfile asserts that all was written, which a full disk makes untrue.
        except (OSError, soundfile.SoundFileError, AssertionError) as error:
            raise AudioFileError(
                f"cannot write {self.path}: {_reason(error) or 'the disk may be full'}"
            ) from error

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if kind is None:
                _as_made_by_open(self._temporary)
                os.replace(self._temporary, self.path)
        except (OSError, soundfile.SoundFileError) as problem:
            raise AudioFileError(f"cannot write {self.path}: {_reason(problem)}") from problem
        finally:
            self._discard()

    def _discard(self) -> None:
        temporary = getattr(self, "_temporary", None)
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    @staticmethod
    def _format(path: Path, size: int) -> str:
        suffix = path.suffix.lower()
        major = FORMATS.get(suffix, suffix[1:].upper())
        if major not in soundfile.available_formats() or major == "RAW":
            raise AudioFileError(
                f"cannot write {path}: the extension {suffix!r} is no known format; use .wav"
            )
        return "RF64" if major == "WAV" and size > WAV_LIMIT else major


def readable_formats() -> list[str]:
    return [name for name in soundfile.available_formats() if name != "RAW"]


def same_file(one: Path, other: Path) -> bool:
    """Whether both names lead to one existing file, or would."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return one.resolve() == other.resolve()


def _as_made_by_open(path: Path) -> None:
    """A temporary file is private; the finished one gets the usual permissions."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)


def _reason(error: BaseException) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".")
