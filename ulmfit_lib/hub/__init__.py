"""The Hugging Face hub: models are fetched from it and sent to it, by huggingface_hub."""
