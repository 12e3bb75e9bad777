"""Deciding is pure: (packs, object, what was read, clock) → firings and steps. Nothing here touches a cluster."""
