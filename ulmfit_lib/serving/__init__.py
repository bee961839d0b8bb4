"""A trained folder put to work, without torch."""
