"""Reference pages: docs/reference, generated from the code, one module a page.

`make reference` writes the pages.  tests/unit/test_reference.py compares the checked-in pages with the code,
and tests/integration/test_reference_postgres.py compares the page that is read from a database.
"""
