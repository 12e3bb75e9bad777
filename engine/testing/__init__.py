"""The engine on an embedded cluster, moved by hand: what `rulepack test`, `explain` and `replay` run on."""
