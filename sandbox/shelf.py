"""What a dialect keeps beside its jobs, such as the names of uploaded files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

Note = Callable[[dict[str, Any]], None]
"""Takes the record of something that must outlive the process."""


class Shelf:
    """Values by key, each as JSON knows them; the oldest make room for new ones."""

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.most = most
        self.note: Note | None = None
        self._things: OrderedDict[str, Any] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._things

    def put(self, key: str, thing: Any) -> None:
        """Add a value, or another in its place; it must not be changed afterwards."""
        self._things[key] = thing
        if len(self._things) > self.most:
            self._things.popitem(last=False)
        if self.note is not None:
            self.note(self.record_of(key))

    def find(self, key: str) -> Any:
        """The value, or None."""
        return self._things.get(key)

    def things(self) -> list[Any]:
        """From the oldest to the newest."""
        return list(self._things.values())

    def take(self, key: str) -> None:
        """Remove a value, if it is there."""
        self._things.pop(key, None)
        if self.note is not None:
            self.note({"kind": "taken", "shelf": self.name, "key": key})

    def clear(self) -> None:
        self._things.clear()

    def records(self) -> list[dict[str, Any]]:
        return [self.record_of(key) for key in self._things]

    def record_of(self, key: str) -> dict[str, Any]:
        thing = self._things[key]
        return {"kind": "put", "shelf": self.name, "key": key, "thing": thing}
