"""One folder format for every model: JSON and safetensors, no pickle; safe to load from strangers."""
