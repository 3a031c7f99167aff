"""The classifier of mask proposals (Dai et al. 2016) and what it is trained on."""
