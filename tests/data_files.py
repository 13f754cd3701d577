"""Small data sets on disk for the tests of diffvs.data: tones and noise in the layouts of the real ones."""

import json
from pathlib import Path

import numpy as np
import soundfile as sf

from diffvs.data.audio import SAMPLE_RATE
from diffvs.data.cache import Cache, Entry

SECONDS = 2.0


def tone(seed, seconds=SECONDS, rate=SAMPLE_RATE, channels=2, level=0.3):
    """A tone with some noise, different for each seed: (samples, channels) float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    wave = np.sin(2 * np.pi * (200 + 37 * seed) * time)[:, None] + 0.1 * rng.standard_normal(
        (len(time), channels)
    )
    return (level * wave).astype(np.float32)


def write(path: Path, seed=0, rate=SAMPLE_RATE, **kwargs) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, tone(seed, rate=rate, **kwargs), rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


def make_eif(folder: Path, songs=("1_Hydrogen", "2_Lithium", "6_Caesium")) -> Path:
    for number, song in enumerate(songs):
        for part, stem in enumerate(("lead", "backing", "drums", "music")):
            write(folder / f"{song}.{stem}.flac", 10 * number + part)
    return folder


def make_musdb(root: Path, train=("Artist - One", "Artist - Two"), test=("Artist - Three",)) -> Path:
    for subset, songs in (("train", train), ("test", test)):
        for number, song in enumerate(songs):
            for part, stem in enumerate(("mixture", "vocals", "bass", "drums", "other")):
                write(root / subset / song / f"{stem}.wav", 10 * number + part)
    return root


def make_moises(root: Path, tracks=("aaa", "bbb")) -> Path:
    stems = {"vocals": ["v1", "v2"], "drums": ["d1"], "bass": ["b1"]}
    for number, track in enumerate(tracks):
        described = []
        for part, (stem, ids) in enumerate(stems.items()):
            for index, name in enumerate(ids):
                write(root / "provider" / track / stem / f"{name}.wav", 20 * number + 3 * part + index)
            listed = [{"id": name, "trackType": "x", "extension": "wav"} for name in ids]
            described.append({"stemName": stem, "tracks": listed})
        description = {"artist": "A", "song": "S", "stems": described}
        (root / "provider" / track / "data.json").write_text(json.dumps(description))
    return root


def make_cache(root: Path, **voice) -> Cache:
    """A cache with one voice, one recording of music and one multitrack of another kind."""
    cache = Cache(root)
    cache.add("train", Entry("vocals", "voice", "vocals", "voice", "voice", "voice.wav", **voice), tone(1))
    music = Entry("accompaniment", "music", "accompaniment", "music", "music", "music.wav")
    cache.add("train", music, tone(2, seconds=3))
    for part, role in enumerate(("vocals", "accompaniment")):
        cache.add("train", Entry("musdb", f"song/{role}", role, "song", role, "song.wav"), tone(3 + part))
    return cache
