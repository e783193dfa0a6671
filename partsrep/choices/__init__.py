"""What is solved: a problem, which is four choices. Immutable specifications, nothing else."""
