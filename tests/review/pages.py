"""A page of a report taken apart, for the tests: its elements, their texts and attributes."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Page(HTMLParser):
    """What a page holds.

    Attributes:
        tags: the names of its elements, in order.
        attributes: (element, attribute, value), in order.
        texts: text by the nearest named element around it, such as `h1` or `figcaption`.
    """

    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    texts: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "sup":
            self.handle_data("^")
        if tag not in ("meta", "link", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag not in ("b", "i", "span", "small", "sup", "a", "bdi"):
            self.texts.append(((*self._open, tag), " "))

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    def within(self, *tags: str) -> str:
        """All text inside any of these elements."""
        return " ".join("".join(text for path, text in self.texts if set(tags) & set(path)).split())

    def outside(self, *tags: str) -> str:
        """All text outside these elements."""
        return " ".join("".join(text for path, text in self.texts if not set(tags) & set(path)).split())


def page(html: str) -> Page:
    """A page from its source."""
    parsed = Page()
    parsed.feed(html)
    return parsed
