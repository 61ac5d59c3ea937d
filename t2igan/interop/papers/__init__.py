"""The released networks, one file a paper: their tensors' names, how their arguments are read, who trains them."""
