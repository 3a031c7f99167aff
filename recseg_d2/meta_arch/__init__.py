"""The registered meta-architectures."""

from recseg_d2.meta_arch.convlstm_sem_inst_seg import ConvLSTMSemInstSeg
from recseg_d2.meta_arch.instance_fcn_proposal import InstanceFCNProposal
from recseg_d2.meta_arch.mask_proposal_classifier import MaskProposalClassifier
from recseg_d2.meta_arch.recurrent_attention_seg import RecurrentAttentionSeg

__all__ = [
    "ConvLSTMSemInstSeg",
    "InstanceFCNProposal",
    "MaskProposalClassifier",
    "RecurrentAttentionSeg",
]
