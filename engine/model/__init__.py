"""The engine's nouns: frozen, free of I/O, importing nothing but errors."""
