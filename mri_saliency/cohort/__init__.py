"""All maps on disk -> what they show together: agreement, groups, regions, alarms, the report."""
