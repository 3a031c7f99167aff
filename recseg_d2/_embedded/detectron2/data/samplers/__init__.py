"""Samplers that know the number of training processes."""
# ruff: noqa: F403

from .distributed_sampler import *
