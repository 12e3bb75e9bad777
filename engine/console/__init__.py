"""The console: pages that show what a running engine does, to whoever may see it. Nothing is changed by them."""
