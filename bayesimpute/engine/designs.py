"""Designs of all models on the completed data of one chain, made anew where these have changed."""

from collections.abc import Callable, Iterable, Mapping

from bayesimpute.method import Array, Design


class Designs:
    """Designs on values that move.

    Parameters
    ----------
    build
        Makes the design of a model on completed data.
    readers
        Models whose designs depend on a variable.
    values
        Completed data as they stand at any time, variable -> (row,).
    keep
        Whether designs are wanted more than once before their data change; all at once they may
        take much more room than the data.
    """

    def __init__(
        self,
        build: Callable[[str, Mapping[str, Array]], Design],
        readers: Mapping[str, frozenset[str]],
        values: Mapping[str, Array],
        keep: bool,
    ) -> None:
        self._build, self._readers, self._values, self._keep = build, readers, values, keep
        self._held: dict[str, Design] = {}

    def on(self, values: Mapping[str, Array]) -> "Designs":
        """Follow a copy of the values from here on."""
        self._values = values
        return self

    def __call__(self, name: str) -> Design:
        """Give the design of a model."""
        design = self._held.get(name)
        if design is None:
            design = self._build(name, self._values)
            if self._keep:
                # what follows the values is the design's own
                design = design.but(y=design.y.copy())
                self._held[name] = design
        return design

    def forget(self, changed: Iterable[str]) -> None:
        """Take note that variables have changed."""
        for name in changed:
            for model in self._readers[name]:
                self._held.pop(model, None)

    def move(self, name: str, moved: Mapping[str, Callable[[Design], Design]]) -> None:
        """Take note that a variable has changed, and let designs of some models follow.

        Their arrays are written to: whoever has asked for a design is done with it by now.
        """
        following = {model: follow(self(model)) for model, follow in moved.items()}
        self.forget([name])
        self._held.update(following)
