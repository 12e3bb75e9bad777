"""Rule packs: what users write, parsed with the location of every fault, and the catalog of what is in force."""
