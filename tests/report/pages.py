"""Reading a page: whether it is well-formed, complete in itself, and harmless."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}
OUTSIDE = re.compile(r"(?:https?:)?//", re.IGNORECASE)


@dataclass
class Page(HTMLParser):
    """What is in a page, and what is wrong with it."""

    text: str
    problems: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    spoken: list[str] = field(default_factory=list)
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self.feed(self.text)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self._open]
        self.problems += [f"id {name} twice" for name in self.ids if self.ids.count(name) > 1]
        self.problems += [f"#{name} leads nowhere" for name in self.anchors if name not in self.ids]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            self._attribute(tag, name, value or "")
        if tag in ("script", "iframe", "object", "embed", "base", "form"):
            self.problems.append(f"<{tag}>")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name.startswith("on"):
            self.problems.append(f"{tag} has {name}")
        if name == "id":
            self.ids.append(value)
        if name == "alttext":
            self.spoken.append(value)
        if name == "style":
            self._style(value)
        if name in ("src", "href", "srcset", "data", "action", "poster"):
            if value.startswith("#"):
                self.anchors.append(value[1:])
            elif not value.startswith("data:"):
                self.problems.append(f"{tag} {name} {value[:60]}")
            if tag == "img":
                self.images.append(value)

    def _style(self, text: str) -> None:
        if OUTSIDE.search(text) or "@import" in text or "url(" in text:
            self.problems.append(f"style {text[:60]}")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self._open[-1:] or 'nothing'}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self._style(data)
        else:
            self.words += data
