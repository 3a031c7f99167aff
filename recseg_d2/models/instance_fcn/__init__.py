"""InstanceFCN (Dai et al. 2016): mask proposals of sliding windows. May use: torch, the maths."""

from recseg_d2.models.instance_fcn.network import HeadOptions, InstanceFCN, ProposalMaps

__all__ = ["HeadOptions", "InstanceFCN", "ProposalMaps"]
