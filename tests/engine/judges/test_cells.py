"""How cells are named in tables: short, and never two alike for different settings."""

from __future__ import annotations

from engine.judges.cells import cell_names


def test_what_all_cells_share_heads_the_table_and_the_rest_tells_them_apart():
    usual = {"behavior": "agree", "layer": [3], "multipliers": [1], "site": "stream", "edit": "none", "control": "none"}
    quiet = {"model": "demo", "temperature": 0.5}
    recorded = {
        "a" * 16: {"settings": usual | quiet},
        "b" * 16: {"settings": usual | quiet | {"system_prompt": "pos"}},
        "c" * 16: {"settings": usual | quiet | {"edit": "leace", "layer": [0, 1]}},
        "d" * 16: {"settings": usual | quiet | {"control": "shuffled", "control_seed": [2]}},
        "e" * 16: {"settings": usual | quiet | {"temperature": 1.0}},
    }
    heading, rows = cell_names([(cell,) for cell in recorded], recorded)
    assert heading == "agree, × +1"
    assert rows == [
        "aaaaaaaa layer 3 temperature 0.5",
        "bbbbbbbb layer 3 system prompt pos temperature 0.5",
        "cccccccc layers 0, 1 edit leace temperature 0.5",
        "dddddddd layer 3 shuffled 2 temperature 0.5",
        "eeeeeeee layer 3 temperature 1.0",
    ]
