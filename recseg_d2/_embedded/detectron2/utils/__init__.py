"""Processes, events, logs, files and registries."""
