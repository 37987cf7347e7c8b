"""What the maps show together -> the page, its viewer, the text for a paper."""
