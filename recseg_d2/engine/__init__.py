"""Training, phases, hooks, prediction."""
