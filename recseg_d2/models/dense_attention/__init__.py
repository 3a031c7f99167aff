"""The dense attention model: one object at a time, without back-propagation through time."""
