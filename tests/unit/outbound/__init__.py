"""Tests of `engine.outbound`."""
