"""Rule packs: what users write, parsed with the place of every fault, and the catalog of what is in force."""
