"""What the engine is measured beside: programs written by hand for the same annotations."""
