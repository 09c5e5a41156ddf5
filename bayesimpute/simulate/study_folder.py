"""The folder of a simulation study: finished results, a file each, written all or nothing."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bayesimpute.content import PYTHON, digest, other_python, shown
from bayesimpute.errors import FileFormatError, SpecificationError
from bayesimpute.files import make_folder, write
from bayesimpute.result import json_values
from bayesimpute.simulate.study_work import Outcome, Study

FORMAT = "bayesimpute simulation study"
FORMAT_VERSION = 2


@dataclass(frozen=True)
class Folder:
    """``study.json`` says which study this is; a folder a method holds a file a replicate."""

    path: Path

    def compare(self, study: Study, seed: int | None) -> int | None:
        """Seed of the study that is there, None if none is; refuse another study."""
        if os.path.exists(self.path) and not os.path.isdir(self.path):
            raise SpecificationError(f"folder={str(self.path)!r} is a file; name a folder.")
        held = self._held()
        if held is None:
            return None
        settings: dict[str, tuple[Any, Any]] = {}
        if seed is not None:
            settings["seed"] = (held["seed"], study.seed)
        for what, text in settings_of(study).items():
            settings[what] = (held["settings"].get(what), text)
        for name, text in methods_of(study).items():
            if name in held["methods"]:
                settings[f"method {name!r}"] = (held["methods"][name], text)
        differs = {name: pair for name, pair in settings.items() if pair[0] != pair[1]}
        if differs:
            (first, (before, now)), *others = differs.items()
            also = f"; {', '.join(name for name, _ in others)} differ, too" if others else ""
            raise SpecificationError(
                f"folder {self.path.name!r} holds another study: {first} was {before}, and is now "
                f"{now}{also}. {other_python(held['python'])}Name another folder, or delete it; a "
                "method that changed may also get another name."
            )
        return int(held["seed"])

    def begin(self, study: Study) -> None:
        """Say in the folder which study it holds."""
        held = self._held() or {}
        written = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "python": PYTHON,
            "seed": study.seed,
            "settings": settings_of(study),
            # those of earlier calls are still there
            "methods": {**held.get("methods", {}), **methods_of(study)},
        }
        make_folder(self.path)
        if written != held:
            text = json.dumps(written, indent=1, ensure_ascii=False) + "\n"
            self._replace(self.path / "study.json", text)

    def read(self, methods: Mapping[str, Any], replicates: int) -> dict[tuple[int, str], Outcome]:
        """Read what is finished; a file that cannot be read is work still to be done."""
        found = {}
        for name in methods:
            for number in range(replicates):
                try:
                    text = self._file(number, name).read_text("utf-8")
                    found[number, name] = Outcome.from_json(text)
                except (OSError, ValueError, KeyError, TypeError):
                    continue
        return found

    def write(self, outcome: Outcome) -> None:
        """Keep one result, all or nothing."""
        self._replace(self._file(outcome.replicate, outcome.method), outcome.to_json())

    def _file(self, number: int, method: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9._]+", "-", method).strip("-.")[:40]
        return self.path / f"{readable}-{digest(method)[:8]}" / f"{number:06d}.json"

    def _held(self) -> dict[str, Any] | None:
        path = self.path / "study.json"
        if not os.path.exists(path):  # which does not raise where it may not look
            return None
        try:
            held = json_values.parse(path.read_bytes())
            known = (held["format"], held["format_version"]) == (FORMAT, FORMAT_VERSION)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileFormatError(f"{path} is damaged; delete the folder.") from error
        if not known:
            raise FileFormatError(f"{path} is not of this version's format; name another folder.")
        return held

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        if not path.parent.is_dir():
            make_folder(path.parent)
        write(path, text.encode())


def settings_of(study: Study) -> dict[str, str]:
    """Text of all that decides numbers, but seed and methods."""
    return {
        "simulate": shown(study.simulate),
        "analysis": shown(study.analysis),
        "family": shown(study.family),
        "dfcom": shown(None if study.dfcom is None else float(study.dfcom)),
        "bayesimpute": version("bayesimpute"),
    }


def methods_of(study: Study) -> dict[str, str]:
    """Text of each method."""
    return {name: shown(work) for name, work in study.methods.items()}
