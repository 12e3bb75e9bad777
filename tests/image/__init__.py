"""The container image, as far as it can be proven where no container engine is at hand."""
