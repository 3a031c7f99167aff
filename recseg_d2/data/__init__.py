"""Data sets, from their files to what a model is given.

sources      data sets: a base class, and one short file for each, which registers it
io           files: images, label maps, COCO's annotations, HDF5, lists, images paired with labels
synthetic    images that are drawn, and the official layouts that they can be written in
annotations  objects in Detectron2's standard dicts, whatever form their masks have
validation   whether standard dicts are good to train and evaluate on; ``summary`` counts them
loader       reproducible batches, through ``mapper``, ``augmentations`` and ``resolution``
proposals    mask proposals of another model beside the images
"""
