"""The ConvLSTM decoder of RSIS (Salvador et al. 2017) and its criterion."""
