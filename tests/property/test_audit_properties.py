"""Laws of the chains and of the Merkle tree: every change of a row is found and named."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger_streams.adapters.postgres.hash_chain import GENESIS, link
from ledger_streams.audit.chains import ChainCheck, ChainLink, Finding
from ledger_streams.domain.merkle import Tree, root_by

CHAINS = ("a[0]", "a[1]")
contents = st.lists(st.binary(min_size=1, max_size=8), min_size=2, max_size=12, unique=True)


def chained(of: list[bytes]) -> list[ChainLink]:
    """Return two chains of rows, at 1, 2, 3 and so on."""
    rows = []
    for chain in CHAINS:
        head = GENESIS
        for at, content in enumerate(of, 1):
            head = link(head, content)
            rows.append(ChainLink("events", chain, at, content, head, chain, "open"))
    return rows


def check(rows: list[ChainLink], *, gapless: bool) -> tuple[list[Finding], dict[str, bytes]]:
    following = ChainCheck(gapless=gapless)
    for row in rows:
        following.add(row)
    return following.found, following.heads


def named(rows: list[ChainLink], *, gapless: bool) -> set[tuple[str, int]]:
    found, _ = check(rows, gapless=gapless)
    return {(finding.subject, int(finding.place)) for finding in found}


@given(contents, st.booleans())
def test_unchanged_chains_have_no_findings(of: list[bytes], gapless: bool) -> None:
    rows = chained(of)
    found, heads = check(rows, gapless=gapless)
    assert found == []
    assert heads == ({} if gapless else {row.chain: row.chain_hash for row in rows})


@given(contents, st.data(), st.booleans())
def test_a_changed_row_is_named_and_no_other(of: list[bytes], data: st.DataObject, gapless: bool) -> None:
    rows = chained(of)
    number = data.draw(st.integers(0, len(rows) - 1))
    changed = rows[number]._replace(content=(rows[number].content or b"") + b"!")
    touched = [*rows[:number], changed, *rows[number + 1 :]]
    assert named(touched, gapless=gapless) == {(changed.chain, changed.at)}


@given(contents, st.data(), st.booleans())
def test_a_missing_row_is_named_by_what_comes_after_or_by_the_head(
    of: list[bytes], data: st.DataObject, gapless: bool
) -> None:
    rows = chained(of)
    number = data.draw(st.integers(0, len(rows) - 1))
    missing = rows.pop(number)
    place = missing.at if gapless else missing.at + 1
    if missing.at < len(of):
        assert named(rows, gapless=gapless) == {(missing.chain, place)}
    elif not gapless:  # the last one: the stored head is another; a wallet's is in its snapshot
        assert check(rows, gapless=False)[1][missing.chain] != missing.chain_hash


@given(contents, st.data(), st.booleans())
def test_an_inserted_row_is_named_also_one_with_a_hash_that_fits(
    of: list[bytes], data: st.DataObject, fits: bool
) -> None:
    rows = [row._replace(at=row.at * 2) for row in chained(of)]
    number = data.draw(st.integers(0, len(of) - 1))
    after = rows[number]
    bears = link(after.chain_hash, b"new") if fits else bytes(32)
    new = after._replace(at=after.at + 1, content=b"new", chain_hash=bears)
    touched = [*rows[: number + 1], new, *rows[number + 1 :]]
    if number < len(of) - 1:
        assert named(touched, gapless=False) == {(new.chain, new.at)}
    else:
        assert check(touched, gapless=False)[1][new.chain] != after.chain_hash


@given(contents, st.data())
def test_two_swapped_rows_are_named(of: list[bytes], data: st.DataObject) -> None:
    rows = chained(of)
    one, other = sorted(data.draw(st.sets(st.integers(0, len(of) - 1), min_size=2, max_size=2)))
    touched = list(rows)
    touched[one] = rows[one]._replace(content=rows[other].content)
    touched[other] = rows[other]._replace(content=rows[one].content)
    assert named(touched, gapless=True) == {(rows[at].chain, rows[at].at) for at in (one, other)}


def root_of(leaves: list[bytes]) -> bytes:
    """Return the root over these leaves."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


@given(contents, st.data())
def test_every_leaf_has_a_path_to_the_root_and_nothing_else_has(of: list[bytes], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(of) - 1))
    tree = Tree(target=number)
    for content in of:
        tree.add(content)
    assert tree.root() == root_of(of)
    assert root_by(tree.path, of[number]) == tree.root()
    assert root_by(tree.path, of[number] + b"!") != tree.root()


@given(contents, st.data())
def test_a_root_is_of_its_leaves_alone(of: list[bytes], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(of) - 1))
    without = [*of[:number], *of[number + 1 :]]
    assert root_of(without) != root_of(of) != root_of([*of, of[number]])
