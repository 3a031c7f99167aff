"""recseg_d2: instance segmentation that finds objects one at a time, on Detectron2.

Importing the package makes ``detectron2`` importable (see ``_seam``) and registers the package's
models, backbones and data sets there. Import it before any ``detectron2`` import.
"""

from recseg_d2 import _seam

__version__ = "0.1.0"

BACKEND = _seam.install()

if BACKEND != "none":
    from recseg_d2 import backbones as _backbones  # noqa: F401  (registration)
    from recseg_d2 import meta_arch as _meta_arch  # noqa: F401  (registration)
    from recseg_d2 import model_zoo as _model_zoo  # noqa: F401  (addresses)
    from recseg_d2.data import sources as _sources  # noqa: F401  (registration)
    from recseg_d2.engine import detectron2_solver as _detectron2_solver

    _detectron2_solver.register_solver()
