"""Edit JSON files and Markdown front matter while changing only the bytes that have to change.

``json_edit.edit(path)`` and ``front_matter.edit(path)`` are what a migration's author is handed.
Both work alike: a parser turns the text into a tree of spans (`tree`), the author changes plain
values, and the difference is spliced into the old text (`splice`).
"""
