"""What surrounds the work: device, worker processes, torchrun's ranks, progress."""
