"""What people train today on their own images, from scratch, beside this package's models.

Not part of the package: nothing in ``recseg_d2`` imports it. See README.md.
"""
