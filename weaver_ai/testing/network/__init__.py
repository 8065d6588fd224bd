"""The network guard: no test reaches the network unless it may."""
