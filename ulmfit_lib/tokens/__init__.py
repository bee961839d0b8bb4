"""Texts -> tokens -> ids -> padded batches, token for token as fastai does it."""
