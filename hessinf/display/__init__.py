"""What a person is shown: numbers, tables, pictures and texts, in a terminal or a page."""
