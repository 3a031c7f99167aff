"""InstanceFCN (Dai et al. 2016): mask proposals of sliding windows."""
