"""The command `rulepack`."""
