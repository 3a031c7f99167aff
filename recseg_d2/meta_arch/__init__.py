"""The registered meta-architectures. May use: detectron2 and the package's maths."""

from recseg_d2.meta_arch.convlstm_sem_inst_seg import ConvLSTMSemInstSeg

__all__ = ["ConvLSTMSemInstSeg"]
