"""What a finished search can claim on the sealed test split, how to check the claim, and what each term of its method did."""
