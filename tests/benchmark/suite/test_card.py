"""What a card says of a name: rows of its tables, items of its lists."""

from __future__ import annotations

from taskmark.records.write_catalogue import said_of

CARD = """# A suite

| task | what it shows | flaws |
|---|---|---|
| `signs` | plates x symbols | askew \\| dusky |
| `street` | digits | none |

| task, head | accuracy |
|---|---|
| `signs`, probed | .9 |

- `signs`: two words
  and more of them.
- `signs` alone
- `street`: other.

Text of `signs`: none.
"""


def test_rows_and_items_of_the_name_are_gathered_in_order():
    assert said_of(CARD, "signs") == (
        ("what it shows", "plates x symbols"),
        ("flaws", "askew \\| dusky"),
        ("", "two words and more of them."),
    )
    assert said_of(CARD, "street")[-1] == ("", "other.")


def test_a_name_that_is_not_there_has_nothing():
    assert said_of(CARD, "sign") == said_of("", "signs") == ()
