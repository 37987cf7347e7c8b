"""The output folder: names, writes that happen whole or not at all, records, and what is finished already."""
