"""A method's page gathers its facts and its rows from everywhere."""

from __future__ import annotations

from made_up_records import made_up_method, made_up_record
from site_elements import parsed, text_of


def test_rows_of_all_backbones_and_settings_are_there(site_of):
    records = [
        made_up_record(
            n=50,
            backbone=backbone,
            method=made_up_method("ties", hyperparameters={"density": density}, bibtex="@misc{t}"),
        )
        for backbone in ("a", "b")
        for density in (0.1, 0.2)
    ]
    text = text_of(site_of(records)["methods/ties.html"])
    assert "density 0.1 , 0.2" in text
    assert text.count("ties[density=0.1]") == 2
    assert "@misc{t}" in text


def test_only_addresses_of_the_web_become_links(site_of):
    records = [
        made_up_record(n=20, method=made_up_method(name, paper=paper))
        for name, paper in {"safe": "https://arxiv.org/abs/1", "odd": "file:///etc/passwd"}.items()
    ]
    site = site_of(records)
    links = [a.get("href") for t, a in parsed(site["methods/odd.html"]).found if t == "a"]
    assert not [link for link in links if link.startswith("file:")]
    assert "https://arxiv.org/abs/1" in site["methods/safe.html"]


def test_the_index_names_every_method(site, records):
    text = text_of(site["methods/index.html"])
    assert all(record.method.name in text for record in records)
