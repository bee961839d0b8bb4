"""The stages of ULMFiT, each a function from values to a value: pretrain, fit_lm, fit_classifier. Read them first."""
