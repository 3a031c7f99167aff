"""Training, phases, hooks, prediction. May use: detectron2 and everything of the package."""
