"""The networks, and the two values that a user holds: a language model and a text classifier."""
