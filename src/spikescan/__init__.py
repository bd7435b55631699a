"""Train spiking networks on long sequences."""
