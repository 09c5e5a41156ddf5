"""What a computed variable is computed from."""

from bayesimpute.specification.specification import Passive, Specification


def sources(specification: Specification, name: str) -> set[str]:
    """Columns a passive variable is computed from, through others that are computed.

    Empty for a variable that is not computed.
    """
    found: set[str] = set()
    queue = [name]
    while queue:
        target = specification.targets.get(queue.pop())
        if isinstance(target, Passive):
            queue += [each for each in target.inputs if each not in found]
            found |= set(target.inputs)
    return found
