"""What a finished search can claim on the sealed test split, how the claim is checked, and what each term of its method does.

May enter: what opens the test split for a study, or checks such an opening. Must not know: the report's tables and the commands.
"""
