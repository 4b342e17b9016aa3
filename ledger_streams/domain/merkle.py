"""Merkle trees: one root hash over many leaves, and short inclusion proofs.

The tree of RFC 6962: leaves and nodes have different hash prefixes, so neither passes for the
other, and the left subtree has the largest power of two of leaves.  Leaves are added one by
one; the builder keeps only the roots of full subtrees, a hash a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec


class Step(msgspec.Struct, frozen=True):
    """A sibling on the path from a leaf to the root, and its side."""

    side: Literal["left", "right"]
    hash: str
    """Hexadecimal."""


class _Subtree(NamedTuple):
    height: int
    hash: bytes
    has_target: bool


class Tree:
    """Adds leaves in order; collects the path of leaf number `target`, counted from 0."""

    def __init__(self, target: int | None = None) -> None:
        self._target = target
        self._subtrees: list[_Subtree] = []
        self.leaves = 0
        self.path: list[Step] = []
        """Path of the target; complete after `root`."""

    def add(self, content: bytes) -> None:
        """Add the next leaf."""
        subtree = _Subtree(0, leaf_hash(content), self.leaves == self._target)
        self.leaves += 1
        while self._subtrees and self._subtrees[-1].height == subtree.height:
            subtree = self._joined(self._subtrees.pop(), subtree)
        self._subtrees.append(subtree)

    def root(self) -> bytes:
        """Return the root, after the last leaf; without leaves, the hash of the empty string."""
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
    """Return the hash of the node over two."""
    return sha256(b"\x01" + left + right).digest()


def root_by(path: Sequence[Step], content: bytes) -> bytes:
    """Return the root that a path computes from a leaf; it equals the tree's root if the leaf is in it."""
    at = leaf_hash(content)
    for step in path:
        other = bytes.fromhex(step.hash)
        at = node_hash(other, at) if step.side == "left" else node_hash(at, other)
    return at
