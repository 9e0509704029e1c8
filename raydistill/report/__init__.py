"""What a person reads of a study: tables, the summary that ends a search, progress while it runs."""
