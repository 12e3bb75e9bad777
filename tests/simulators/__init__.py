"""Simulators of what runs beside an API server, for tests: each behaves as its tests say, against the real API server."""
