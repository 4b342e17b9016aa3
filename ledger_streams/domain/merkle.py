"""Merkle trees: one hash for many, and a short proof that one of them is among them.

The tree of RFC 6962: leaves and nodes are hashed apart, so that neither passes for the
other, and the left part of a tree is the largest power of two.  Leaves come one by one
and in any number; only the roots of whole subtrees are kept, a hash a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec


class Step(msgspec.Struct, frozen=True):
    """A neighbour on the way from a leaf to the root, and on which side it is."""

    side: Literal["left", "right"]
    hash: str
    """Hexadecimal."""


class _Subtree(NamedTuple):
    height: int
    hash: bytes
    has_target: bool


class Tree:
    """Takes leaves in order; with `target`, the number of a leaf from 0, it gathers its path."""

    def __init__(self, target: int | None = None) -> None:
        self._target = target
        self._subtrees: list[_Subtree] = []
        self.leaves = 0
        self.path: list[Step] = []
        """Of the target, complete once the root has been asked for."""

    def add(self, content: bytes) -> None:
        """Take the next leaf."""
        subtree = _Subtree(0, leaf_hash(content), self.leaves == self._target)
        self.leaves += 1
        while self._subtrees and self._subtrees[-1].height == subtree.height:
            subtree = self._joined(self._subtrees.pop(), subtree)
        self._subtrees.append(subtree)

    def root(self) -> bytes:
        """Return the root, after the last leaf; of no leaves it is the hash of nothing."""
        if not self._subtrees:
            return sha256().digest()
        while len(self._subtrees) > 1:
            right = self._subtrees.pop()
            self._subtrees.append(self._joined(self._subtrees.pop(), right))
        return self._subtrees[0].hash

    def _joined(self, left: _Subtree, right: _Subtree) -> _Subtree:
        if left.has_target:
            self.path.append(Step("right", right.hash.hex()))
        elif right.has_target:
            self.path.append(Step("left", left.hash.hex()))
        has_target = left.has_target or right.has_target
        return _Subtree(left.height + 1, node_hash(left.hash, right.hash), has_target)


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of what stands over two."""
    return sha256(b"\x01" + left + right).digest()


def root_by(path: Sequence[Step], content: bytes) -> bytes:
    """Return the root to which a path leads from a leaf: the tree's own, if the leaf is in it."""
    at = leaf_hash(content)
    for step in path:
        other = bytes.fromhex(step.hash)
        at = node_hash(other, at) if step.side == "left" else node_hash(at, other)
    return at
