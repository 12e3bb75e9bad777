"""Stories: a cluster, what happens in it, and the effects that must be there in the end. `rulepack demo` plays one."""
