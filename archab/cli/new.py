"""A project that runs as it stands: python -m archab new NAME, to be changed into one's own."""

import keyword
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from archab.errors import ArchabError

FILES = {
    "README.md": "README.md",
    "layers.py": "{name}.py",
    "space.yaml": "configs/space/{name}.yaml",
    "routine.yaml": "configs/routine/descend.yaml",
    "target.yaml": "configs/target/ripple.yaml",
    "test.py": "test_{name}.py",
}
USAGE = "new NAME: a layer, a space at matched sizes, a routine, a target and a test, in ./NAME"
SOURCES = Path(__file__).parent / "project"


def make(arguments: Sequence[str]) -> None:
    """Write the project into a folder of this name in the current one, and say what to type.

    Raises:
        ArchabError: if the name is none of a module, is taken, or the folder is there or cannot be written.
    """
    if {"-h", "--help"} & set(arguments):
        print(f"python -m archab {USAGE}")
        return
    if len(arguments) != 1:
        raise ArchabError(USAGE)
    [name] = arguments
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ArchabError(f"new {name}: the name of a Python module is needed: a-z, 0-9 and _, such as my_layer")
    folder = Path(name)
    if folder.exists():
        raise ArchabError(f"new {name}: {folder.resolve()} is there already; nothing was written")
    if name in sys.stdlib_module_names or name == "archab" or find_spec(name) is not None:
        raise ArchabError(f"new {name}: a module of this name is installed, and would be imported in its place")
    try:
        for source, place in FILES.items():
            file = folder / place.format(name=name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text((SOURCES / f"{source}.txt").read_text().replace("NAME", name))
    except OSError as error:
        raise ArchabError(f"new {name}: {folder.resolve()} cannot be written ({error.strerror})") from error
    print(f"{name}/: {', '.join(place.format(name=name) for place in FILES.values())}")
    print(f"  cd {name} && python -m archab --config-dir configs +space={name}")
