"""What a conditional model says before it has seen the target: priors, and data drawn from them."""
