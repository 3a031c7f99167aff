"""InstanceFCN (Dai et al. 2016): mask proposals of sliding windows."""

from recseg_d2.models.instance_fcn.network import HeadOptions, InstanceFCN, ProposalMaps
from recseg_d2.models.instance_fcn.training import TrainingOptions, proposal_losses

__all__ = ["HeadOptions", "InstanceFCN", "ProposalMaps", "TrainingOptions", "proposal_losses"]
