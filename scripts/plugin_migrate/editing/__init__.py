"""Edit files of people and programs while changing only the bytes that have to change.

``json_edit.edit(path)``, ``yaml_edit``, ``front_matter``, ``toml`` and ``lines`` are what a
migration's author is handed. All but the last work alike: a parser turns the text into a tree of
spans (`tree`), the author changes plain values, and the difference is spliced into the old text
(`splice`). What comes out is read again: as the author wants it, and for a header also as Claude
Code reads it (`client_reading`).
"""
