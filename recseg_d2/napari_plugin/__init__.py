"""A plugin of napari: reads and writes label maps, and predicts the objects of a layer.

``napari.yaml`` says what it has. Nothing here imports napari, which calls plain functions.
"""
