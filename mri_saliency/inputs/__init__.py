"""Files -> what the network takes: checkpoint, table, volumes."""
