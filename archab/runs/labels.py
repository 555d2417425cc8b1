"""What tells configurations apart, in a few words: labels of several, and the name of a single run."""

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence, Set

SHARED = ("prior", "routine", "measure", "input_shape")  # what the sides have in common, or each has of its own
PLACE = ("seed", "shard", "device", "engine", "tracking", "spool", "control", "rerun", "report")  # where and how
AMOUNTS = ("targets", "restarts", "samples", "samples_per_measure", "heldout_samples")
LONGEST, LONGEST_KEY, LONGEST_VALUE = 64, 40, 24  # characters of a label, and of a key and a value in it


def labels(configurations: Sequence[Mapping[str, str]]) -> list[str]:
    """A label each: the values that differ, those first that tell most apart, as many as there is room for.

    Args:
        configurations: flat, by dotted key. Where nothing in them differs, the code behind them does.
    """
    listed = {key for one in configurations for key, text in one.items() if len(text) > LONGEST_VALUE}
    told = _shared([dict(_leaves(one, listed)) for one in configurations])
    keys = _in_order(told)
    for count in (len(keys), _enough(told, keys)):
        named = [" ".join(_said(key, one, told) for key in keys[:count]) for one in told]
        if max(map(len, named)) <= LONGEST:
            break
    rest = " …" if count < len(keys) else ""
    return _distinct([f"{cut(name, LONGEST)}{rest}" for name in named], told)


def run_name(space: str, typed: Sequence[str], ending: str) -> str:
    """The name of a run: its space, what was typed that makes it another experiment, and an ending such as its seed."""
    pairs = [override.lstrip("+").partition("=") for override in typed if not override.startswith(("-", "hydra"))]
    given = [(k, v) for k, _, v in pairs if k not in ("space", "launch") and k.split(".")[0] not in PLACE]
    words: list[str] = []
    for key, value in sorted(given, key=lambda pair: pair[0] in AMOUNTS):  # which tell least
        word = f"{_key(key)}={cut(value, LONGEST_VALUE)}" if value else _key(key)
        if len(" ".join([*words, word])) > LONGEST:
            words.append("…")
            break
        words.append(word)
    return " ".join([space, *words, ending])


def _leaves(values: Mapping[str, object], listed: Set[str]) -> Iterator[tuple[str, str]]:
    """Every value as text; of the lists and mappings that are to be listed the length, and each item."""
    for key, given in values.items():
        value: object = _literal(given) if key in listed and isinstance(given, str) else given
        if isinstance(value, list | tuple):
            value = {"length": len(value)} | {str(i): item for i, item in enumerate(value)}
        if isinstance(value, dict):
            yield from _leaves({f"{key}.{name}": item for name, item in value.items()}, listed)
        else:
            yield key, str(value)


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _shared(told: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """With one key, such as `routine.lr`, for what the sides have in common in every configuration."""
    made = [dict(one) for one in told]
    ends = {key.removeprefix("space.a.") for one in told for key in one if key.startswith("space.a.")}
    for end in ends:
        a, b, third = (f"space.{side}.{end}" for side in ("a", "b", "reference"))
        if end.split(".")[0] not in SHARED or any(one.get(a) != one.get(b) for one in told):
            continue
        same = [a, b, third] if all(one.get(third, one.get(a)) == one.get(a) for one in told) else [a, b]
        for one in made:
            values = [one.pop(key) for key in same if key in one]
            one |= {end: values[0]} if values else {}
    return made


def _in_order(told: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys that differ: each the one that tells most of those apart which are still alike, plain ones first.

    Arguments that only one of two classes has, and items that only one of two lists has, come in where they must.
    """
    keys = {key for one in told for key in one}
    differing = {key for key in keys if len({one.get(key) for one in told}) > 1}
    partial = {key for key in differing if any(key not in one for one in told)}
    heads = tuple(f"{key.removesuffix('._target_').removesuffix('.length')}." for key in differing)
    implied = {key for key in partial if key.startswith(heads) and not key.endswith(("._target_", ".length"))}
    own = differing - implied
    left = own if _apart(told, own) == _apart(told, differing) else differing
    rest = sorted(left, key=lambda key: (key in implied, key in partial, key.count("."), key))
    ordered: list[str] = []
    while _apart(told, ordered) < _apart(told, left):
        ordered.append(max(rest, key=lambda key: _apart(told, [*ordered, key])))
        rest.remove(ordered[-1])
    return ordered + rest


def _apart(told: Sequence[Mapping[str, str]], keys: Collection[str]) -> int:
    """How many of these differ in some of these keys."""
    return len({tuple(one.get(key) for key in keys) for one in told})


def _enough(told: Sequence[Mapping[str, str]], keys: Sequence[str]) -> int:
    """How many of these keys, at least one, tell as many apart as all of them."""
    kinds = [_apart(told, keys[:count]) for count in range(len(keys) + 1)]
    return max(1, kinds.index(kinds[-1]))


def _said(key: str, one: Mapping[str, str], told: Sequence[Mapping[str, str]]) -> str:
    if key not in one:
        return f"no {_key(key)}"
    value = one[key]
    if not key.endswith("._target_"):
        return f"{_key(key)}={cut(value, LONGEST_VALUE)}"
    known = {other[key] for other in told if key in other}
    last = value.rpartition(".")[2]
    alone = sum(other.rpartition(".")[2] == last for other in known) == 1
    return f"{_key(key.removesuffix('._target_'))}={_key(last if alone else value)}"


def _key(key: str) -> str:
    """The end of a dotted name tells more than its beginning."""
    return key if len(key) <= LONGEST_KEY else f"…{key[1 - LONGEST_KEY :]}"


def cut(text: str, length: int = LONGEST) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _distinct(named: Sequence[str], told: Sequence[Mapping[str, str]]) -> list[str]:
    """Labels that are the same are counted; where all values are, only the code differs."""
    made = []
    for i, name in enumerate(named):
        same = [j for j, other in enumerate(named) if other == name]
        what = "code" if all(told[j] == told[i] for j in same) else "no."
        made.append(f"{name} {what} {same.index(i) + 1}".strip() if len(same) > 1 else name or "code 1")
    return made
