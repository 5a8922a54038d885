"""Deep learning written out by hand: every forward and backward pass as readable code over matrix operations."""
